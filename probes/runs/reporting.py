"""What a long step tells its caller, progress and notes: the pipeline never prints."""

import contextlib
from collections.abc import Iterator
from typing import Protocol, runtime_checkable


@runtime_checkable
class Advance(Protocol):
    """Called with how many more units are done, and how many more tokens are on the way to some."""

    def __call__(self, count: int, tokens: int = 0, /) -> None:
        """Take notice."""
        ...


def unheard(_count: int, _tokens: int = 0, /) -> None:
    """Take no notice of progress."""


@runtime_checkable
class Reporter(Protocol):
    """Listener to a run."""

    def task(
        self, name: str, total: int, unit: str, done: int = 0
    ) -> contextlib.AbstractContextManager[Advance]:
        """Open a progress bar; the context's value is called with the number of units done."""
        ...

    def note(self, message: str) -> None:
        """Say one line."""
        ...


class Silent:
    """A reporter that keeps quiet; for Python callers."""

    @contextlib.contextmanager
    def task(self, name: str, total: int, unit: str, done: int = 0) -> Iterator[Advance]:  # noqa: ARG002
        """See `Reporter.task`."""
        yield unheard

    def note(self, message: str) -> None:
        """See `Reporter.note`."""


def duration(seconds: float) -> str:
    """Spell a time as a person would."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"
