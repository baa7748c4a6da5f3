"""Sample size: how reliable each vector is, and how many stories it takes (`reliability`).

The curve's band is over emotions; every other interval is over topics. What is needed is reckoned
in topics, as many stories on each as here.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from probes.analysis.findings import Estimate, Finding
from probes.analysis.held_out import sum_cells
from probes.analysis.intervals import mean_over
from probes.analysis.reliability import factor_needed, half_cosines, spearman_brown, split_half
from probes.experiments import Experiment, NotMeasured, Result
from probes.experiments.decoding.story_result import too_few_topics
from probes.experiments.folds import TopicFolds
from probes.figures import Figure
from probes.figures.description import Bars, Line, Lines, Panel, Part
from probes.figures.estimates import line_of
from probes.runs.materials import Materials

WANTED = (0.8, 0.9)
_NAME = "Sample size"
_MIN_TOPICS = 4


@dataclass(frozen=True)
class StoriesNeeded:
    """Stories per emotion that a reliability would take; None where no number of them does."""

    value: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.value is None:
            return "no number of stories"
        most = "no limit" if self.high is None else math.ceil(self.high)
        return f"{math.ceil(self.value)} stories per emotion [{math.ceil(self.low or 0)}, {most}]"


@dataclass(frozen=True)
class SampleSize(Result):
    """Agreement of vectors from disjoint topics.

    Cosines are by `sizes`, topics on each side. Reliability is of each emotion's vector from all
    topics; None where its stories are on too few. `needed` is by the reliability that is wanted.
    """

    model: str
    layer: int
    emotions: Sequence[str]
    n_topics: int
    stories_per_topic: float
    n_splits: int
    sizes: Sequence[int]
    cosine: Sequence[Estimate]
    other_emotions: Sequence[float]
    half: Estimate
    reliability: Mapping[str, float | None]
    reliability_interval: Mapping[str, tuple[float, float] | None]
    mean_reliability: float
    mean_reliability_interval: tuple[float, float]
    needed: Mapping[str, StoriesNeeded]

    @property
    def mean(self) -> Estimate:
        """Reliability over all emotions."""
        return Estimate(self.mean_reliability, *self.mean_reliability_interval)

    def known(self) -> dict[str, float]:
        """Return the reliability of every emotion whose stories are on enough topics."""
        return {name: value for name, value in self.reliability.items() if value is not None}

    def findings(self) -> list[Finding]:
        """Say how reliable the vectors are and how many stories they need."""
        known = self.known()
        weakest = min(known, key=lambda name: known[name])
        lowest = Estimate(known[weakest], *(self.reliability_interval[weakest] or ()))
        note = "; ".join(f"for {wanted}: {stories}" for wanted, stories in self.needed.items())
        needed = f"stories needed, on more topics at {self.stories_per_topic:.1f} a topic"
        return [
            Finding(
                "reliability of the vectors",
                self.mean,
                "described",
                n=f"{self.n_topics} topics left out in turn, {len(known)} emotions",
                note=f"cosine of halves {self.half}, of different emotions "
                f"{self.other_emotions[-1]:+.2f}; weakest: {weakest} {lowest}",
                rule="How far vectors from other topics would agree with these; 1 is wholly.",
            ),
            Finding(needed, None, "described", note=note),
        ]

    def paragraph(self) -> str:
        """Tell how the topics were split, and what it says of the vectors."""
        needed = ", ".join(f"{wanted} would take {it}" for wanted, it in self.needed.items())
        return (
            f"Vectors of layer {self.layer} were made twice from disjoint halves of the "
            f"{self.n_topics} topics ({self.n_splits} splits). The two vectors of an emotion have "
            f"a cosine of {self.half} on average (95% interval over topics), vectors of different "
            f"emotions {self.other_emotions[-1]:+.2f}. By the Spearman-Brown formula the vectors "
            f"from all topics have a reliability of {self.mean}; {needed}. That is for more topics "
            f"of {self.stories_per_topic:.1f} stories each: more stories on the same topics help "
            "less, since what a topic does to a vector stays."
        )

    def limits(self) -> list[str]:
        """Say when the vectors are less reliable than the least that is wanted."""
        if self.mean_reliability >= WANTED[0]:
            return []
        return [
            f"{_NAME}: with {self.n_topics} topics x {self.stories_per_topic:.1f} stories the "
            f"vectors' reliability is {self.mean_reliability:.2f}; {WANTED[0]} would take "
            f"{self.needed[str(WANTED[0])]}, on more topics."
        ]

    def figures(self) -> dict[str, Figure]:
        """Describe the curve, and every emotion's reliability."""
        return {"sample_size": _curve(self), "reliability_by_emotion": _by_emotion(self)}


