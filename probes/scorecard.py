"""A run's numbers beside the paper's: inside its interval, outside, or not comparable and why.

1. Every number of ``paper_scorecard.yaml`` becomes a line.
2. Its interval is the one the paper's n gives: Fisher's z for a correlation, Clopper & Pearson for
   a count; a value read off a chart has the +-20% that reading allows. Others have none.
3. Ours is taken from what `analyze` and the experiments left, with its own n and interval.
4. Verdict: whether our value lies inside the paper's interval. No threshold is chosen here, and a
   number without an interval, or measured otherwise, is not comparable and says so.

Contract: plain values in, plain values out; no files, no models. Importing it imports no torch and
no scipy: a finished run shows its table without them. An experiment that is absent gives
"not comparable" and its name.
"""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any

from probes.stimuli import paper_numbers

FILE = "analysis/scorecard.json"
"""Where a run keeps it, below its folder."""
INSIDE = "inside the paper's interval"
OUTSIDE = "outside the paper's interval"
NOT_COMPARABLE = "not comparable"
READ_OFF = 0.2
"""Relative error of a value read off a chart."""

Interval = tuple[float, float]
Results = Mapping[str, Mapping[str, Any] | None]


@dataclass(frozen=True)
class Ours:
    """A number of this run."""

    value: float
    interval: Interval | None = None
    n: int | None = None
    note: str = ""
    """How ours differs from the paper's in what was measured."""
    comparable: bool = True
    """False where the note says why it cannot be set against the paper's."""


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
            lines.append(_line(full, entry, _READERS.get(full), results))
    return lines


def to_json(lines: list[Line]) -> list[dict[str, Any]]:
    """Return plain values."""
    return [asdict(line) for line in lines]


