"""Confounds: what else than its emotion decides how high a story scores.

1. Every story's score on its own emotion's vector, made on other topics (`holdout`).
2. The share of that score's variance among stories of one emotion that topic, length in tokens,
   narrator, writer and leaked words explain (`variance_explained`), over all emotions and in each.
3. The share of the activations' norm and variance that a few dimensions hold, and the mean cosine
   of two stories before and after the mean is subtracted.
4. The headline statistics as they are and with robust options: without the largest
   dimensions, and with every dimension divided by its spread over the stories (no label is used).
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from einops import rearrange, reduce
from jaxtyping import Float, Int
from torch import Tensor

from hooks.errors import InvalidInput
from probes.analysis.held_out import held_out_scores
from probes.analysis.variance_explained import TOPIC, adjusted_r2, variance_explained
from probes.experiments.decoding.figures import explained_by_emotion, robust_bars
from probes.experiments.decoding.robustness import (
    STATISTICS,
    headline_of,
    own_choice,
    sample_of,
)
from probes.experiments.decoding.story_traits import narrator, writers
from probes.experiments.folds import MIN_TOPICS, TopicFolds
from probes.experiments.legacy import Experiment, Measured
from probes.experiments.wording import estimate, signed
from probes.figures import Figure
from probes.runs.materials import Materials, Stories
from probes.stimuli import leaks
from probes.vectors.denoising import outlier_dimensions

DIMENSIONS = (1, 5)
"""How many of the largest dimensions are reported, and dropped."""
_AS_IT_IS = "as it is"


def measure(materials: Materials) -> Measured:
    """Explain the scores, then take away what could carry them."""
    n_topics = len(materials.topics)
    if n_topics < MIN_TOPICS:
        why = f"Confounds: needs {MIN_TOPICS} topics or more, this run has {n_topics}."
        return Measured({"factors": None}, [("confounds", "not measured: too few")], why, [why])
    folds = TopicFolds(materials, materials.config.validation.n_folds)
    stories = materials.stories(materials.layer)
    factors, about = _factors(materials, stories)
    with materials.reporter.task("confounds", 3, "parts") as advance:
        shares, by_emotion, missing = _shares(materials, folds, factors)
        advance(1)
        dimensions, anisotropy = _dimensions(stories.mean), _anisotropy(stories.mean)
        advance(1)
        robust = _robust(materials, folds, stories)
        advance(1)
    values = {
        "model": materials.index["model"],
        "layer": materials.layer,
        "emotions": materials.emotions,
        "n_rows": len(stories.emotion),
        "rows_are": "cell means" if materials.index["per_cell"] else "stories",
        "n_topics": n_topics,
        "n_permutations": materials.config.validation.n_permutations,
        "factors": shares,
        "by_emotion": by_emotion,
        "missing": {**about["missing"], **missing},
        "counts": about["counts"],
        "d_model": stories.mean.shape[1],
        "dimensions": dimensions,
        "anisotropy": anisotropy,
        "robust": robust,
    }
    return Measured(values, _rows(values), _paragraph(values), _limits(values))


def figures(values: Mapping[str, Any]) -> dict[str, Figure]:
    """Describe what explains each emotion's score, and the robust options."""
    if values["factors"] is None:
        return {}
    found: dict[str, Figure] = {"robust_options": robust_bars(values)}
    if values["factors"]:
        found["confounds_by_emotion"] = explained_by_emotion(values)
    return found


EXPERIMENT = Experiment(measure, figures)


def _factors(
    materials: Materials, stories: Stories
) -> tuple[dict[str, Float[Tensor, "row _column"]], dict[str, Any]]:
    """Columns of every factor that this run has, and why it has no others."""
    missing: dict[str, str] = {}
    length = stories.n_tokens.double() / stories.n_texts
    factors = {"length": rearrange(length, "row -> row 1")}
    counts: dict[str, Any] = {
        "tokens": {
            "low": float(length.min()),
            "mean": float(length.mean()),
            "high": float(length.max()),
        }
    }
    if materials.index["per_cell"]:
        for name in ("narrator", "leaked words", "writer"):
            missing[name] = "activations were kept per cell"
        return factors, {"missing": missing, "counts": counts}
    texts = materials.texts(stories)
    narrators = [narrator(text) for text in texts]
    named = [materials.emotions[place] for place in stories.emotion.tolist()]
    leaked = [bool(leaks(text, own)) for text, own in zip(texts, named, strict=True)]
    by = writers(materials, stories)
    counts |= {
        "narrators": dict(sorted(Counter(narrators).items())),
        "leaked": sum(leaked),
        "writers": dict(sorted(Counter(by).items())),
    }
    factors["narrator"] = _levels(narrators)
    if len(set(by)) > 1:
        factors["writer"] = _levels(by)
    else:
        missing["writer"] = "one writer" if by[0] != "unknown" else "no writer is named"
    if any(leaked):
        factors["leaked words"] = rearrange(torch.tensor(leaked).double(), "row -> row 1")
    else:
        filtered = "" if materials.run.brings_corpus else ", the run's own filter saw to it"
        missing["leaked words"] = f"in 0 stories{filtered}"
    return factors, {"missing": missing, "counts": counts}


