"""Numbers that say how good a set of vectors is, the same way for every set.

1. Valence: |r| of human valence with the leading principal component that follows it best; arousal:
   the same with the best of the other components.
2. Clusters: adjusted Rand index of k-means against the paper's clusters, k being the number of
   those clusters that the run's emotions fall into.

Contract: pure. The search for a component is part of the statistic, so a null must search too.
Intervals pay for it: that of |r| holds for all components that might have been the best
(`statistics.interval_of_best`); that of a gain adds by how much the best component of each draw of
emotions exceeds that of all emotions.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from probes.analysis.findings import Estimate
from probes.analysis.geometry import adjusted_rand_index, kmeans_labels, principal_components
from probes.analysis.intervals import percentile_interval
from probes.analysis.resampling import resample
from probes.analysis.statistics import (
    best_component,
    correlate,
    interval_of_best,
    search_components,
)
from probes.stimuli import human_ratings, paper_clusters

N_SEARCHED = 5
"""Leading components that are searched."""
MIN_CLUSTERED = 6
"""Fewer known emotions than this are not compared with the paper's clusters."""


@dataclass(frozen=True)
class Reference:
    """What is known of the emotions from elsewhere: human ratings, and the paper's clusters.

    `rated` and `clustered` are indices of the emotions that have them; `valence`, `arousal` and
    `clusters` are None when there are too few.
    """

    rated: list[int]
    valence: Float[Tensor, "rated"] | None
    arousal: Float[Tensor, "rated"] | None
    clustered: list[int]
    clusters: Int[Tensor, "clustered"] | None

    @property
    def n_clusters(self) -> int:
        """Number of the paper's clusters among these emotions."""
        return 0 if self.clusters is None else len(self.clusters.unique())


@dataclass(frozen=True)
class RatingMatch:
    """The component that follows a rating best, turned so that it rises with it.

    `coordinate` is where the rated emotions lie on it, `searched` on every component that was
    searched.
    """

    r: float
    component: int
    coordinate: Float[Tensor, "rated"]
    searched: Float[Tensor, "rated component"]
    rating: Float[Tensor, "rated"]


def reference(emotions: Sequence[str]) -> Reference:
    """Gather ratings and clusters of a run's emotions."""
    rated = rated_words(emotions)
    table = rating_table(emotions)
    ratings = []
    for scale in ("valence", "arousal"):
        values = [table[emotions[place]][scale] for place in rated]
        given = torch.tensor(values, dtype=torch.float64)
        comparable = len(rated) >= MIN_RATED and bool(given.std() > 0)
        ratings.append(given if comparable else None)
    owner = {
        word: number for number, words in enumerate(paper_clusters().values()) for word in words
    }
    clustered = [place for place, emotion in enumerate(emotions) if emotion in owner]
    clusters = torch.tensor([owner[emotions[place]] for place in clustered], dtype=torch.long)
    n_clusters = len(clusters.unique())
    enough = len(clustered) >= MIN_CLUSTERED and 2 <= n_clusters < len(clustered)
    return Reference(rated, ratings[0], ratings[1], clustered, clusters if enough else None)


def match_ratings(
    vectors: Float[Tensor, "emotion d_model"], known: Reference, *, unit_norm: bool = True
) -> dict[str, RatingMatch]:
    """Find the components that follow valence and arousal; empty when too few are rated."""
    count = min(N_SEARCHED, len(vectors) - 1, vectors.shape[1])
    matches: dict[str, RatingMatch] = {}
    coordinates, free = None, list(range(count))
    for scale, rating in (("valence", known.valence), ("arousal", known.arousal)):
        if rating is None or not free:
            continue
        if coordinates is None:
            components = principal_components(vectors.double(), count, unit_norm)
            coordinates = components.coordinates[known.rated]
        searched = coordinates[:, free]
        best, correlations = best_component(searched.T, rating)
        r = float(correlations[best])
        coordinate = searched[:, best] * (1.0 if r >= 0 else -1.0)
        matches[scale] = RatingMatch(abs(r), free.pop(best), coordinate, searched, rating)
    return matches


