"""Writing in parts where a whole batch does not fit into memory: in halves, down to single prompts.

What fitted (rows times tokens of the cache) is the limit of all later batches (`memory`).
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from hooks.memory import is_out_of_memory, limit, release_memory, set_limit

Written = TypeVar("Written")
Write = Callable[[Sequence[int]], list[Written]]
"""(places of some prompts of the batch) -> what was written for each."""


def write_in_parts(
    model: object, n_prompts: int, tokens_per_prompt: int, write: Write[Written]
) -> list[Written]:
    """Write all prompts; a row takes at most `tokens_per_prompt` in the cache."""
    most = limit(model, "writing")
    rows = n_prompts if most is None else max(1, most // tokens_per_prompt)
    done: list[Written] = []
    halved = False
    while len(done) < n_prompts:
        part = range(len(done), min(len(done) + rows, n_prompts))
        try:
            done += write(part)
            continue
        except Exception as error:
            if len(part) == 1 or not is_out_of_memory(error):
                raise
        release_memory()  # out here, where no error holds the tensors of the failed pass
        rows, halved = len(part) // 2, True
    if halved:
        set_limit(model, "writing", rows * tokens_per_prompt)
    return done
