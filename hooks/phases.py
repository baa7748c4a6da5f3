"""What a forward pass is for: reading a prompt, or adding a token that was just drawn.

Generation says it here, and what hangs on the model's hooks (steering) reads it. A pass nobody
announced is a prompt, unless it adds single tokens to a cache.

Contract: context variables, so concurrent threads and nested calls do not see each other's phase.
"""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Literal

Phase = Literal["prompt", "generated"]

_phase: ContextVar[Phase | None] = ContextVar("phase", default=None)
_whole_prompts: ContextVar[bool] = ContextVar("whole_prompts", default=False)


def current_phase() -> Phase | None:
    """Return the announced phase of the running pass, or None."""
    return _phase.get()


@contextlib.contextmanager
def announce(phase: Phase) -> Iterator[None]:
    """Say what the passes inside the context are for."""
    token = _phase.set(phase)
    try:
        yield
    finally:
        _phase.reset(token)


def prompts_must_be_whole() -> bool:
    """Whether every prompt has to be read in one pass of its own row."""
    return _whole_prompts.get()


@contextlib.contextmanager
def whole_prompts() -> Iterator[None]:
    """Forbid generation to share the reading of prompts: hooks see each prompt in one piece."""
    token = _whole_prompts.set(True)
    try:
        yield
    finally:
        _whole_prompts.reset(token)
