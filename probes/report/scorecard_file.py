"""A run's scorecard as its files have it: what `validate` left, and what the command shift did.

A shift is measured beside another model at any time after `validate`, so its numbers stand in a
file of their own and are put in when the scorecard is read.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from probes import storage
from probes.analysis.findings import RunNumber
from probes.report.scorecard import FILE, scorecard
from probes.runs import record

SHIFTS = "analysis/shift_*.json"


@dataclass(frozen=True)
class _Shift:
    numbers: Mapping[str, RunNumber | str]

    def paper_numbers(self) -> Mapping[str, RunNumber | str]:
        return self.numbers


def read_lines(root: Path) -> list[dict[str, Any]]:
    """Return a run's lines as JSON holds them, for `scorecard.from_json`.

    Of several shifts the first by name speaks; one of vectors that were made again since says
    nothing. Raises DataError where a file is damaged.
    """
    lines = storage.read_object(root / FILE, "lines")["lines"]
    shifts, vectors = {}, record.left_by(root, "compute-vectors")
    for path in sorted(root.glob(SHIFTS)):
        content = storage.read_object(path, "vectors", "paper_numbers")
        if content["vectors"] == vectors:
            shifts[path] = content["paper_numbers"]
    if not shifts:
        return lines
    path, numbers = next(iter(shifts.items()))
    which = f"; the first by name of {len(shifts)} shifts measured here" if len(shifts) > 1 else ""
    with storage.ours(path):
        shift = _Shift({name: _number(it, which) for name, it in numbers.items()})
        made = {it.name: asdict(it) for it in scorecard({"shift": shift}) if it.name in numbers}
    put_in = storage.from_json(storage.to_json(made))
    with storage.ours(root / FILE):
        return [put_in.get(line["name"], line) for line in lines]


def _number(content: Mapping[str, Any] | str, which: str) -> RunNumber | str:
    if isinstance(content, str):
        return content
    note = content["note"] + which
    return RunNumber(content["value"], tuple(content["interval"]), content["n"], note)
