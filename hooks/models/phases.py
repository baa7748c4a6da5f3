"""What a forward pass is for: reading a prompt, or adding a token that was just drawn.

Generation says it here, and steering reads it. A pass nobody announced is a prompt, unless it adds
single tokens to a cache. Whoever reads prompts in another order, or in parts, says which prompt
each row serves. Context variables: threads and nested calls do not see each other's phase.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

Phase = Literal["prompt", "generated"]
Histories = Callable[[], list[list[int] | None]]
"""Token ids of each row up to and with the one being added; None for a row that has ended."""


@dataclass(frozen=True)
class Announcement:
    """What generation says of the pass that runs now."""

    phase: Phase
    histories: Histories | None = None
    end: Callable[[int], None] | None = None
    """Ends the text of a row with the token that is being added; None where none is."""
    n_prompt: int | None = None
    """Tokens of the prompt in a pass that reads everything anew, without a cache."""


@dataclass(frozen=True)
class PromptRows:
    """Which of the prompts of a call the pass that runs now reads or continues."""

    prompts: Sequence[int]
    """Place of each row's prompt among those of the call."""
    n_prompts: int
    """Prompts of the call, also where it takes them in parts."""


_announced: ContextVar[Announcement | None] = ContextVar("announced", default=None)
_served: ContextVar[PromptRows | None] = ContextVar("served", default=None)
_whole_prompts: ContextVar[bool] = ContextVar("whole_prompts", default=False)


@contextlib.contextmanager
def _saying(variable: ContextVar[Any], value: Any) -> Iterator[None]:
    token = variable.set(value)
    try:
        yield
    finally:
        variable.reset(token)


def current_announcement() -> Announcement | None:
    """Return what was said of the running pass, or None."""
    return _announced.get()


def generation_phase(
    phase: Phase,
    histories: Histories | None = None,
    end: Callable[[int], None] | None = None,
    n_prompt: int | None = None,
) -> contextlib.AbstractContextManager[None]:
    """Say what the passes inside the context are for."""
    return _saying(_announced, Announcement(phase, histories, end, n_prompt))


def served_prompts() -> PromptRows | None:
    """Return which prompt each row of the running pass serves; None: all of them, in order."""
    return _served.get()


def prompt_rows(prompts: Sequence[int], n_prompts: int) -> contextlib.AbstractContextManager[None]:
    """Say which of a call's prompts each row of the passes inside the context serves."""
    return _saying(_served, PromptRows(prompts, n_prompts))


def prompts_must_be_whole() -> bool:
    """Whether prompts have to be read in one pass, in the order given, each in a row of its own."""
    return _whole_prompts.get()


def no_prefix_sharing() -> contextlib.AbstractContextManager[None]:
    """Forbid generation to share the reading of prompts: hooks see each prompt in one piece."""
    return _saying(_whole_prompts, True)
