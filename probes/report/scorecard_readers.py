"""Where a run keeps the numbers that the paper reports too, and how ours differ from them.

Each number of the paper has a `Reader`: the file it is in (``geometry`` or an experiment), and a
function that takes it from there, with its n and interval. Where ours was measured otherwise the
note says how; where that makes a verdict unfair, ``comparable`` is False.

Contract: plain values in, plain values out; no files, no models. Importing it imports no torch and
no scipy.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Interval = tuple[float, float]
PAPER_DOSE = 0.5
"""How strongly the paper steered."""
_PREFILLS = {"he_feels": "He feels", "i_feel": "I feel"}


@dataclass(frozen=True)
class RunNumber:
    """A number of this run."""

    value: float
    interval: Interval | None = None
    n: int | None = None
    note: str = ""
    """How ours differs from the paper's in what was measured."""
    comparable: bool = True
    """False where the note says why it cannot be set against the paper's."""


@dataclass(frozen=True)
class Reader:
    """Where our number is, and how it is taken from there; a text says why there is none."""

    source: str
    read: Callable[[Mapping[str, Any]], RunNumber | str]


def reader_of(name: str) -> Reader | None:
    """Find the reader of a number of the paper; None where nothing here measures it."""
    section, _, rest = name.partition(".")
    if section == "replications":
        return _READERS.get(f"replications.{rest.rpartition('.')[2]}")
    return _READERS.get(name)


def exact_interval(successes: int, trials: int) -> Interval:
    """95% interval of a count (Clopper & Pearson)."""
    from probes.analysis.statistics import binomial_interval

    low, high = binomial_interval(successes, trials)
    return low * trials, high * trials


def _share(component: int) -> Callable[[Mapping[str, Any]], RunNumber | str]:
    def read(geometry: Mapping[str, Any]) -> RunNumber | str:
        pca = geometry["pca"]
        shares, ends = pca["explained_variance_ratio"], pca["explained_variance_ratio_interval"]
        if len(shares) <= component:
            return "too few components"
        interval = None if ends is None else (ends[0][component], ends[1][component])
        return RunNumber(float(shares[component]), interval, len(geometry["emotions"]))

    return read


def _human(
    component: int, scale: str, note: str = ""
) -> Callable[[Mapping[str, Any]], RunNumber | str]:
    def read(geometry: Mapping[str, Any]) -> RunNumber | str:
        human, coordinates = geometry["human"], geometry["pca"]["coordinates"]
        rated = [i for i, emotion in enumerate(geometry["emotions"]) if emotion in human]
        if len(rated) < 4 or len(coordinates[0]) <= component:
            return f"{len(rated)} of this run's emotions have human ratings"
        import torch

        from probes.analysis.statistics import pearson

        x = torch.tensor([coordinates[i][component] for i in rated], dtype=torch.float64)
        y = torch.tensor([human[geometry["emotions"][i]][scale] for i in rated])
        found = pearson(x, y.double())
        ends = (found.low, found.high) if found.r >= 0 else (-found.high, -found.low)
        told = "; ".join(filter(None, [f"|r| of PC{component + 1}", note]))
        return RunNumber(abs(found.r), ends, found.n, told)

    return read


def _clusters(geometry: Mapping[str, Any]) -> RunNumber | str:
    if geometry["kmeans"] is None:
        return "too few emotions for clusters"
    note = "a setting, not a finding"
    return RunNumber(
        float(geometry["kmeans"]["k"]), n=len(geometry["emotions"]), note=note, comparable=False
    )


def _diagonal(scenarios: Mapping[str, Any]) -> RunNumber | str:
    if scenarios["batteries"] is None:
        return "this run has too few of the twelve emotions"
    found = scenarios["batteries"]["held-out"]["uncentered"]
    note = "our own held-out messages, uncentered cosine"
    return RunNumber(found["own"], tuple(found["own_interval"]), found["n"], note)


def _signs(intensity: Mapping[str, Any]) -> RunNumber | str:
    if intensity["expectations"] is None:
        return "this run has none of the emotions"
    found, n = intensity["n_expected"], intensity["n"]
    note = "our own templates"
    if stand_ins := intensity["n_stand_ins"]:
        note += f"; in {stand_ins} a near emotion stands in"
    if n != 12:
        note += f"; {found} of {n} testable expectations, scaled to 12"
    low, high = (end * 12 / n for end in exact_interval(found, n))
    return RunNumber(found * 12 / n, (low, high), n, note)


