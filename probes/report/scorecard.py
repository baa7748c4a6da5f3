"""A run's numbers beside the paper's: no different, different, or not comparable and why.

The interval of a number of ``paper_scorecard.yaml`` is the one the paper's n gives: Fisher's z for
a correlation, Clopper & Pearson for a count; of what was read off a chart, how well it could be
read. Ours is what the geometry and the experiments say (`Result.paper_numbers`). Two numbers differ
when the interval of their difference excludes zero: an exact replication does in 5% of cases, and
more often where the paper's is taken as exact, for want of an n (the line says so). What depends on
the width of a model's stream is shown and not judged.

Contract: importing it imports no torch and no scipy: a finished run shows its table without them.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from statistics import NormalDist
from typing import Any, Protocol, runtime_checkable

from probes.analysis.findings import RunNumber
from probes.analysis.results import read_result
from probes.experiments import NotMeasured
from probes.stimuli import paper_numbers

FILE = "analysis/scorecard.json"
"""Where a run keeps it, below its folder."""
SAME = "no different from the paper's"
DIFFERENT = "different from the paper's"
NOT_COMPARABLE = "not comparable"

Interval = tuple[float, float]
_AS_EXACT = "the paper gives it no interval: taken as exact"
_NOT_JUDGED = {
    "scenarios.": "a cosine shrinks as the stream widens, and the paper's is read off a chart",
}
"""Why numbers that both have are not judged, by how their names begin."""
_MEASURED_BY = {
    "geometry": "geometry",
    "replications": "geometry",
    "scenarios": "scenarios",
    "intensity": "intensity",
    "steering_words": "steering",
    "preferences": "preferences",
    "reply_token": "reply",
    "speakers": "speakers",
    "deflection": "deflection",
    "post_training": "shift",
}
"""What speaks to the numbers of a section: ``geometry``, an experiment, or the command shift."""
_UNMEASURED = {
    "behaviour": "it takes a model that blackmails and games tests in the paper's long scenarios; "
    "what steering does to agreement with false claims is measured by agreement",
}
"""Why nothing here measures the numbers of a section."""


@runtime_checkable
class HasPaperNumbers(Protocol):
    """A geometry or an experiment's result."""

    def paper_numbers(self) -> Mapping[str, RunNumber | str]:
        """Return numbers by the paper's names, or why there is none."""
        ...


@dataclass(frozen=True)
class ScorecardLine:
    """One number of the paper and ours."""

    name: str
    paper: Any
    paper_interval: Interval | None
    paper_n: int | None
    ours: float | None
    interval: Interval | None
    n: int | None
    verdict: str
    why: str
    difference: Interval | None = None
    """Interval of ours less the paper's."""

    @property
    def section(self) -> str:
        """The paper's section."""
        return self.name.partition(".")[0]


def scorecard(results: Mapping[str, HasPaperNumbers]) -> list[ScorecardLine]:
    """Compare ``geometry`` and the experiments that were run with the paper."""
    ours = {
        name: result.not_measured if isinstance(result, NotMeasured) else result.paper_numbers()
        for name, result in results.items()
    }
    return [
        _line(f"{section}.{name}", entry, _our_number(section, name, ours))
        for section, entries in paper_numbers().items()
        for name, entry in _flat(entries)
    ]


def to_json(lines: Sequence[ScorecardLine]) -> dict[str, Any]:
    """Return what the file holds."""
    return {"lines": [asdict(line) for line in lines]}


def from_json(lines: Sequence[Mapping[str, Any]]) -> list[ScorecardLine]:
    """Return the lines of a file; DataError when they are damaged, or of an earlier version."""
    return [read_result(ScorecardLine, line, FILE, "validate") for line in lines]


