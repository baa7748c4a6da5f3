"""Sample size: how reliable each vector is, and how many stories it takes.

`reliability` measures it; this module says what was found, per emotion and as a curve. The curve's
band is over emotions; every other interval is over topics. What is needed is reckoned in topics, as
many stories on each as here.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from probes.analysis.held_out import CellSums
from probes.analysis.intervals import Estimate
from probes.analysis.reliability import factor_needed, half_cosines, spearman_brown, split_half
from probes.analysis.statistics import bootstrap_indices
from probes.experiments import Experiment, Measured
from probes.experiments.folds import TopicFolds
from probes.experiments.wording import estimate
from probes.figures import Figure
from probes.figures.description import Bars, Line, Lines, Panel, Part
from probes.figures.estimates import line_of
from probes.figures.reading import need, number, numbers
from probes.runs.materials import Materials

WANTED = (0.8, 0.9)
_MIN_TOPICS = 4


def measure(materials: Materials) -> Measured:
    """Split topics in halves, and in smaller disjoint parts."""
    n_topics = len(materials.topics)
    if n_topics < _MIN_TOPICS:
        return _left_out(f"needs {_MIN_TOPICS} topics or more, this run has {n_topics}", "too few")
    settings, layer = materials.config.validation, materials.layer
    folds = TopicFolds(materials, 2)
    cells, basis = CellSums(folds.rows(layer), folds.design), folds.basis(layer)()
    topics = list(range(n_topics))
    half = n_topics // 2
    sizes = sorted({1, *(2**power for power in range(1, half.bit_length())), half})
    sizes = [size for size in sizes if size <= half]
    curve, control = [], []
    options: dict[str, Any] = {"n_splits": settings.n_refits, "seed": materials.seed}
    with materials.reporter.task("sample size", len(sizes) + 1, "sizes") as advance:
        for size in sizes:
            own, other = half_cosines(cells, basis, topics, size, **options)
            curve.append(_over_emotions(own.nanmean(dim=0), materials))
            control.append(float(other.nanmean()))
            advance(1)
        if not all(map(math.isfinite, control)):
            return _left_out("no two emotions are on the same topics", "nothing to compare with")
        each, mean = split_half(cells, basis, topics, half, **options)
        advance(1)

    def whole(cosine: float) -> float:
        return spearman_brown(max(cosine, 0.0), n_topics / half)

    stories = float(folds.design.weight.sum()) / (n_topics * len(materials.emotions))
    values = {
        "model": materials.index["model"],
        "layer": layer,
        "emotions": materials.emotions,
        "n_topics": n_topics,
        "stories_per_topic": stories,
        "n_splits": settings.n_refits,
        "sizes": sizes,
        "cosine": curve,
        "other_emotions": control,
        "half": mean.to_json(),
        "reliability": {
            emotion: None if found is None else whole(found.value)
            for emotion, found in zip(materials.emotions, each, strict=True)
        },
        "reliability_interval": {
            emotion: None if found is None else [whole(found.low), whole(found.high)]
            for emotion, found in zip(materials.emotions, each, strict=True)
        },
        "mean_reliability": whole(mean.value),
        "mean_reliability_interval": [whole(mean.low), whole(mean.high)],
        "needed": {str(wanted): _needed(mean, wanted, half * stories) for wanted in WANTED},
    }
    return Measured(values, _rows(values), _paragraph(values), _limits(values))


def _left_out(why: str, short: str) -> Measured:
    said = f"Sample size: {why}."
    return Measured({"sizes": None}, [("sample size", f"not measured: {short}")], said, [said])


def figures(values: Mapping[str, Any]) -> dict[str, Figure]:
    """Describe the curve, and every emotion's reliability."""
    if values["sizes"] is None:
        return {}
    return {
        "sample_size": sample_size_curve(values),
        "reliability_by_emotion": reliability_by_emotion(values),
    }


EXPERIMENT = Experiment(measure, figures)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _over_emotions(cosine: torch.Tensor, materials: Materials) -> dict[str, float]:
    """Mean over emotions, with an interval from emotions drawn again."""
    there = cosine[cosine.isfinite()].double()
    draws = bootstrap_indices(len(there), materials.config.validation.n_bootstrap, materials.seed)
    return Estimate.from_draws(float(there.mean()), there[draws].mean(dim=1)).to_json()


def _needed(halves: Estimate, wanted: float, size: float) -> dict[str, float | None]:
    """Stories for a reliability; halves that agree more need fewer, so the ends change places."""
    ends = {"value": halves.value, "low": halves.high, "high": halves.low}
    return {key: _finite(factor_needed(end, wanted) * size) for key, end in ends.items()}


def _stories(found: Mapping[str, float | None]) -> str:
    value, low, high = found["value"], found["low"], found["high"]
    if value is None:
        return "no number of stories"
    most = "no limit" if high is None else f"{math.ceil(high)}"
    return f"{math.ceil(value)} stories per emotion [{math.ceil(low or 0)}, {most}]"


