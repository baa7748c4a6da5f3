"""Sample size: how reliable each vector is, and how many stories it takes.

`reliability` measures it; this module says what was found, per emotion and as a curve.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch

from probes.accuracy import Estimate
from probes.experiments import Experiment, Measured
from probes.figures import Figure
from probes.figures.reliability_figures import reliability_by_emotion, sample_size_curve
from probes.folds import Folds
from probes.holdout import CellSums
from probes.materials import Materials
from probes.reliability import factor_needed, half_cosines, spearman_brown
from probes.statistics import bootstrap_indices

WANTED = (0.8, 0.9)
_MIN_TOPICS = 4


def measure(materials: Materials) -> Measured:
    """Split topics in halves, and in smaller disjoint parts."""
    n_topics = len(materials.topics)
    if n_topics < _MIN_TOPICS:
        why = f"Sample size: needs {_MIN_TOPICS} topics or more, this run has {n_topics}."
        return Measured({"sizes": None}, [("sample size", "not measured: too few")], why, [why])
    settings, layer = materials.config.validation, materials.layer
    folds = Folds(materials, 2)
    cells, basis = CellSums(folds.rows(layer), folds.design), folds.basis(layer)()
    topics = list(range(n_topics))
    half = n_topics // 2
    sizes = sorted({1, *(2**power for power in range(1, half.bit_length())), half})
    sizes = [size for size in sizes if size <= half]
    curve, control, last = [], [], torch.zeros(0)
    with materials.reporter.task("sample size", len(sizes), "sizes") as advance:
        for size in sizes:
            own, other = half_cosines(cells, basis, topics, size, settings.n_refits, materials.seed)
            last = own.nanmean(dim=0)
            curve.append(_over_emotions(last, materials))
            control.append(float(other.nanmean()))
            advance(1)
    mean = curve[-1]["value"]
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
        "split_half": dict(zip(materials.emotions, _numbers(last.tolist()), strict=True)),
        "reliability": {
            emotion: None
            if math.isnan(cosine)
            else spearman_brown(max(cosine, 0.0), n_topics / half)
            for emotion, cosine in zip(materials.emotions, last.tolist(), strict=True)
        },
        "mean_reliability": spearman_brown(max(mean, 0.0), n_topics / half),
        "needed": {
            str(wanted): {
                key: _finite(factor_needed(curve[-1][key], wanted) * half * stories)
                for key in ("value", "low", "high")
            }
            for wanted in WANTED
        },
    }
    return Measured(values, _rows(values), _paragraph(values), _limits(values))


def figures(values: Mapping[str, Any]) -> dict[str, Figure]:
    """Describe the curve, and every emotion's reliability."""
    if values["sizes"] is None:
        return {}
    return {
        "sample_size": sample_size_curve(values),
        "reliability_by_emotion": reliability_by_emotion(values),
    }


EXPERIMENT = Experiment(measure, figures)


def _numbers(values: list[float]) -> list[float | None]:
    return [_finite(value) for value in values]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _over_emotions(cosine: torch.Tensor, materials: Materials) -> dict[str, float]:
    """Mean over emotions, with an interval from emotions drawn again."""
    there = cosine[cosine.isfinite()].double()
    draws = bootstrap_indices(len(there), materials.config.validation.n_bootstrap, materials.seed)
    return Estimate.from_draws(float(there.mean()), there[draws].mean(dim=1)).to_json()


def _stories(found: Mapping[str, float | None]) -> str:
    value, low, high = found["value"], found["low"], found["high"]
    if value is None:
        return "no number of stories"
    # More reliable halves need fewer stories, so the ends change places.
    most = "no limit" if low is None else f"{math.ceil(low)}"
    return f"{math.ceil(value)} stories per emotion [{math.ceil(high or 0)}, {most}]"


def _rows(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    last = values["cosine"][-1]
    known = {name: r for name, r in values["reliability"].items() if r is not None}
    weakest = min(known, key=lambda name: known[name])
    return [
        (
            "reliability of the vectors",
            f"{values['mean_reliability']:.2f} (cosine of halves {last['value']:.2f} "
            f"[{last['low']:.2f}, {last['high']:.2f}], n={len(known)} emotions; other emotions "
            f"{values['other_emotions'][-1]:+.2f}); weakest: {weakest} {known[weakest]:.2f}",
        ),
        (
            "stories needed",
            "; ".join(
                f"for {wanted}: {_stories(found)}" for wanted, found in values["needed"].items()
            ),
        ),
    ]


def _paragraph(values: Mapping[str, Any]) -> str:
    last = values["cosine"][-1]
    return (
        f"Vectors of layer {values['layer']} were made twice from disjoint halves of the "
        f"{values['n_topics']} topics ({values['n_splits']} splits). The two vectors of an emotion "
        f"have a cosine of {last['value']:.2f} on average (95% interval over emotions "
        f"{last['low']:.2f} to {last['high']:.2f}), vectors of different emotions "
        f"{values['other_emotions'][-1]:+.2f}. By the Spearman-Brown formula the vectors from all "
        f"topics have a reliability of {values['mean_reliability']:.2f}; "
        + ", ".join(
            f"{wanted} would take {_stories(found)}" for wanted, found in values["needed"].items()
        )
        + "."
    )


def _limits(values: Mapping[str, Any]) -> list[str]:
    if values["mean_reliability"] >= WANTED[0]:
        return []
    return [
        f"Sample size: with {values['n_topics']} topics x {values['stories_per_topic']:.1f} "
        f"stories the vectors' reliability is {values['mean_reliability']:.2f}; "
        f"{WANTED[0]} would take {_stories(values['needed'][str(WANTED[0])])}."
    ]
