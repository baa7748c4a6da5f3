"""The terminal: progress bars on a TTY, plain lines elsewhere, tables or JSON at the end.

Standard output holds tables alone, or with `as_json` one JSON object, also after an error.
"""

import contextlib
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import progress
from rich.console import Console
from rich.table import Table
from rich.text import Text

from probes.figures.text import visible
from probes.runs.reporting import Advance, duration, unheard
from probes.storage import map_leaves, to_json

_SECONDS_BETWEEN_LINES = 10.0


def pace(per_second: float, unit: str) -> str:
    """Spell a rate in whichever of units (plural) per second and seconds per unit is above 1."""
    if per_second >= 1:
        return f"{per_second:.1f} {unit}/s"
    return f"{duration(1 / per_second)} per {singular(unit)}"


def singular(unit: str) -> str:
    """One of what is counted."""
    return f"{unit[:-3]}y" if unit.endswith("ies") else unit.removesuffix("s")


def file_size(n_bytes: int | float) -> str:
    """Spell a number of bytes."""
    for size, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if n_bytes >= size:
            return f"{n_bytes / size:.1f} {unit}"
    return f"{n_bytes:.0f} B"


_FRAME = 4  # half of the columns that lines and margins of two cells take, rounded up


class _Rate(progress.ProgressColumn):
    def render(self, task: progress.Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(pace(speed, task.fields["unit"]) if speed else "", style="dim")


class Terminal:
    """A `reporting.Reporter` that shows its work."""

    def __init__(self, *, quiet: bool = False, as_json: bool = False) -> None:
        self.quiet, self.as_json = quiet, as_json
        self.errors = Console(stderr=True, highlight=False)
        self.output = Console(highlight=False)
        self._stdout = sys.stdout
        self._result: dict[str, Any] = {}
        self._tables: dict[str, dict[str, str]] = {}
        self._error: str | None = None

    def note(self, message: str) -> None:
        """Say one line."""
        if not self.quiet:
            self.errors.print(shown(message), markup=False)

    def written(self, paths: Sequence[Path]) -> None:
        """Say which files were written."""
        for path in paths:
            self.note(f"written: {path}")

    def warn(self, message: str) -> None:
        """Say what the numbers must not be read without, also when quiet."""
        self.errors.print(
            f"warning: {shown(message)}", style="yellow", markup=False, soft_wrap=True
        )

    def error(self, message: str) -> None:
        """Say what went wrong."""
        self._error = message
        self.errors.print(shown(message), style="bold red", markup=False, soft_wrap=True)

    def table(self, title: str, rows: Sequence[tuple[str, ...]]) -> None:
        """Print a table of names and their values; names take half of the width at most."""
        self._tables[title] = {name: " ".join(values) for name, *values in rows}
        if self.as_json:
            return
        table = Table(title=Text(shown(title)), show_header=False, title_justify="left")
        table.add_column(max_width=self.output.width // 2 - _FRAME, overflow="fold")
        for name, *values in rows:
            table.add_row(Text(visible(name)), *(Text(shown(value)) for value in values))
        for column in table.columns[1:]:
            column.overflow = "fold"
        self.output.print(table)

    def lines(self, rows: Sequence[tuple[str, str]]) -> None:
        """Print names and values without a frame; values begin in one column."""
        self._tables["lines"] = dict(rows)
        if self.as_json:
            return
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(max_width=self.output.width // 3, overflow="fold")
        table.add_column(overflow="fold")
        for name, value in rows:
            table.add_row(Text(visible(name)), Text(shown(value)))
        self.output.print(table)

    def text(self, text: str) -> None:
        """Print a text to standard output as it is."""
        self.output.print(shown(text), markup=False, soft_wrap=True)

    def result(self, values: Mapping[str, Any]) -> None:
        """Give what the JSON object is to hold besides the exit code, in place of the tables."""
        self._result |= values

    @contextlib.contextmanager
    def reserved(self) -> Iterator[None]:
        """Keep standard output for the JSON object: what others print meanwhile is an aside."""
        with contextlib.redirect_stdout(sys.stderr if self.as_json else sys.stdout):
            yield

    def finish(self, exit_code: int) -> int:
        """Write the JSON object, if one is asked for; return the exit code."""
        if self.as_json:
            content = self._result or ({"tables": self._tables} if self._tables else {})
            failed = {} if self._error is None else {"error": self._error}
            whole = {"exit_code": exit_code, **failed, **content}
            self._stdout.write(to_json(plain(whole)) + "\n")
            self._stdout.flush()
        return exit_code

    @contextlib.contextmanager
    def task(self, name: str, total: int, unit: str, done: int = 0) -> Iterator[Advance]:
        """See `reporting.Reporter.task`."""
        if self.quiet:
            yield unheard
            return
        if not self.errors.is_terminal:
            yield self._lines(name, total, unit, done)
            return
        columns = (
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            _Rate(),
            progress.TimeElapsedColumn(),
            progress.TimeRemainingColumn(),
        )
        with progress.Progress(*columns, console=self.errors) as bar:
            task = bar.add_task(name, total=total, completed=done, unit=unit)
            n_tokens = 0

            def advance(count: int, tokens: int = 0, /) -> None:
                nonlocal n_tokens
                n_tokens += tokens
                bar.update(task, advance=count, description=_with_tokens(name, n_tokens))

            yield advance

    def _lines(self, name: str, total: int, unit: str, done: int) -> Advance:
        start = last = time.monotonic()
        finished, n_tokens = done, 0

        def advance(count: int, tokens: int = 0, /) -> None:
            nonlocal finished, n_tokens, last
            finished, n_tokens, now = finished + count, n_tokens + tokens, time.monotonic()
            if finished < total and now - last < _SECONDS_BETWEEN_LINES:
                return
            last = now
            rate = (finished - done) / max(now - start, 1e-9)
            line = f"{_with_tokens(name, n_tokens)}: {finished}/{total} {unit}"
            if rate:
                line += f", {pace(rate, unit)}, {duration((total - finished) / rate)} left"
            self.note(line)

        return advance


def _with_tokens(name: str, n_tokens: int) -> str:
    """Name a task with the tokens that were written so far."""
    return f"{name}, {n_tokens:,} tokens" if n_tokens else name


def shown(text: str) -> str:
    """Write what would move the cursor, color or hide text as its escape; lines stay lines."""
    return "\n".join("\t".join(map(visible, line.split("\t"))) for line in text.split("\n"))


def plain(value: Any) -> Any:
    """Replace what JSON cannot say: NaN and infinity become null."""
    return map_leaves(value, lambda it: None if it in (math.inf, -math.inf) or it != it else it)
