"""How many padded tokens one forward pass takes, measured once.

`tune` times passes over 1,024, 2,048, 4,096, ... made-up tokens, as many at once as reading runs
side by side, and takes the smallest size within 5% of the best rate; it stops when a size is no
better, takes too long, or does not fit.

Contract: the size changes no result beyond rounding. Whoever must give the same bytes when it is
resumed keeps the size it began with.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

from hooks.memory import DEFAULT_BATCH_TOKENS, is_out_of_memory, release_memory
from hooks.reading.side_by_side import ForwardPool, passes_at_once

if TYPE_CHECKING:
    from hooks.models.model import LanguageModel


_SIZES = tuple(DEFAULT_BATCH_TOKENS << step for step in range(7))
_TEXT = 128
"""Tokens of each made-up text."""
_TOO_LONG = 6.0
"""Seconds of one pass beyond which larger ones are not tried."""
_TOO_SMALL = 10_000_000
"""Parameters below which a pass is over before its size could matter."""


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
    """Measure which size to read with; a model whose passes are over at once is not worth it."""
    module = model.hf if model.hf is not None else model.hooked
    n_parameters = 0 if module is None else sum(p.numel() for p in module.parameters())
    return DEFAULT_BATCH_TOKENS if n_parameters < _TOO_SMALL else tune(model, last_layer)
