"""How many padded tokens one forward pass takes: asked for, remembered, or measured once.

1. `tune` times passes over 1,024, 2,048, 4,096, ... made-up tokens, as many at once as reading runs
   side by side, and takes the smallest size within 5% of the best rate; it stops when a size is no
   better, takes too long, or does not fit.
2. `remember` writes a size into ``batch_tokens.json`` in the user's cache folder, beside the
   models, per weights, device, dtype and number of threads; `recall` reads it.
3. A pass that runs out of memory is halved until it fits (`capture`, `parts`); what fitted is
   remembered as the `ceiling` of every later pass. Delete the file after making room.

Contract: the size changes no result beyond rounding. A run that must give the same bytes when it is
resumed keeps the size it began with itself; only memory that runs out makes it smaller.
"""

import contextlib
import json
import os
import statistics
import tempfile
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch

from hooks.memory import is_out_of_memory, release_memory
from hooks.models.embedded import cache_folder
from hooks.reading.side_by_side import ForwardPool, passes_at_once

if TYPE_CHECKING:
    from hooks.models.model import LanguageModel

DEFAULT_BATCH_TOKENS = 1024
"""Padded tokens per forward pass where nothing was measured."""

_SIZES = tuple(DEFAULT_BATCH_TOKENS << step for step in range(7))
_TEXT = 128
"""Tokens of each made-up text."""
_TOO_LONG = 6.0
"""Seconds of one pass beyond which larger ones are not tried."""
Work = Literal["reading", "writing"]
_AT_MOST: dict[Work, str] = {"reading": " at most", "writing": " at most, writing"}
_TOO_SMALL = 10_000_000
"""Parameters below which a pass is over before its size could matter."""


def largest_first(lengths: Sequence[int], indices: Sequence[int] | None = None) -> list[int]:
    """Order text indices, all or some, from the longest to the shortest."""
    chosen = range(len(lengths)) if indices is None else indices
    return sorted(chosen, key=lambda index: (-lengths[index], index))


def rows_that_fit(order: Sequence[int], lengths: Sequence[int], batch_tokens: int) -> int:
    """Count the next texts that make a padded batch of at most `batch_tokens`; at least one."""
    return min(len(order), max(1, batch_tokens // max(1, lengths[order[0]])))


def batches_by_length(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Group text indices, longest first, so that a padded batch has at most `batch_tokens` tokens.

    A text longer than `batch_tokens` makes a batch of its own.
    """
    order = largest_first(lengths)
    while order:
        rows = rows_that_fit(order, lengths, batch_tokens)
        yield order[:rows]
        order = order[rows:]


def balanced_batch_tokens(lengths: Sequence[int], batch_tokens: int) -> int:
    """Lower `batch_tokens` as far as the batches stay as many, or one more where that makes a pair.

    So they are about equal, and threads that read them side by side end together. The number of
    threads plays no part: another machine makes the same batches.
    """

    def count(limit: int) -> int:
        return sum(1 for _ in batches_by_length(lengths, limit))

    n_batches = count(batch_tokens)
    at_most = n_batches + n_batches % 2 if n_batches > 1 else n_batches
    return 1 + bisect_left(range(1, batch_tokens), True, key=lambda limit: count(limit) <= at_most)


def _file() -> Path:
    return cache_folder() / "batch_tokens.json"


def _key(model: "LanguageModel") -> str:
    device = torch.cuda.get_device_name(model.device) if model.device.type == "cuda" else "cpu"
    threads = torch.get_num_threads() if device == "cpu" else 0
    return f"{model.fingerprint} {device} x{threads} {model.dtype} {model.quantize}"


def _sizes() -> dict[str, int]:
    try:
        found = json.loads(_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def recall(model: "LanguageModel") -> int | None:
    """Return the size that was measured for this model on this machine, or None."""
    return _size(_key(model))


def ceiling(model: "LanguageModel", work: Work) -> int | None:
    """Return the largest size that fits, where a larger one ran out of memory, or None."""
    return _size(_key(model) + _AT_MOST[work])


def _size(key: str) -> int | None:
    size = _sizes().get(key)
    return size if isinstance(size, int) and size > 0 else None


def remember(model: "LanguageModel", batch_tokens: int) -> None:
    """Write a measured size down; nothing happens where the cache folder cannot be written."""
    _write(_key(model), batch_tokens)


def remember_ceiling(model: "LanguageModel", batch_tokens: int, work: Work) -> None:
    """Write down the size that fits after memory ran out, as `remember` does."""
    _write(_key(model) + _AT_MOST[work], batch_tokens)


def _write(key: str, batch_tokens: int) -> None:
    content = json.dumps({**_sizes(), key: batch_tokens}, indent=1, sort_keys=True)
    with contextlib.suppress(OSError):
        _file().parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=_file().parent, prefix=".batch-")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content + "\n")
        os.replace(temporary, _file())


def choose(rates: Sequence[tuple[int, float]]) -> int:
    """Return the smallest size whose rate is within 5% of the best; pairs of (size, tokens/s)."""
    best = max(rate for _, rate in rates)
    return min(size for size, rate in rates if rate >= 0.95 * best)


def tune(
    model: "LanguageModel", last_layer: int, clock: Callable[[], float] = time.perf_counter
) -> int:
    """Measure which size reads the most tokens per second up to a layer."""
    rates: list[tuple[int, float]] = []
    with ForwardPool(passes_at_once(model, model.bulk)) as crew:
        for size in _SIZES:
            ids = torch.arange(size).reshape(-1, _TEXT) % min(1000, model.d_vocab)

            def read(ids: torch.Tensor = ids) -> None:
                model.bulk.run(ids, torch.ones_like(ids), last_layer)

            try:
                if not rates:
                    _seconds(model, crew, read, clock)
                seconds = statistics.median(_seconds(model, crew, read, clock) for _ in range(3))
            except Exception as error:
                if not is_out_of_memory(error) or not rates:
                    raise
                break
            rates.append((size, size / max(seconds, 1e-9)))
            if seconds > _TOO_LONG / 2 or (len(rates) > 1 and rates[-1][1] < 1.05 * rates[-2][1]):
                break
    release_memory()
    return choose(rates)


def _seconds(
    model: "LanguageModel", crew: ForwardPool, read: Callable[[], None], clock: Callable[[], float]
) -> float:
    """Time one pass of everyone in the crew."""
    start = clock()
    for running in [crew.submit(read) for _ in range(crew.n)]:
        running.result()
    if model.device.type == "cuda":
        torch.cuda.synchronize()
    return clock() - start


def batch_tokens_for(model: "LanguageModel", last_layer: int) -> int:
    """Return the remembered size, or measure and remember it."""
    if sum(p.numel() for p in _parameters(model)) < _TOO_SMALL:
        return DEFAULT_BATCH_TOKENS
    known = recall(model)
    if known is None:
        known = tune(model, last_layer)
        remember(model, known)
    return known


def _parameters(model: "LanguageModel") -> Iterator[torch.Tensor]:
    module = model.hf if model.hf is not None else model.hooked
    return module.parameters() if module is not None else iter(())