def measure(materials: Materials) -> SampleSize | NotMeasured:
    """Split topics in halves, and in smaller disjoint parts."""
    if (too_few := too_few_topics(_NAME, materials, _MIN_TOPICS)) is not None:
        return too_few
    n_topics, layer = len(materials.topics), materials.layer
    n_splits, half = materials.config.validation.n_refits, n_topics // 2
    folds = TopicFolds(materials, 2)
    cells, basis = sum_cells(folds.rows(layer), folds.design), folds.basis(layer)()
    sizes = sorted({*(2**power for power in range(half.bit_length())), half})
    curve, control = [], []
    options: dict[str, Any] = {"n_splits": n_splits, "seed": materials.seed}
    with materials.reporter.task("sample size", len(sizes) + 1, "sizes") as advance:
        for size in sizes:
            same, different = half_cosines(cells, basis, range(n_topics), size, **options)
            cosine = same.nanmean(dim=0)
            known = cosine[cosine.isfinite()]
            curve.append(mean_over(known))
            control.append(float(different.nanmean()))
            advance(1)
        if not all(map(math.isfinite, control)):
            return NotMeasured(_NAME, "no two emotions are on the same topics")
        each, mean = split_half(cells, basis, range(n_topics), half, **options)
        advance(1)

    def whole(cosine: float) -> float:
        return spearman_brown(max(cosine, 0.0), n_topics / half)

    def ends(estimate: Estimate) -> tuple[float, float]:
        low, high = map(whole, estimate.ends)
        return low, high

    by_emotion = dict(zip(materials.emotions, each, strict=True))
    stories = float(folds.design.weight.sum()) / (n_topics * len(materials.emotions))
    return SampleSize(
        model=materials.index["model"],
        layer=layer,
        emotions=materials.emotions,
        n_topics=n_topics,
        stories_per_topic=stories,
        n_splits=n_splits,
        sizes=sizes,
        cosine=curve,
        other_emotions=control,
        half=mean,
        reliability={name: it and whole(it.value) for name, it in by_emotion.items()},
        reliability_interval={name: it and ends(it) for name, it in by_emotion.items()},
        mean_reliability=whole(mean.value),
        mean_reliability_interval=ends(mean),
        needed={str(wanted): _needed(mean, wanted, half * stories) for wanted in WANTED},
    )


EXPERIMENT = Experiment(SampleSize, measure)


def _needed(halves: Estimate, wanted: float, size: float) -> StoriesNeeded:
    """Stories for a reliability; halves that agree more need fewer, so the ends change places."""
    low, high = halves.ends
    needed = (factor_needed(end, wanted) * size for end in (halves.value, high, low))
    return StoriesNeeded(*(stories if math.isfinite(stories) else None for stories in needed))


def _curve(result: SampleSize) -> Lines:
    """Describe the cosine of an emotion's two vectors as topics are added."""
    sizes = tuple(map(float, result.sizes))
    other = tuple(result.other_emotions)
    lowest = min(-0.1, *(each.ends[0] for each in result.cosine), *other)
    lines = (
        line_of("same emotion", sizes, result.cosine),
        Line(name="different emotions", x=sizes, y=other),
    )
    return Lines(
        title="How many stories a vector needs",
        subtitle=f"{result.model}, layer {result.layer}, {len(result.emotions)} emotions, "
        f"{result.stories_per_topic:.1f} stories per topic, {result.n_splits} splits",
        caption="Cosine of two vectors of the same emotion, each made from its own topics; the "
        "band is the 95% interval over emotions. The lower line: vectors of different emotions. "
        "Where the upper line still climbs, more topics would change the vectors.",
        x_label="topics on each side",
        panels=(Panel(y_label="cosine", lines=lines, y_limits=(lowest, 1.02)),),
    )


def _by_emotion(result: SampleSize) -> Bars:
    """Describe each emotion's reliability, the lowest first."""
    known = result.known()
    order = sorted(known, key=lambda emotion: known[emotion])
    return Bars(
        title="How reliable each emotion's vector is",
        subtitle=f"{result.model}, layer {result.layer}, {result.n_topics} topics x "
        f"{result.stories_per_topic:.1f} stories, {result.n_splits} splits in halves",
        caption="Cosine of an emotion's vectors from two halves of the topics, brought to all "
        "topics by the Spearman-Brown formula. 1: other topics would give the same vector. 0: none "
        f"of it would come back. All emotions together: {result.mean_reliability:.2f}. Lines: 95% "
        "intervals, topics left out in turn.",
        categories=tuple(order),
        parts=(Part(name="reliability", values=tuple(known[emotion] for emotion in order)),),
        category_label="",
        value_label="reliability of the vector from all topics",
        intervals=tuple(result.reliability_interval[emotion] for emotion in order),
        horizontal=True,
    )