def _steering(prefill: str, which: str) -> Callable[[Mapping[str, Any]], RunNumber | str]:
    def read(steering: Mapping[str, Any]) -> RunNumber | str:
        carrier = _PREFILLS[prefill]
        nearest = min(steering["doses"], key=lambda one: abs(one["dose"] - PAPER_DOSE))
        found = nearest["by_carrier"].get(carrier)
        if found is None:
            return f"this run did not steer after {carrier!r}"
        effect = found[which]
        ends = (effect["low"], effect["high"])
        return RunNumber(
            effect["value"], ends, len(steering["emotions"]), *_at_dose(nearest["dose"])
        )

    return read


def _at_dose(dose: float, note: str = "") -> tuple[str, bool]:
    """Say our dose, and whether it is the paper's."""
    same = math.isclose(dose, PAPER_DOSE)
    told = "" if same else f"ours at dose {dose:g}, the paper's at {PAPER_DOSE:g}"
    return "; ".join(filter(None, [told, note])), same


def _activities(preferences: Mapping[str, Any]) -> str:
    asked, whole = preferences["n_pairs"], preferences["n_pairs_all"]
    some = "" if asked == whole else f", {asked} of {whole} pairs"
    return f"our own activities{some}"


def _link(name: str) -> Callable[[Mapping[str, Any]], RunNumber | str]:
    def read(preferences: Mapping[str, Any]) -> RunNumber | str:
        link = preferences["emotions"].get(name)
        if link is None:
            return f"this run has no vector of {name!r}"
        ends = (link["low"], link["high"])
        return RunNumber(link["r"], ends, preferences["n_activities"], _activities(preferences))

    return read


def _push(name: str) -> Callable[[Mapping[str, Any]], RunNumber | str]:
    def read(preferences: Mapping[str, Any]) -> RunNumber | str:
        link = preferences["emotions"].get(name)
        if link is None:
            return f"this run has no vector of {name!r}"
        ends = (link["push_low"], link["push_high"])
        note = _at_dose(preferences["dose"], _activities(preferences))
        return RunNumber(link["push"], ends, preferences["n_steered_pairs"], *note)

    return read


def _coupling(preferences: Mapping[str, Any]) -> RunNumber | str:
    found = preferences["coupling"]
    if found is None:
        return "too few emotions"
    note = _at_dose(preferences["dose"], _activities(preferences))
    return RunNumber(found["r"], (found["low"], found["high"]), found["n"], *note)


def _valence(preferences: Mapping[str, Any]) -> RunNumber | str:
    found = preferences["valence"]
    if found is None:
        return "too few emotions with human ratings"
    note = (
        f"ours over the {found['n']} emotions that people rated, the paper's over 171, most of "
        "which the shipped ratings lack"
    )
    return RunNumber(found["r"], (found["low"], found["high"]), found["n"], note, comparable=False)


_REPLICATED = "which words the replication used, and how many, is not recorded"
_READERS: dict[str, Reader] = {
    "geometry.pc1_variance_share": Reader("geometry", _share(0)),
    "geometry.pc2_variance_share": Reader("geometry", _share(1)),
    "geometry.pc1_vs_human_valence": Reader("geometry", _human(0, "valence")),
    "geometry.pc2_vs_human_arousal": Reader("geometry", _human(1, "arousal")),
    "geometry.kmeans_k": Reader("geometry", _clusters),
    "scenarios.diagonal": Reader("scenarios", _diagonal),
    "intensity.expected_signs": Reader("intensity", _signs),
    **{
        f"steering_words.{prefill}.{which}": Reader("steering", _steering(prefill, which))
        for prefill in _PREFILLS
        for which in ("matching", "other")
    },
    **{
        f"preferences.{section}.{name}": Reader("preferences", read(name))
        for section, read in (("probe_vs_elo_r", _link), ("steering_delta_elo", _push))
        for name in ("blissful", "hostile")
    },
    "preferences.coupling_r": Reader("preferences", _coupling),
    "preferences.valence_vs_probe_elo_r": Reader("preferences", _valence),
    "replications.valence": Reader("geometry", _human(0, "valence", _REPLICATED)),
    "replications.arousal": Reader("geometry", _human(1, "arousal", _REPLICATED)),
}