def table(lines: Sequence[ScorecardLine]) -> list[tuple[str, str]]:
    """Return (what, value) rows: each number that an experiment speaks to, then the others."""
    rows = [(f"paper: {it.name}", _sentence(it)) for it in lines if it.section in _MEASURED_BY]
    silent = [line for line in lines if line.section not in _MEASURED_BY]
    for section, group in groupby(silent, key=lambda line: line.section):
        names = ", ".join(line.name.removeprefix(f"{section}.") for line in group)
        rows.append((f"paper: {section}", f"{names}: {NOT_COMPARABLE}: {_UNMEASURED[section]}"))
    return rows


def in_short(lines: Sequence[ScorecardLine]) -> str:
    """Count the verdicts; where the numbers stand."""
    counts = {SAME: 0, DIFFERENT: 0, NOT_COMPARABLE: 0}
    for line in lines:
        counts[line.verdict] += 1
    listed = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    return f"of {len(lines)} numbers {listed} ({FILE})"


COLUMNS = (
    *("number", "paper", "its interval", "its n"),
    *("ours", "interval", "n", "difference", "verdict"),
)


def grid(lines: Sequence[ScorecardLine]) -> list[tuple[str, ...]]:
    """Return one row per number of the paper, with the cells of `COLUMNS`."""
    return [
        (
            line.name,
            _number(line.paper),
            _ends(line.paper_interval),
            _number(line.paper_n),
            _number(line.ours),
            _ends(line.interval),
            _number(line.n),
            _ends(line.difference),
            f"{line.verdict}: {line.why}" if line.why else line.verdict,
        )
        for line in lines
    ]


def side_by_side(runs: Mapping[str, Sequence[ScorecardLine]]) -> list[tuple[str, ...]]:
    """Return rows of one number of the paper and what every run has of it, under their names."""
    rows = [("", "paper", *runs)]
    for lines in zip(*runs.values(), strict=True):
        first = lines[0]
        paper = f"{_number(first.paper)} {_ends(first.paper_interval)}".rstrip()
        rows.append((first.name, paper, *map(_in_cell, lines)))
    counts = [sum(it.verdict != NOT_COMPARABLE for it in lines) for lines in runs.values()]
    rows.append(("", "compared", *(f"{count} of {len(rows) - 1}" for count in counts)))
    return rows


_IN_CELL = {SAME: "no different", DIFFERENT: "different", NOT_COMPARABLE: NOT_COMPARABLE}


def _in_cell(line: ScorecardLine) -> str:
    ours = "" if line.ours is None else f"{_number(line.ours)} {_ends(line.interval)}".rstrip()
    return ": ".join(filter(None, [ours, _IN_CELL[line.verdict]]))


def _sentence(line: ScorecardLine) -> str:
    paper = f"paper {_number(line.paper)}{_between(line.paper_interval, line.paper_n)}"
    if line.ours is None:
        return f"{paper}; {line.verdict}: {line.why}"
    ours = f"ours {_number(line.ours)}{_between(line.interval, line.n)}"
    difference = f", difference {_ends(line.difference)}" if line.difference else ""
    why = f" ({line.why})" if line.why else ""
    return f"{ours}; {paper}: {line.verdict}{difference}{why}"


