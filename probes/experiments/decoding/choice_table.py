"""Tables of choices of method: the headline statistics under each, their ranges, their bars."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from pydantic import computed_field
from scipy.stats import false_discovery_control

from probes.analysis.findings import SIGNIFICANT, Estimate
from probes.figures.description import Bars
from probes.figures.estimates import bar_of, bars_by_kind

STATISTICS = {
    "valence": "valence |r|",
    "arousal": "arousal |r|",
    "accuracy": "held-out accuracy",
    "clusters": "clusters ARI",
}
"""The headline statistics, and what tables call them."""
_TWO_SIDED = NormalDist().inv_cdf(0.975)
_DRAWN = {"valence": "|r|", "accuracy": "accuracy"}


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """The headline statistics, or differences in them; None where one could not be compared."""

    valence: Estimate | None
    arousal: Estimate | None
    accuracy: Estimate
    clusters: Estimate | None

    def known(self) -> dict[str, Estimate]:
        """Return what could be compared."""
        each = {key: getattr(self, key) for key in STATISTICS}
        return {key: estimate for key, estimate in each.items() if estimate is not None}


@dataclass(frozen=True, kw_only=True)
class ChoiceLine(Statistics):
    """The statistics under one choice; `change` is None for the run's own."""

    name: str
    change: Statistics | None

    @computed_field
    @property
    def own(self) -> bool:
        """Whether this is how the run itself does it."""
        return self.change is None

    def tried(self) -> dict[str, Estimate]:
        """Return the changes of all statistics; none for the run's own choice."""
        return {} if self.change is None else self.change.known()


def changes_of(lines: Sequence[ChoiceLine]) -> dict[str, dict[str, Estimate]]:
    """Return what changes more than chance would among so many choices, by line and statistic.

    p-values are those of the intervals, corrected for all of them (Benjamini & Hochberg).
    """
    each = [(line.name, key, it) for line in lines for key, it in line.tried().items()]
    changed: dict[str, dict[str, Estimate]] = {line.name: {} for line in lines}
    if each:
        q = false_discovery_control([_p_value(it) for *_, it in each])
        for (name, key, it), corrected in zip(each, q, strict=True):
            if corrected < SIGNIFICANT:
                changed[name][key] = it
    return changed


def _p_value(change: Estimate) -> float:
    """Two-sided p of a change whose end nearer to zero lies two errors from its middle."""
    low, high = change.ends
    error = abs(change.value - (low if change.value > 0 else high)) / _TWO_SIDED
    if error == 0:
        return float(change.value == 0)
    return 2 * NormalDist().cdf(-abs(change.value) / error)


@dataclass(frozen=True)
class ValueRange:
    """The least and the most that a statistic is, and under which choice."""

    low: float
    lowest: str
    high: float
    highest: str

    def __str__(self) -> str:
        return f"{self.low:.2f} ({self.lowest}) to {self.high:.2f} ({self.highest})"


def spans(lines: Sequence[ChoiceLine]) -> dict[str, ValueRange | None]:
    """Return the range of every statistic over choices."""
    ranges: dict[str, ValueRange | None] = dict.fromkeys(STATISTICS)
    for key in STATISTICS:
        known = {line.name: line.known()[key].value for line in lines if key in line.known()}
        if known:
            low, high = (pick(known, key=lambda name: known[name]) for pick in (min, max))
            ranges[key] = ValueRange(known[low], low, known[high], high)
    return ranges


def written(lines: Sequence[ChoiceLine]) -> str:
    """Write the ranges of all statistics."""
    ranges = spans(lines).items()
    return "; ".join(f"{STATISTICS[key]} {span}" for key, span in ranges if span is not None)


def choice_bars(lines: Sequence[ChoiceLine], *, title: str, subtitle: str, caption: str) -> Bars:
    """Describe one bar per choice and statistic, the run's own choice in another color."""
    kinds = ("this run", "another choice")
    bars = [
        bar_of(f"{short}: {line.name}", kinds[not line.own], line.known()[key])
        for key, short in _DRAWN.items()
        for line in lines
        if key in line.known()
    ]
    return Bars(
        title=title,
        subtitle=subtitle,
        caption="|r|: correlation of a component with human valence. Accuracy: stories on held-out "
        f"topics whose own emotion comes first. {caption} Lines: 95% intervals.",
        value_label="correlation or share of stories",
        **bars_by_kind(bars, kinds, muted=kinds[1:]),
    )