def _levels(names: Sequence[str]) -> Float[Tensor, "row level"]:
    """One column per level."""
    return torch.stack(
        [torch.tensor([name == level for name in names]) for level in sorted(set(names))], dim=1
    ).double()


def _shares(
    materials: Materials, folds: TopicFolds, factors: Mapping[str, Float[Tensor, "row _column"]]
) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
    """Share of the own score's variance by factor, over all emotions and in each."""
    design, layer = folds.design, materials.layer
    found = held_out_scores(folds.rows(layer), design, folds.bases(layer))
    own = found.gather(1, rearrange(design.emotion, "row -> row 1"))[:, 0].double()
    there = own.isfinite()
    score, emotion, topic = own[there], design.emotion[there], design.topic[there]
    columns = {name: values[there] for name, values in factors.items()}
    settings = materials.config.validation
    try:
        shares = variance_explained(
            score,
            columns,
            emotion,
            topic,
            n_resamples=settings.n_bootstrap,
            n_permutations=settings.n_permutations,
            seed=materials.seed,
        )
    except InvalidInput:
        return {}, {}, dict.fromkeys((TOPIC, *factors), "too few stories")
    missing = {name: "does not vary" for name, share in shares.items() if share is None}
    known = {name: share.to_json() for name, share in shares.items() if share is not None}
    topics = torch.nn.functional.one_hot(topic, len(materials.topics)).double()
    by_emotion = {
        name: {
            factor: adjusted_r2(
                score[emotion == place],
                (topics if factor == TOPIC else columns[factor])[emotion == place],
            )
            for factor in known
        }
        for place, name in enumerate(materials.emotions)
        if int((emotion == place).sum()) > 2
    }
    return known, by_emotion, missing


def _dimensions(mean: Float[Tensor, "row d_model"]) -> dict[str, Any]:
    """Share of norm and of variance in the largest dimensions."""
    rows = mean.double()
    inside = rows - rows.mean(dim=0)
    found: dict[str, Any] = {}
    for k in DIMENSIONS:
        if k >= rows.shape[1]:
            continue
        norm = outlier_dimensions(rearrange(rows, "row d -> row 1 d"), k)
        variance = outlier_dimensions(rearrange(inside, "row d -> row 1 d"), k)
        found[str(k)] = {
            "norm": float(norm.share[0]),
            "norm_dimensions": norm.dimensions[0].tolist(),
            "variance": float(variance.share[0]),
            "variance_dimensions": variance.dimensions[0].tolist(),
            "even": k / rows.shape[1],
        }
    return found


def _anisotropy(mean: Float[Tensor, "row d_model"]) -> dict[str, float]:
    """Mean cosine over all pairs of stories, as they are and less the mean story."""
    rows = mean.double()
    return {
        "before": _mean_cosine(rows),
        "after": _mean_cosine(rows - rows.mean(dim=0)),
    }


def _mean_cosine(rows: Float[Tensor, "row d_model"]) -> float:
    length = torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    together = reduce(rows / length.clamp(min=1e-30), "row d -> d", "sum")
    n = len(rows)
    return float((together @ together - n) / (n * (n - 1)))


def _robust(materials: Materials, folds: TopicFolds, stories: Stories) -> list[dict[str, Any]]:
    """Headline statistics before and after every robust option."""
    sample, choice = sample_of(materials, folds), own_choice(materials)
    before, lines = None, []
    for name, change in _options(stories.mean).items():
        headline = headline_of(materials, sample.changed(change))
        found = headline.outcome(choice)
        before = found if before is None else before
        change_in = None if name == _AS_IT_IS else headline.change(before, found)
        lines.append({"name": name, **headline.to_json(found), "change": change_in})
    return lines


def _options(mean: Float[Tensor, "row d_model"]) -> dict[str, Callable[[Tensor], Tensor]]:
    """Ways to change activations, the unchanged first; stories and neutral samples alike."""
    rows = mean.double()
    spread = rows.std(dim=0)
    scale = torch.where(spread > 0, 1 / spread.clamp(min=1e-30), 0.0)
    energy = rows.square().mean(dim=0)

    def without(dropped: Int[Tensor, "k"]) -> Callable[[Tensor], Tensor]:
        kept = torch.ones(rows.shape[1])
        kept[dropped] = 0.0
        return lambda values: values * kept

    options: dict[str, Callable[[Tensor], Tensor]] = {_AS_IT_IS: lambda values: values}
    for k in DIMENSIONS:
        if k < rows.shape[1]:
            name = "largest dropped" if k == 1 else f"{k} largest dropped"
            options[name] = without(energy.topk(k).indices)
    options["standardized"] = lambda values: (values.double() * scale).float()
    return options