def table(lines: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return (what, value) rows: each number that an experiment speaks to, and how many more."""
    if not lines:
        return []
    rows, silent = [], 0
    for line in lines:
        if line["name"] not in _READERS:
            silent += 1
            continue
        rows.append((f"paper: {line['name']}", _sentence(line)))
    rows.append(("paper: other numbers", f"{silent}, not comparable: nothing here measures them"))
    return rows


def _sentence(line: Mapping[str, Any]) -> str:
    paper = f"paper {_number(line['paper'])}{_between(line['paper_interval'], line['paper_n'])}"
    if line["ours"] is None:
        return f"{paper}; {line['verdict']}: {line['why']}"
    ours = f"ours {_number(line['ours'])}{_between(line['interval'], line['n'])}"
    why = f" ({line['why']})" if line["why"] else ""
    return f"{ours}; {paper}: {line['verdict']}{why}"


def _number(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, int | float) else str(value)


def _between(interval: Sequence[float] | None, n: int | None) -> str:
    parts = [] if interval is None else [f"[{interval[0]:.3g}, {interval[1]:.3g}]"]
    parts += [] if n is None else [f"n={n}"]
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
    reader: "Reader | None",
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
        why = "nothing in this project measures it yet"
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
    is_correlation = name.split(".")[1].endswith("_r")
    if is_correlation and "n" in entry and isinstance(value, float):
        half = NormalDist().inv_cdf(0.975) / math.sqrt(entry["n"] - 3)
        z = math.atanh(value)
        return math.tanh(z - half), math.tanh(z + half)
    return None


def _exact(successes: int, trials: int) -> Interval:
    from scipy import stats

    found = stats.binomtest(successes, trials).proportion_ci()
    return float(found.low) * trials, float(found.high) * trials


@functools.cache
def _known() -> dict[str, tuple[float, Interval]]:
    """Entries that the file states in words."""
    return {
        "scenarios.diagonal": (0.10, (0.10 * (1 - READ_OFF), 0.10 * (1 + READ_OFF))),
        "intensity.expected_signs": (12.0, _exact(12, 12)),
    }


# ---- our side -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reader:
    """Where our number is, and how it is taken from there; a text says why there is none."""

    source: str
    read: Callable[[Mapping[str, Any]], Ours | str]


def _share(component: int) -> Callable[[Mapping[str, Any]], Ours | str]:
    def read(geometry: Mapping[str, Any]) -> Ours | str:
        shares = geometry["pca"]["explained_variance_ratio"]
        if len(shares) <= component:
            return "too few components"
        return Ours(float(shares[component]), n=len(geometry["emotions"]))

    return read


def _human(component: int, scale: str) -> Callable[[Mapping[str, Any]], Ours | str]:
    def read(geometry: Mapping[str, Any]) -> Ours | str:
        human, coordinates = geometry["human"], geometry["pca"]["coordinates"]
        rated = [i for i, emotion in enumerate(geometry["emotions"]) if emotion in human]
        if len(rated) < 4 or len(coordinates[0]) <= component:
            return f"{len(rated)} of this run's emotions have human ratings"
        import torch

        from probes.statistics import pearson

        x = torch.tensor([coordinates[i][component] for i in rated], dtype=torch.float64)
        y = torch.tensor([human[geometry["emotions"][i]][scale] for i in rated])
        found = pearson(x, y.double())
        ends = (found.low, found.high) if found.r >= 0 else (-found.high, -found.low)
        return Ours(abs(found.r), ends, found.n, f"|r| of PC{component + 1}")

    return read


def _clusters(geometry: Mapping[str, Any]) -> Ours | str:
    if geometry["kmeans"] is None:
        return "too few emotions for clusters"
    note = "a setting, not a finding"
    return Ours(
        float(geometry["kmeans"]["k"]), n=len(geometry["emotions"]), note=note, comparable=False
    )


def _diagonal(scenarios: Mapping[str, Any]) -> Ours | str:
    if scenarios["batteries"] is None:
        return "this run has too few of the twelve emotions"
    found = scenarios["batteries"]["held-out"]["uncentered"]
    return Ours(found["own"], n=found["n"], note="held-out messages, uncentered cosine")


def _signs(intensity: Mapping[str, Any]) -> Ours | str:
    if intensity["expectations"] is None:
        return "this run has none of the emotions"
    found, n = intensity["n_expected"], intensity["n"]
    if n != 12:
        low, high = (end * 12 / n for end in _exact(found, n))
        note = f"{found} of {n} testable expectations, scaled to 12"
        return Ours(found * 12 / n, (low, high), n, note)
    return Ours(float(found), _exact(found, n), n)


def _steering(which: str) -> Callable[[Mapping[str, Any]], Ours | str]:
    def read(steering: Mapping[str, Any]) -> Ours | str:
        dose = max(steering["doses"], key=lambda one: one["dose"])
        note = (
            f"ours at dose {dose['dose']:g}, averaged over {len(steering['carriers'])} prefills; "
            "the paper's at 0.5 after this one"
        )
        low, high = dose[f"{which}_interval"]
        n = len(steering["emotions"])
        return Ours(dose[which], (low, high), n, note, comparable=False)

    return read


def _emotion(name: str, key: str) -> Callable[[Mapping[str, Any]], Ours | str]:
    def read(preferences: Mapping[str, Any]) -> Ours | str:
        link = preferences["emotions"].get(name)
        if link is None:
            return f"this run has no vector of {name!r}"
        if key == "r":
            return Ours(link["r"], (link["low"], link["high"]), preferences["n_activities"])
        note = f"ours at dose {preferences['dose']:g}, the paper's at 0.5"
        ends = (link["push_low"], link["push_high"])
        return Ours(link["push"], ends, preferences["n_steered_pairs"], note, comparable=False)

    return read


def _correlation(key: str, note: str) -> Callable[[Mapping[str, Any]], Ours | str]:
    def read(preferences: Mapping[str, Any]) -> Ours | str:
        found = preferences[key]
        if found is None:
            return "too few emotions"
        return Ours(found["r"], (found["low"], found["high"]), found["n"], note)

    return read


_READERS: dict[str, Reader] = {
    "geometry.pc1_variance_share": Reader("geometry", _share(0)),
    "geometry.pc2_variance_share": Reader("geometry", _share(1)),
    "geometry.pc1_vs_human_valence": Reader("geometry", _human(0, "valence")),
    "geometry.pc2_vs_human_arousal": Reader("geometry", _human(1, "arousal")),
    "geometry.kmeans_k": Reader("geometry", _clusters),
    "scenarios.diagonal": Reader("scenarios", _diagonal),
    "intensity.expected_signs": Reader("intensity", _signs),
    **{
        f"steering_words.{prefill}.{which}": Reader("steering", _steering(which))
        for prefill in ("he_feels", "i_feel")
        for which in ("matching", "other")
    },
    **{
        f"preferences.{section}.{name}": Reader("preferences", _emotion(name, key))
        for section, key in (("probe_vs_elo_r", "r"), ("steering_delta_elo", "push"))
        for name in ("blissful", "hostile")
    },
    "preferences.coupling_r": Reader("preferences", _correlation("coupling", "")),
    "preferences.valence_vs_probe_elo_r": Reader(
        "preferences", _correlation("valence", "ours with human ratings of the rated emotions")
    ),
}
