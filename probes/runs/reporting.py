"""What a long step tells its caller, progress and notes: the pipeline never prints."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

Advance = Callable[[int], None]


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
        yield lambda _count: None

    def note(self, message: str) -> None:
        """See `Reporter.note`."""


def duration(seconds: float) -> str:
    """Spell a time as a person would."""
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"