def _share(found: Mapping[str, float]) -> str:
    return f"{found['value']:.1%} [{found['low']:.1%}, {found['high']:.1%}], p={found['p']:.4f}"


def _rows(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    parts = [f"{name} {_share(found)}" for name, found in values["factors"].items()]
    parts += [f"{name}: {why}" for name, why in values["missing"].items()]
    aniso = values["anisotropy"]
    rows = [
        (
            f"confounds, layer {values['layer']}",
            "share of the own emotion's held-out score (adjusted R2, "
            f"n={values['n_rows']} {values['rows_are']}): " + "; ".join(parts),
        ),
        (
            "outlier dimensions",
            "; ".join(
                f"largest {k}: {found['norm']:.1%} of the squared norm, {found['variance']:.1%} of "
                f"the variance (evenly spread: {found['even']:.1%})"
                for k, found in values["dimensions"].items()
            ),
        ),
        (
            "anisotropy",
            f"mean cosine of two {values['rows_are']} {aniso['before']:+.2f}, centered "
            f"{aniso['after']:+.2f}",
        ),
    ]
    for line in values["robust"]:
        text = ", ".join(f"{title} {estimate(line[key])}" for key, title in STATISTICS.items())
        if line["change"] is not None:
            text += f"; change {', '.join(signed(line['change'][key]) for key in STATISTICS)}"
        rows.append((f"robust options: {line['name']}", text))
    return rows


def _paragraph(values: Mapping[str, Any]) -> str:
    said = [
        f"{name} explains {found['value']:.1%} (95% interval over topics {found['low']:.1%} to "
        f"{found['high']:.1%}, p={found['p']:.4f}; {found['beyond']:.1%} beyond the other factors)"
        for name, found in values["factors"].items()
    ]
    text = (
        "Every story was scored on its own emotion's vector, made on other topics. "
        + (
            "Of the variance of that score among stories of one emotion, "
            + "; ".join(said)
            + " (adjusted R2: what says nothing scatters around zero, also below it)."
            if said
            else "There are too few stories to tell what explains these scores."
        )
        + "".join(f" No share for {name}: {why}." for name, why in values["missing"].items())
    )
    narrators = values["counts"].get("narrators")
    if narrators:
        counted = ", ".join(f"{name} {count}" for name, count in narrators.items())
        text += f" Narrators, by pronouns outside quoted speech: {counted}."
    largest = values["dimensions"].get("1")
    if largest:
        text += (
            f" Dimension {largest['norm_dimensions'][0]} alone holds {largest['norm']:.1%} of the "
            f"activations' squared norm, the one that varies most "
            f"({largest['variance_dimensions'][0]}) {largest['variance']:.1%} of the variance "
            f"among stories; evenly spread it would be {largest['even']:.1%}."
        )
    text += (
        f" Two stories have a mean cosine of {values['anisotropy']['before']:.2f}, and of "
        f"{values['anisotropy']['after']:.2f} once the mean is subtracted."
    )
    for line in values["robust"]:
        if line["change"] is None:
            continue
        before = values["robust"][0]
        parts = [
            f"{title} from {before[key]['value']:.2f} to {line[key]['value']:.2f} "
            f"(change {signed(line['change'][key])})"
            for key, title in STATISTICS.items()
            if line[key] is not None and before[key] is not None
        ]
        text += f" Dimensions {line['name']}: {', '.join(parts)}."
    return text


def _limits(values: Mapping[str, Any]) -> list[str]:
    limits = [
        f"Confounds: {name} explains {found['value']:.1%} of an emotion's score among its own "
        f"stories (p={found['p']:.4f}); scores of stories that differ in it are not comparable."
        for name, found in values["factors"].items()
        if found["p"] <= 0.05 and found["low"] > 0
    ]
    if values["counts"].get("leaked"):
        limits.append(
            f"Confounds: {values['counts']['leaked']} of {values['n_rows']} stories name their "
            "emotion or a synonym."
        )
    for line in values["robust"]:
        change = line["change"]
        for key, name in STATISTICS.items():
            if change is not None and change[key] is not None and change[key]["high"] < 0:
                limits.append(
                    f"Confounds: with dimensions {line['name']}, {name} falls by "
                    f"{-change[key]['value']:.2f}: part of it lives in few dimensions or in their "
                    "scale."
                )
    if values["rows_are"] != "stories":
        limits.append(
            "Confounds: activations were kept per cell, so only topic and mean length were tested."
        )
    return limits
