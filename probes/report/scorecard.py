"""A run's numbers beside the paper's: inside its interval, outside, or not comparable and why.

1. Every number of ``paper_scorecard.yaml`` becomes a line.
2. Its interval is the one the paper's n gives: Fisher's z for a correlation, Clopper & Pearson for
   a count; a value read off a chart has the +-20% that reading allows. Others have none.
3. Ours is what `own_numbers` takes from what `analyze` and the experiments left, with its own n and
   interval.
4. Verdict: whether our value lies inside the paper's interval. No threshold is chosen here, and a
   number without an interval, or measured otherwise, is not comparable and says so.

Contract: plain values in, plain values out; no files, no models. Importing it imports no torch and
no scipy: a finished run shows its table without them. An experiment that is absent gives
"not comparable" and its name.
"""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from statistics import NormalDist
from typing import Any

from probes.report.scorecard_readers import Interval, Reader, exact_interval, reader_of
from probes.stimuli import paper_numbers

FILE = "analysis/scorecard.json"
"""Where a run keeps it, below its folder."""
INSIDE = "inside the paper's interval"
OUTSIDE = "outside the paper's interval"
NOT_COMPARABLE = "not comparable"
READ_OFF = 0.2
"""Relative error of a value read off a chart."""

_READ_OFF_CHARTS = ("steering_words.", "behaviour.reward_hacking.")
_UNMEASURED = {
    "reply_token": "it takes conversations with replies; this project reads stories and messages",
    "speakers": "it takes dialogues in which each speaker's emotion is known",
    "deflection": "it takes stories in which a character hides an emotion",
    "post_training": "it takes a model before and after post-training; see the command compare",
    "behaviour": "it takes the paper's long scenarios of an agent at work",
}
"""Why nothing here measures the numbers of a section."""
Results = Mapping[str, Mapping[str, Any] | None]


@dataclass(frozen=True)
class Line:
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


def scorecard(results: Results) -> list[Line]:
    """Compare a run with the paper.

    Parameters
    ----------
    results
        What the files of a run hold: ``geometry`` and experiments by name; None or absent where a
        file is missing.
    """
    paper = paper_numbers()
    lines = []
    for section, entries in paper.items():
        for name, entry in _flat(entries):
            full = f"{section}.{name}"
            lines.append(_line(full, entry, reader_of(full), results))
    return lines


def to_json(lines: list[Line]) -> list[dict[str, Any]]:
    """Return plain values."""
    return [asdict(line) for line in lines]