def _rows(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    known = {name: r for name, r in values["reliability"].items() if r is not None}
    weakest = min(known, key=lambda name: known[name])
    return [
        (
            "reliability of the vectors",
            f"{_with(values['mean_reliability'], values['mean_reliability_interval'])} (cosine of "
            f"halves {estimate(values['half'])}, n={values['n_topics']} topics left out in turn, "
            f"{len(known)} emotions; other emotions {values['other_emotions'][-1]:+.2f}); weakest: "
            f"{weakest} {_with(known[weakest], values['reliability_interval'][weakest])}",
        ),
        (
            f"stories needed, on more topics at {values['stories_per_topic']:.1f} a topic",
            "; ".join(
                f"for {wanted}: {_stories(found)}" for wanted, found in values["needed"].items()
            ),
        ),
    ]


def _with(value: float, interval: Sequence[float]) -> str:
    return estimate({"value": value, "low": interval[0], "high": interval[1]})


def _paragraph(values: Mapping[str, Any]) -> str:
    return (
        f"Vectors of layer {values['layer']} were made twice from disjoint halves of the "
        f"{values['n_topics']} topics ({values['n_splits']} splits). The two vectors of an emotion "
        f"have a cosine of {estimate(values['half'])} on average (95% interval over topics), "
        f"vectors of different emotions {values['other_emotions'][-1]:+.2f}. By the Spearman-Brown "
        "formula the vectors from all topics have a reliability of "
        f"{_with(values['mean_reliability'], values['mean_reliability_interval'])}; "
        + ", ".join(
            f"{wanted} would take {_stories(found)}" for wanted, found in values["needed"].items()
        )
        + f". That is for more topics of {values['stories_per_topic']:.1f} stories each: more "
        "stories on the same topics help less, since what a topic does to a vector stays."
    )


def _limits(values: Mapping[str, Any]) -> list[str]:
    if values["mean_reliability"] >= WANTED[0]:
        return []
    return [
        f"Sample size: with {values['n_topics']} topics x {values['stories_per_topic']:.1f} "
        f"stories the vectors' reliability is {values['mean_reliability']:.2f}; "
        f"{WANTED[0]} would take {_stories(values['needed'][str(WANTED[0])])}, on more topics."
    ]


def sample_size_curve(found: Mapping[str, Any]) -> Lines:
    """Describe the cosine of an emotion's two vectors as topics are added.

    Raises
    ------
    DataError
        A part is missing or not finite.
    """
    sizes = numbers(need(found, "sizes", "sample_size"), "sample_size.sizes")
    cosine = need(found, "cosine", "sample_size")
    other = numbers(need(found, "other_emotions", "sample_size"), "sample_size.other_emotions")
    same = line_of("same emotion", sizes, cosine, "sample_size.cosine")
    return Lines(
        title="How many stories a vector needs",
        subtitle=f"{found['model']}, layer {found['layer']}, {len(found['emotions'])} emotions, "
        f"{found['stories_per_topic']:.1f} stories per topic, {found['n_splits']} splits",
        caption="Cosine of two vectors of the same emotion, each made from its own topics; the "
        "band is the 95% interval over emotions. The lower line: vectors of different emotions. "
        "Where the upper line still climbs, more topics would change the vectors.",
        x_label="topics on each side",
        panels=(
            Panel(
                y_label="cosine",
                lines=(
                    same,
                    Line(name="different emotions", x=sizes, y=other),
                ),
                y_limits=(min(-0.1, *(each["low"] for each in cosine), *other), 1.02),
            ),
        ),
    )


def reliability_by_emotion(found: Mapping[str, Any]) -> Bars:
    """Describe each emotion's reliability, the lowest first.

    Raises
    ------
    DataError
        A part is missing or not finite.
    """
    known = {
        emotion: number(value, f"sample_size.reliability.{emotion}")
        for emotion, value in need(found, "reliability", "sample_size").items()
        if value is not None
    }
    order = sorted(known, key=lambda emotion: known[emotion])
    ends = need(found, "reliability_interval", "sample_size")
    intervals = tuple((float(ends[name][0]), float(ends[name][1])) for name in order)
    mean = number(need(found, "mean_reliability", "sample_size"), "sample_size.mean_reliability")
    return Bars(
        title="How reliable each emotion's vector is",
        subtitle=f"{found['model']}, layer {found['layer']}, {found['n_topics']} topics x "
        f"{found['stories_per_topic']:.1f} stories, {found['n_splits']} splits in halves",
        caption="Cosine of an emotion's vectors from two halves of the topics, brought to all "
        "topics by the Spearman-Brown formula. 1: other topics would give the same vector. 0: none "
        f"of it would come back. All emotions together: {mean:.2f}. Lines: 95% intervals, topics "
        "left out in turn.",
        categories=tuple(order),
        parts=(Part(name="reliability", values=tuple(known[emotion] for emotion in order)),),
        category_label="",
        value_label="reliability of the vector from all topics",
        intervals=intervals,
        horizontal=True,
    )
