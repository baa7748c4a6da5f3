"""Tables of choices of method: the headline statistics under each, their ranges, their bars."""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import computed_field

from probes.analysis.findings import Estimate
from probes.figures.description import Bars
from probes.figures.estimates import bar_of, bars_by_kind

STATISTICS = {
    "valence": "valence |r|",
    "arousal": "arousal |r|",
    "accuracy": "held-out accuracy",
    "clusters": "clusters ARI",
}
"""The headline statistics, and what tables call them."""
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

    def changes(self) -> dict[str, Estimate]:
        """Return the changes whose interval keeps clear of zero."""
        known = {} if self.change is None else self.change.known()
        return {key: it for key, it in known.items() if it.above_zero or (it.high or 0) < 0}


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