def table(lines: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Return (what, value) rows: each number that an experiment speaks to, then the others."""
    rows = [(f"paper: {line['name']}", _sentence(line)) for line in lines if _speaks(line)]
    silent = [line for line in lines if not _speaks(line)]
    for section, found in groupby(silent, key=_section):
        names = ", ".join(line["name"].removeprefix(f"{section}.") for line in found)
        rows.append((f"paper: {section}", f"{names}: {NOT_COMPARABLE}: {_UNMEASURED[section]}"))
    return rows


def in_short(lines: Sequence[Mapping[str, Any]]) -> str:
    """Count the verdicts; where the numbers stand."""
    counts = {INSIDE: 0, OUTSIDE: 0, NOT_COMPARABLE: 0}
    for line in lines:
        counts[line["verdict"]] += 1
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    return f"of {len(lines)} numbers {told} ({FILE})"


COLUMNS = ("number", "paper", "its interval", "its n", "ours", "interval", "n", "verdict")


def grid(lines: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return one row per number of the paper, with the cells of `COLUMNS`."""
    return [
        (
            line["name"],
            _number(line["paper"]),
            _ends(line["paper_interval"]),
            _number(line["paper_n"]),
            _number(line["ours"]),
            _ends(line["interval"]),
            _number(line["n"]),
            f"{line['verdict']}: {line['why']}" if line["why"] else line["verdict"],
        )
        for line in lines
    ]


def _section(line: Mapping[str, Any]) -> str:
    return line["name"].split(".")[0]


def _speaks(line: Mapping[str, Any]) -> bool:
    return _section(line) not in _UNMEASURED


def _sentence(line: Mapping[str, Any]) -> str:
    paper = f"paper {_number(line['paper'])}{_between(line['paper_interval'], line['paper_n'])}"
    if line["ours"] is None:
        return f"{paper}; {line['verdict']}: {line['why']}"
    ours = f"ours {_number(line['ours'])}{_between(line['interval'], line['n'])}"
    why = f" ({line['why']})" if line["why"] else ""
    return f"{ours}; {paper}: {line['verdict']}{why}"


def _number(value: Any) -> str:
    if isinstance(value, list | tuple):
        return " to ".join(map(_number, value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "" if value is None else str(value)
    return f"{value:.3g}"


def _ends(interval: Sequence[float] | None) -> str:
    return "" if interval is None else f"[{interval[0]:.3g}, {interval[1]:.3g}]"


def _between(interval: Sequence[float] | None, n: int | None) -> str:
    parts = [part for part in (_ends(interval), "" if n is None else f"n={n}") if part]
    return f" {', '.join(parts)}" if parts else ""


_LEAVES = ("value", "r", "ci", "n", "norms", "note", "strength")


def _flat(entries: Any, prefix: str = "") -> list[tuple[str, Mapping[str, Any]]]:
    """Return (name, {value, n, ci, ...}) of every number below a section."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    for name, entry in entries.items():
        full = f"{prefix}{name}"
        if not isinstance(entry, Mapping):
            found.append((full, {"value": entry}))
        elif "value" in entry or "r" in entry:
            found.append((full, entry))
        else:
            shared = {key: entry[key] for key in ("n", "strength") if key in entry}
            inner = {key: part for key, part in entry.items() if key not in _LEAVES}
            found += [(below, {**shared, **part}) for below, part in _flat(inner, f"{full}.")]
    return found


def _line(
    name: str,
    entry: Mapping[str, Any],
    reader: Reader | None,
    results: Results,
) -> Line:
    value = entry.get("r", entry.get("value"))
    known = _known().get(name)
    if known is not None:
        value, interval = known
    else:
        interval = _paper_interval(name, value, entry)
    shared: dict[str, Any] = {
        "name": name,
        "paper": value,
        "paper_interval": interval,
        "paper_n": entry.get("n"),
    }
    if reader is None:
        why = _UNMEASURED[name.split(".")[0]]
        return Line(**shared, ours=None, interval=None, n=None, verdict=NOT_COMPARABLE, why=why)
    source = results.get(reader.source)
    if source is None:
        what = "analyze was" if reader.source == "geometry" else f"experiment {reader.source} was"
        why = f"{what} not run"
        return Line(**shared, ours=None, interval=None, n=None, verdict=NOT_COMPARABLE, why=why)
    ours = reader.read(source)
    if isinstance(ours, str):
        return Line(**shared, ours=None, interval=None, n=None, verdict=NOT_COMPARABLE, why=ours)
    mine: dict[str, Any] = {"ours": ours.value, "interval": ours.interval, "n": ours.n}
    if not ours.comparable:
        return Line(**shared, **mine, verdict=NOT_COMPARABLE, why=ours.note)
    if interval is None:
        why = "; ".join(filter(None, ["the paper's value has no interval", ours.note]))
        return Line(**shared, **mine, verdict=NOT_COMPARABLE, why=why)
    inside = interval[0] <= ours.value <= interval[1]
    return Line(**shared, **mine, verdict=INSIDE if inside else OUTSIDE, why=ours.note)


def _paper_interval(name: str, value: Any, entry: Mapping[str, Any]) -> Interval | None:
    if "ci" in entry:
        low, high = entry["ci"]
        return float(low), float(high)
    if not isinstance(value, float):
        return None
    if name.startswith(_READ_OFF_CHARTS):
        return _read_off(value)
    if name.split(".")[1].endswith("_r") and "n" in entry:
        half = NormalDist().inv_cdf(0.975) / math.sqrt(entry["n"] - 3)
        z = math.atanh(value)
        return math.tanh(z - half), math.tanh(z + half)
    return None


def _read_off(value: float) -> Interval:
    around = READ_OFF * abs(value)
    return value - around, value + around


@functools.cache
def _known() -> dict[str, tuple[float, Interval]]:
    """Entries that the file states in words."""
    return {
        "scenarios.diagonal": (0.10, _read_off(0.10)),
        "intensity.expected_signs": (12.0, exact_interval(12, 12)),
    }
