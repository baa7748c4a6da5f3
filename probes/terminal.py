"""The terminal: progress bars on a TTY, plain lines elsewhere, tables at the end.

Contract: everything for people goes to standard error but tables, which go to standard output.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from probes.reporting import Advance

_SECONDS_BETWEEN_LINES = 15.0


class _Rate(ProgressColumn):
    """Units per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f}/s" if speed else "", style="dim")


class Terminal:
    """A `reporting.Reporter` that shows its work."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.errors = Console(stderr=True, highlight=False)
        self.output = Console(highlight=False)

    def note(self, message: str) -> None:
        """Say one line."""
        if not self.quiet:
            self.errors.print(message, markup=False)

    def error(self, message: str) -> None:
        """Say what went wrong."""
        self.errors.print(message, style="bold red", markup=False, soft_wrap=True)

    def table(self, title: str, rows: Sequence[tuple[str, str]]) -> None:
        """Print a two-column table."""
        table = Table(title=title, show_header=False, title_justify="left")
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for name, value in rows:
            table.add_row(Text(name), Text(value))
        self.output.print(table)

    def text(self, text: str) -> None:
        """Print a text to standard output as it is."""
        self.output.print(text, markup=False, soft_wrap=True)

    @contextlib.contextmanager
    def task(self, name: str, total: int, unit: str, done: int = 0) -> Iterator[Advance]:
        """See `reporting.Reporter.task`."""
        if self.quiet:
            yield lambda _count: None
        elif self.errors.is_terminal:
            with self._bar(name, total, done) as advance:
                yield advance
        else:
            yield self._lines(name, total, unit, done)

    @contextlib.contextmanager
    def _bar(self, name: str, total: int, done: int) -> Iterator[Advance]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self.errors) as progress:
            task = progress.add_task(name, total=total, completed=done)
            yield lambda count: progress.advance(task, count)

    def _lines(self, name: str, total: int, unit: str, done: int) -> Advance:
        start = last = time.monotonic()
        finished = done

        def advance(count: int) -> None:
            nonlocal finished, last
            finished += count
            now = time.monotonic()
            if finished < total and now - last < _SECONDS_BETWEEN_LINES:
                return
            last = now
            rate = (finished - done) / max(now - start, 1e-9)
            left = (total - finished) / rate if rate else float("nan")
            self.note(f"{name}: {finished}/{total} {unit}, {rate:.1f}/s, {left:.0f} s left")

        return advance