def cluster_ari(
    vectors: Float[Tensor, "emotion d_model"],
    known: Reference,
    *,
    seed: int,
    unit_norm: bool = True,
) -> float | None:
    """Agreement of k-means with the paper's clusters; None when too few emotions are known."""
    if known.clusters is None:
        return None
    chosen = vectors[known.clustered]
    labels = kmeans_labels(chosen, known.n_clusters, seed, unit_norm)
    return adjusted_rand_index(labels, known.clusters)


def interval_of(match: RatingMatch) -> Estimate:
    """|r| with the 95% interval that pays for the search."""
    correlations = correlate(match.searched.T, match.rating)
    return Estimate(match.r, *interval_of_best(correlations, len(match.rating)))


def gain_in_rating(
    first: RatingMatch, second: RatingMatch, n_resamples: int, seed: int
) -> Estimate:
    """|r| of the first less |r| of the second, rated emotions drawn again in pairs.

    The interval also holds where it would lie less what the two searches gain. Draws in which
    everything is equal are left out.
    """
    draws = resample(len(first.rating), n_resamples, seed)
    (one, best_one), (two, best_two) = (_drawn_again(match, draws) for match in (first, second))
    fixed, searched = one - two, best_one - best_two
    there = fixed.isfinite() & searched.isfinite()
    low, high = (float(end) for end in percentile_interval(fixed[there]))
    gained = float((searched[there] - fixed[there]).mean())
    return Estimate(first.r - second.r, min(low, low - gained), max(high, high - gained))


def _drawn_again(
    match: RatingMatch, draws: Int[Tensor, "resample rated"]
) -> tuple[Float[Tensor, "resample"], Float[Tensor, "resample"]]:
    """Correlation of the matched component, and the largest |r| of all searched, in every draw."""
    target = match.rating[draws]
    searched = [correlate(coordinate[draws], target).abs() for coordinate in match.searched.T]
    return correlate(match.coordinate[draws], target), torch.stack(searched).amax(dim=0)


MIN_RATED = 5
"""Fewer rated words than this are not compared: the interval would span nearly everything."""


def rated_words(emotions: Sequence[str]) -> list[int]:
    """Return the places of the emotions that people have rated."""
    ratings = human_ratings()
    return [index for index, emotion in enumerate(emotions) if emotion in ratings]


def rating_table(emotions: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return valence and arousal of the rated emotions, in -1..1."""
    ratings = human_ratings()
    return {
        emotion: {"valence": ratings[word].pleasure, "arousal": ratings[word].arousal}
        for emotion in emotions
        if (word := emotion.lower()) in ratings
    }


def match_component(
    coordinates: Float[Tensor, "emotion component"],
    emotions: Sequence[str],
    scale: str,
    *,
    n_searched: int,
    exclude: Collection[int] = (),
    n_permutations: int,
    seed: int,
) -> dict[str, Any] | None:
    """Find which of the `n_searched` leading components follows a rating scale best.

    Components of `exclude` are taken by another scale; `n_permutations` shuffles give
    ``p_corrected``. Returns ``component, sign, r, n, low, high, p_corrected, n_searched``; None
    with too few rated words.
    """
    rated = rated_words(emotions)
    if len(rated) < MIN_RATED:
        return None
    table = rating_table(emotions)
    target = torch.tensor([table[emotions[index]][scale] for index in rated], dtype=torch.float64)
    count = min(n_searched, coordinates.shape[1])
    searched = [component for component in range(count) if component not in exclude]
    if not searched or target.std() == 0:
        return None
    chosen = coordinates[rated][:, searched].double()
    best = search_components(chosen, target, n_permutations=n_permutations, seed=seed)
    return {
        "component": searched[best.component],
        "sign": best.sign,
        "r": best.correlation,
        "n": len(rated),
        "low": best.low,
        "high": best.high,
        "p_corrected": best.p_corrected,
        "n_searched": len(searched),
    }
