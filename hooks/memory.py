"""What fits into memory: texts in batches, and what happens when a batch does not fit.

Whoever is told that memory ran out halves the work, and what fitted is the `limit` of all that the
model does from then on in this process. Groups depend on lengths alone, so another machine makes
the same batches.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Literal
from weakref import WeakKeyDictionary

import torch

DEFAULT_BATCH_TOKENS = 1024
"""Padded tokens per forward pass, unless the reader is told otherwise."""
WORTH_A_PASS = 128
"""Tokens that a pass of its own must save."""
Work = Literal["reading", "writing"]
_LIMITS: WeakKeyDictionary[object, dict[Work, int]] = WeakKeyDictionary()

_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory")
"""What allocators say where they have no error class of their own: Linux, Windows, MPS."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that a device or the machine had too little memory."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY)
    )


def release_memory() -> None:
    """Give memory that failed passes left behind back to the device."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def limit(model: object, work: Work) -> int | None:
    """Return the largest size that fitted where a larger one ran out of memory, or None."""
    return _LIMITS.get(model, {}).get(work)


def set_limit(model: object, work: Work, size: int) -> None:
    """Let nothing that the model does in this process be larger than what fitted."""
    _LIMITS.setdefault(model, {})[work] = size


def largest_first(lengths: Sequence[int], indices: Sequence[int] | None = None) -> list[int]:
    """Order text indices, all or some, from the longest to the shortest."""
    chosen = range(len(lengths)) if indices is None else indices
    return sorted(chosen, key=lambda index: (-lengths[index], index))


def rows_that_fit(order: Sequence[int], lengths: Sequence[int], batch_tokens: int) -> int:
    """Count the next texts that make a padded batch of at most `batch_tokens`; at least one.

    Shorter texts are left for a pass of their own where that saves enough padding.
    """
    longest = lengths[order[0]]
    n_rows = min(len(order), max(1, batch_tokens // max(1, longest)))
    saved = [(n_rows - n) * (longest - lengths[order[n]]) for n in range(1, n_rows)]
    if max(saved, default=0) >= max(WORTH_A_PASS, n_rows * longest // 8):
        return 1 + saved.index(max(saved))
    return n_rows


def batches_by_length(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Group text indices, longest first, into padded batches of `batch_tokens` or one text."""
    order = largest_first(lengths)
    while order:
        rows = rows_that_fit(order, lengths, batch_tokens)
        yield order[:rows]
        order = order[rows:]


def balanced_batch_tokens(lengths: Sequence[int], batch_tokens: int) -> int:
    """Lower `batch_tokens` as far as the batches stay as many, or one more where that makes a pair.

    So they are about equal, and threads that read them side by side end together.
    """

    def count(limit: int) -> int:
        return sum(1 for _ in batches_by_length(lengths, limit))

    n_batches = count(batch_tokens)
    at_most = n_batches + n_batches % 2 if n_batches > 1 else n_batches
    return 1 + bisect_left(range(1, batch_tokens), True, key=lambda limit: count(limit) <= at_most)
