"""Human ratings: whether a leading component follows how people rate the words.

1. Principal components of every layer, turned so that they rise with the rating.
2. At the analyzed layer the best of five components for valence, then the best of the others for
   arousal, each with a permutation p-value of the largest |r| among those searched and an interval
   that pays for the search (`statistics.search_components`).
3. Over all layers and components at once, corrected in the same way for the whole search; arousal
   there is what valence does not explain of it.
4. Arousal with valence partialled out, for the component found, with an interval and a p that hold
   for all searched; correlations as a share of how well two groups of people agree (.95 valence,
   .80 arousal).
5. Leave one emotion out: components, choice and scale from all other emotions predict its rating.
   Where nothing is there such predictions run against the ratings (the others' mean falls as the
   one left out rises), so p comes from ratings dealt out anew and predicted in the same way.

Ratings are dealt out anew 2,000 times at least: `analyze` does, which prints the same correlations,
and fewer would give another p for them.

Norms beyond the shipped ones (Russell & Mehrabian 1977) are read from ``validation.norms``.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from probes.analysis.agreement import MIN_RATED, N_SEARCHED, rating_table
from probes.analysis.geometry import principal_components
from probes.analysis.statistics import (
    partial_correlation,
    pearson,
    permutation_p_value,
    search_components,
)
from probes.experiments.legacy import Experiment, Measured
from probes.experiments.wording import correlation
from probes.figures import Figure
from probes.figures.description import Scatter
from probes.figures.reading import correlation as short
from probes.figures.reading import need, numbers
from probes.runs.materials import Materials
from probes.stimuli.rating_files import Norms, read_norms
from probes.vectors.normalize import normalize

CEILING = {"valence": 0.95, "arousal": 0.80}
"""Correlation between ratings by different groups of people."""
SHIPPED = "Russell & Mehrabian 1977"
MIN_PERMUTATIONS = 2000
"""Permutations behind every p-value of ratings, whatever the settings: they cost nothing."""


def measure(materials: Materials) -> Measured:
    """Compare components with every set of norms at hand."""
    sets: dict[str, Norms] = {SHIPPED: rating_table(materials.emotions)}
    if materials.config.validation.norms is not None:
        name, norms = read_norms(materials.config.validation.norms)
        sets[f"{name} ({Path(materials.config.validation.norms).name})"] = norms
    values = {
        "model": materials.index["model"],
        "layer": materials.layer,
        "n_layers": len(materials.layers),
        "n_permutations": _n_permutations(materials),
        "norms": {name: _compare(materials, norms) for name, norms in sets.items()},
    }
    return Measured(values, _rows(values), _paragraph(values), _limits(values))


def figures(values: Mapping[str, Any]) -> dict[str, Figure]:
    """Describe ratings against components, for the first set of norms that could be compared."""
    for name, found in values["norms"].items():
        if found["valence"] is not None:
            return {
                f"human_{scale}": rating_scatter(values, name, scale)
                for scale in CEILING
                if found[scale] is not None
            }
    return {}


EXPERIMENT = Experiment(measure, figures)


def _n_permutations(materials: Materials) -> int:
    return max(MIN_PERMUTATIONS, materials.config.validation.n_permutations)


def _compare(materials: Materials, norms: Norms) -> dict[str, Any]:
    words = [emotion for emotion in materials.emotions if emotion.lower() in norms]
    result: dict[str, Any] = {"words": words, "n": len(words), "valence": None, "arousal": None}
    if len(words) < MIN_RATED:
        return result
    ratings = {
        scale: torch.tensor([norms[word.lower()][scale] for word in words], dtype=torch.float64)
        for scale in CEILING
    }
    if float(ratings["valence"].std()) == 0:
        return result
    rated = [materials.emotions.index(word) for word in words]
    unit_norm = materials.config.analysis.unit_norm
    vectors = materials.vectors.vectors.double()
    count = min(N_SEARCHED, len(materials.emotions) - 1, vectors.shape[2])
    by_layer = torch.stack(
        [principal_components(layer, count, unit_norm).coordinates[rated] for layer in vectors]
    )
    here = by_layer[materials.vectors.layer_index(materials.layer)]
    options: dict[str, int] = {
        "n_permutations": _n_permutations(materials),
        "seed": materials.seed,
    }
    taken: list[int] = []
    for scale, target in ratings.items():
        if float(target.std()) == 0 or len(taken) >= count:
            continue
        searched = [component for component in range(count) if component not in taken]
        best = search_components(here[:, searched], target, **options)
        component = searched[best.component]
        taken.append(component)
        coordinate = here[:, component] * best.sign
        result[scale] = {
            "component": component,
            "p_corrected": best.p_corrected,
            "n_searched": len(searched),
            "r": best.correlation,
            "n": len(words),
            "low": best.low,
            "high": best.high,
            "share_of_ceiling": best.correlation / CEILING[scale],
            "ratings": target.tolist(),
            "coordinates": coordinate.tolist(),
            "everywhere": _everywhere(by_layer, target, ratings, scale, materials, options),
            "left_out": _leave_one_out(
                vectors[materials.vectors.layer_index(materials.layer)],
                rated,
                target,
                exclude=[] if scale == "valence" else [ratings["valence"]],
                unit_norm=unit_norm,
                **options,
            ),
            "without_one": _without_one(coordinate, target, words),
        }
        if scale == "arousal" and len(words) >= 4:
            found = partial_correlation(
                coordinate, target, ratings["valence"], n_searched=len(searched)
            )
            result[scale]["given_valence"] = {
                "r": found.r,
                "low": _finite(found.low),
                "high": _finite(found.high),
                "p_corrected": found.p,
            }
    return result


def _correlation(
    x: Float[Tensor, "word"], y: Float[Tensor, "word"]
) -> dict[str, float | int | None]:
    found = pearson(x, y)
    low, high = _finite(found.low), _finite(found.high)
    return {"r": found.r, "n": found.n, "low": low, "high": high}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _everywhere(
    by_layer: Float[Tensor, "layer word component"],
    target: Float[Tensor, "word"],
    ratings: Mapping[str, Float[Tensor, "word"]],
    scale: str,
    materials: Materials,
    options: Mapping[str, int],
) -> dict[str, Any]:
    """Best of all layers and components, paying for that search."""
    if scale == "arousal":
        target = _residual(target, ratings["valence"])
    best = search_components(by_layer, target, **options)
    return {
        "layer": materials.layers[best.layer or 0],
        "component": best.component,
        "r": best.correlation,
        "p_corrected": best.p_corrected,
        "n_searched": best.n_searched,
    }


def _residual(y: Float[Tensor, "word"], x: Float[Tensor, "word"]) -> Float[Tensor, "word"]:
    slope, intercept = np.polyfit(x.numpy(), y.numpy(), 1)
    return y - slope * x - intercept


def _leave_one_out(
    vectors: Float[Tensor, "emotion d_model"],
    rated: Sequence[int],
    target: Float[Tensor, "word"],
    *,
    exclude: Sequence[Float[Tensor, "word"]],
    unit_norm: bool,
    n_permutations: int,
    seed: int,
) -> dict[str, float | int | None]:
    """Correlate each rating with its prediction from components that never saw the emotion.

    Parameters
    ----------
    exclude
        Ratings whose best component is not to be used.
    """
    keys = torch.rand(n_permutations, len(target), generator=torch.Generator().manual_seed(seed))
    ratings = torch.cat([target[None], target[keys.argsort(dim=1)]])
    points = normalize(vectors) if unit_norm else vectors
    guesses = predict_left_out(points, rated, ratings, exclude)
    found = _row_correlations(guesses, ratings)
    own, null = float(found[0]), found[1:]
    flat = float(guesses[0].std()) == 0
    ends = {"low": None, "high": None} if flat else _correlation(guesses[0], target)
    p = permutation_p_value(own, null, "greater")
    return {**ends, "r": own, "n": len(target), "p": p, "dealt": float(null.mean())}


def _row_correlations(
    x: Float[Tensor, "draw word"], y: Float[Tensor, "draw word"]
) -> Float[Tensor, "draw"]:
    """Correlate row with row; 0 where a row is flat."""
    x, y = (each - each.mean(dim=1, keepdim=True) for each in (x, y))
    length = x.norm(dim=1) * y.norm(dim=1)
    return torch.where(length > 0, (x * y).sum(dim=1) / length.clamp(min=1e-300), 0.0)


def predict_left_out(
    points: Float[Tensor, "emotion d_model"],
    rated: Sequence[int],
    ratings: Float[Tensor, "draw word"],
    exclude: Sequence[Float[Tensor, "word"]] = (),
) -> Float[Tensor, "draw word"]:
    """Predict the rating of every word from the others, for each of several sets of ratings."""
    predicted = torch.empty_like(ratings)
    for out, place in enumerate(rated):
        others = [other for other in range(len(points)) if other != place]
        kept = [row for row in range(len(rated)) if row != out]
        count = min(N_SEARCHED, len(others) - 1, points.shape[1])
        found = principal_components(points[others], count, unit_norm=False)
        coordinates = found.coordinates[[others.index(rated[row]) for row in kept]]
        free = list(range(count))
        for other in exclude:
            free.remove(_best(coordinates, other[kept], free))
        level = coordinates[:, free].mean(dim=0)
        inside = coordinates[:, free] - level
        length = torch.linalg.vector_norm(inside, dim=0).clamp(min=1e-12)
        position = (points[place] - points[others].mean(dim=0)) @ found.directions[free].T
        mean = ratings[:, kept].mean(dim=1, keepdim=True)
        # Along components of length one a slope is a covariance, and the largest the best r.
        slopes = (ratings[:, kept] - mean) @ (inside / length)
        best = slopes.abs().argmax(dim=1)
        step = ((position - level) / length)[best]
        predicted[:, out] = mean[:, 0] + slopes.gather(1, best[:, None])[:, 0] * step
    return predicted


def _best(
    coordinates: Float[Tensor, "word component"],
    target: Float[Tensor, "word"],
    free: Sequence[int],
) -> int:
    return max(free, key=lambda component: abs(pearson(coordinates[:, component], target).r))


def _without_one(
    coordinate: Float[Tensor, "word"], target: Float[Tensor, "word"], words: Sequence[str]
) -> dict[str, Any]:
    """Smallest correlation when any one emotion is dropped: does one word carry it."""
    found = {}
    for out, word in enumerate(words):
        kept = [row for row in range(len(words)) if row != out]
        found[word] = pearson(coordinate[kept], target[kept]).r
    weakest = min(found, key=lambda word: found[word])
    return {"word": weakest, "r": found[weakest]}


def _left_out(found: Mapping[str, Any]) -> str:
    return f"{correlation(found)} (dealt anew {found['dealt']:+.2f}, p={found['p']:.4f})"


def _rows(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for name, norms in values["norms"].items():
        for scale in CEILING:
            found = norms[scale]
            if found is None:
                continue
            everywhere = found["everywhere"]
            text = (
                f"r {correlation(found)} (PC{found['component'] + 1}, n={found['n']}, "
                f"p={found['p_corrected']:.4f} for {found['n_searched']} PCs), "
                f"{found['share_of_ceiling']:.0%} of the ceiling {CEILING[scale]:.2f}; emotions "
                f"left out {_left_out(found['left_out'])}"
            )
            if "given_valence" in found:
                given = found["given_valence"]
                text += (
                    f"; given valence {correlation(given)} (p={given['p_corrected']:.4f} for "
                    f"{found['n_searched']} PCs)"
                )
            beyond = " beyond valence" if scale == "arousal" else ""
            text += (
                f"; best of {everywhere['n_searched']} PCs in all layers{beyond}: "
                f"{everywhere['r']:.2f}, layer {everywhere['layer']}, "
                f"p={everywhere['p_corrected']:.4f}"
            )
            rows.append((f"human {scale}, {name}", text))
    return rows or [("human ratings", "not compared: too few rated words, or all alike")]


def _paragraph(values: Mapping[str, Any]) -> str:
    parts = []
    for name, norms in values["norms"].items():
        valence, arousal = norms["valence"], norms["arousal"]
        if valence is None:
            parts.append(f"{name} rates {norms['n']} of the emotions: too few to compare.")
            continue
        parts.append(
            f"At layer {values['layer']}, component {valence['component'] + 1} follows the valence "
            f"that people gave {norms['n']} of the words ({name}) at r = {correlation(valence)}, "
            f"which is {valence['share_of_ceiling']:.0%} of what two groups of people reach "
            f"({CEILING['valence']:.2f}); the largest |r| among shuffled ratings is as large with "
            f"p = {valence['p_corrected']:.4f}. Predicting every emotion from components of the "
            f"others gives r = {_left_out(valence['left_out'])}; dropping the word "
            f"{valence['without_one']['word']!r} alone would leave "
            f"{valence['without_one']['r']:.2f}."
        )
        if arousal is not None:
            given = arousal.get("given_valence")
            beyond = ""
            if given:
                beyond = (
                    f" ({correlation(given)} with valence partialled out, "
                    f"p = {given['p_corrected']:.4f})"
                )
            parts.append(
                f"Arousal: r = {correlation(arousal)}{beyond} on component "
                f"{arousal['component'] + 1}, p = {arousal['p_corrected']:.4f}; over all "
                f"{values['n_layers']} layers, what valence does not explain of arousal is "
                "followed at best with r = "
                f"{arousal['everywhere']['r']:.2f} at layer {arousal['everywhere']['layer']}, "
                f"p = {arousal['everywhere']['p_corrected']:.4f} after paying for "
                f"{arousal['everywhere']['n_searched']} components."
            )
    return " ".join(parts)


def _limits(values: Mapping[str, Any]) -> list[str]:
    limits = []
    for name, norms in values["norms"].items():
        if norms["n"] < 20:
            limits.append(f"Human ratings: only {norms['n']} of the emotions are rated in {name}.")
        for scale in CEILING:
            found = norms[scale]
            if found is not None and found["p_corrected"] > 0.05:
                limits.append(
                    f"Human ratings: {scale} ({name}) is not shown at layer {values['layer']} "
                    f"(p={found['p_corrected']:.2f})."
                )
    return limits


def rating_scatter(found: Mapping[str, Any], name: str, scale: str) -> Scatter:
    """Describe one scale's ratings and the component that follows it best.

    Raises
    ------
    DataError
        A part is missing or not finite.
    """
    norms = need(need(found, "norms", "human_ratings"), name, "human_ratings.norms")
    match = need(norms, scale, "human_ratings.norms")
    where = f"human_ratings.{scale}"
    return Scatter(
        title=f"Human {scale} and the component that follows it best",
        subtitle=f"{found['model']}, layer {found['layer']}, n = {match['n']} words ({name}), "
        f"r = {short(match['r'])}, p = {match['p_corrected']:.4f} for "
        f"{match['n_searched']} components",
        caption="Each point is an emotion. The component is turned so that it rises with the "
        f"rating. Emotions predicted from the others alone: r = "
        f"{short(match['left_out']['r'])}.",
        labels=tuple(need(norms, "words", where)),
        x=numbers(need(match, "ratings", where), where),
        y=numbers(need(match, "coordinates", where), where),
        x_label=f"{scale} as people rated it",
        y_label=f"PC{match['component'] + 1} of the vectors",
    )