def _number(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " to ".join(map(_number, value))
    if not _is_number(value):
        return "" if value is None else str(value)
    return f"{value:.3g}"


def _ends(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f"[{interval[0]:.3g}, {interval[1]:.3g}]"


def _between(interval: Sequence[float] | None, n: int | None) -> str:
    parts = [part for part in (_ends(interval), "" if n is None else f"n={n}") if part]
    return f" {', '.join(parts)}" if parts else ""


_LEAVES = ("value", "r", "ci", "n", "norms", "note", "strength", "read_off")


def _flat(entries: Any, prefix: str = "") -> list[tuple[str, Mapping[str, Any]]]:
    """Return (name, {value, n, ci, ...}) of every number below a section."""
    flat: list[tuple[str, Mapping[str, Any]]] = []
    for name, entry in entries.items():
        full = f"{prefix}{name}"
        if not isinstance(entry, Mapping):
            flat.append((full, {"value": entry}))
        elif "value" in entry or "r" in entry:
            flat.append((full, entry))
        else:
            shared = {key: entry[key] for key in ("n", "strength", "read_off") if key in entry}
            inner = {key: part for key, part in entry.items() if key not in _LEAVES}
            flat += [(below, {**shared, **part}) for below, part in _flat(inner, f"{full}.")]
    return flat


def _our_number(
    section: str, name: str, ours: Mapping[str, Mapping[str, RunNumber | str] | str]
) -> RunNumber | str:
    """Return ours, or why there is none."""
    if section not in _MEASURED_BY:
        return _UNMEASURED[section]
    source = _MEASURED_BY[section]
    if source not in ours:
        others = {"geometry": "analyze", "shift": "the command shift"}
        what = others.get(source, f"experiment {source}")
        return f"{what} was not run"
    measured = ours[source]
    if isinstance(measured, str):
        return measured
    # Every replication reports the same two numbers.
    key = name.rpartition(".")[2] if section == "replications" else name
    return measured[f"{section}.{key}"]


def _line(name: str, entry: Mapping[str, Any], ours: RunNumber | str) -> ScorecardLine:
    value = entry.get("r", entry.get("value"))
    if name in _STATED:
        value, interval = _STATED[name]
    else:
        interval = _paper_interval(name, value, entry)
    paper = (name, value, interval, entry.get("n"))
    if isinstance(ours, str):
        return ScorecardLine(*paper, None, None, None, NOT_COMPARABLE, ours)
    here = (ours.value, ours.interval, ours.n)
    if not ours.comparable:
        return ScorecardLine(*paper, *here, NOT_COMPARABLE, ours.note)
    reasons = [why for start, why in _NOT_JUDGED.items() if name.startswith(start)]
    if not reasons and not _is_number(value) and interval is None:
        reasons = ["the paper states it in words"]
    if not reasons and ours.interval is None:
        reasons = ["our value has no interval"]
    if reasons or ours.interval is None:
        why = "; ".join(filter(None, [*reasons, ours.note]))
        return ScorecardLine(*paper, *here, NOT_COMPARABLE, why)
    notes = [ours.note]
    if interval is None:
        notes.insert(0, _AS_EXACT)
    low, high = interval or (float(value), float(value))
    middle = float(value) if _is_number(value) else (low + high) / 2
    between = difference((ours.value, ours.interval), (middle, (low, high)))
    verdict = SAME if between[0] <= 0 <= between[1] else DIFFERENT
    return ScorecardLine(*paper, *here, verdict, "; ".join(filter(None, notes)), between)


def difference(first: tuple[float, Interval], second: tuple[float, Interval]) -> Interval:
    """Return the interval of a difference of two numbers from their own, each value in its own.

    It has their coverage though they be lopsided. Source: Zou & Donner (2008), Statistics in
    Medicine 27, 1693-1702.
    """
    (one, (one_low, one_high)), (other, (other_low, other_high)) = first, second
    apart = one - other
    return (
        apart - math.hypot(one - one_low, other_high - other),
        apart + math.hypot(one_high - one, other - other_low),
    )


def _paper_interval(name: str, value: Any, entry: Mapping[str, Any]) -> Interval | None:
    if "ci" in entry or isinstance(value, list):  # a range stands for an interval
        low, high = entry.get("ci", value)
        return float(low), float(high)
    if not _is_number(value):
        return None
    if "read_off" in entry:
        half = entry["read_off"] * abs(value)
        return value - half, value + half
    if name.split(".")[1].endswith("_r") and "n" in entry:
        half = NormalDist().inv_cdf(0.975) / math.sqrt(entry["n"] - 3)
        z = math.atanh(value)
        return math.tanh(z - half), math.tanh(z + half)
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_STATED: dict[str, tuple[float, Interval | None]] = {
    "scenarios.diagonal": (0.10, None),
    # Of 12 of 12 the exact interval (Clopper & Pearson) begins where all 12 have p = .025.
    "intensity.expected_signs": (12.0, (12 * 0.025 ** (1 / 12), 12.0)),
}
"""Entries that the file states in words."""
