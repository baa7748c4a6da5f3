"""How well vectors agree with what is known of the emotions: human ratings, the paper's clusters.

The search for a component is part of each statistic, so a null must search too. Intervals pay for
it: that of |r| holds for all components that might have been the best
(`interval_of_best`), and that of a gain is made of two such.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from scipy import stats
from torch import Tensor

from probes.analysis import statistics
from probes.analysis.findings import Estimate
from probes.analysis.geometry import adjusted_rand_index, kmeans_labels, principal_components
from probes.analysis.results import ScaleMatch
from probes.analysis.statistics import best_component, correlate, interval_of_best
from probes.stimuli import human_ratings, paper_clusters

N_SEARCHED = 5
"""Leading components that are searched."""
MIN_RATED = 5
"""Fewer rated words than this are not compared: the interval would span nearly everything."""
_MIN_CLUSTERED = 6
_ALIKE = 0.9
"""Coordinates that correlate more than this are nearly the same."""
_NORMAL = float(stats.norm.ppf(0.975))
Vectors = Float[Tensor, "emotion d_model"]


@dataclass(frozen=True)
class Reference:
    """Which emotions have ratings and clusters, and what they are; None where they are too few."""

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
    """The component that follows a rating best, turned so that `r` is not negative.

    `coordinate` is where the rated emotions lie on it, `searched` on all components searched.
    """

    r: float
    component: int
    coordinate: Float[Tensor, "rated"]
    searched: Float[Tensor, "rated component"]
    rating: Float[Tensor, "rated"]


def reference(emotions: Sequence[str]) -> Reference:
    """Gather ratings and clusters of a run's emotions."""
    rated, table = rated_words(emotions), rating_table(emotions)
    ratings = []
    for scale in ("valence", "arousal"):
        values = [table[emotions[index]][scale] for index in rated]
        rating = torch.tensor(values, dtype=torch.float64)
        comparable = len(rated) >= MIN_RATED and bool(rating.std() > 0)
        ratings.append(rating if comparable else None)
    cluster_of = {
        word: number for number, words in enumerate(paper_clusters().values()) for word in words
    }
    clustered = [index for index, emotion in enumerate(emotions) if emotion in cluster_of]
    clusters = torch.tensor([cluster_of[emotions[i]] for i in clustered], dtype=torch.long)
    enough = len(clustered) >= _MIN_CLUSTERED and 2 <= len(clusters.unique()) < len(clustered)
    return Reference(rated, ratings[0], ratings[1], clustered, clusters if enough else None)


def match_ratings(
    vectors: Vectors, known: Reference, *, unit_norm: bool = True
) -> dict[str, RatingMatch]:
    """Find the best component for valence, then the best other one for arousal, where rated."""
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
    vectors: Vectors, known: Reference, *, seed: int, unit_norm: bool = True
) -> float | None:
    """Agreement of k-means with the paper's clusters; None when too few emotions are known."""
    if known.clusters is None:
        return None
    labels = kmeans_labels(vectors[known.clustered], known.n_clusters, seed, unit_norm)
    return adjusted_rand_index(labels, known.clusters)


def interval_of(match: RatingMatch) -> Estimate:
    """|r| with the 95% interval that pays for the search."""
    correlations = correlate(match.searched.T, match.rating)
    return Estimate(match.r, *interval_of_best(correlations, len(match.rating)))


def gain_in_rating(first: RatingMatch, second: RatingMatch) -> Estimate:
    """|r| of the first less |r| of the second with the same rating of the same emotions.

    The interval is made of both correlations' own (`interval_of`, so it pays for both searches),
    less what two correlations with one series share (Zou 2007, Psychological Methods 12, 399-413,
    doi:10.1037/1082-989X.12.4.399). That is too wide where both coordinates are nearly the same:
    there it is Williams' (1959, J. R. Stat. Soc. B 21, 396-399), widened by what searching costs.
    """
    one, other = interval_of(first), interval_of(second)
    between = min(1.0, float(correlate(first.coordinate, second.coordinate)))
    n = len(first.rating)
    apart = first.r - second.r
    if between >= _ALIKE:
        tops = max(first.r, second.r), max(one.ends[1], other.ends[1])
        largest, end = (math.atanh(min(r, 1 - 1e-9)) for r in tops)
        paid = (end - largest) * math.sqrt(n - 3) / _NORMAL
        half = max(1.0, paid) * _williams(first.r, second.r, between, n)
        return Estimate(apart, apart - half, apart + half)
    shared = _shared(first.r, second.r, between)

    def reach(gained: float, lost: float) -> float:
        return math.sqrt(max(0.0, gained**2 + lost**2 - 2 * shared * gained * lost))

    (one_low, one_high), (other_low, other_high) = one.ends, other.ends
    down = reach(first.r - one_low, other_high - second.r)
    up = reach(one_high - first.r, second.r - other_low)
    return Estimate(apart, apart - down, apart + up)


def _shared(first: float, second: float, between: float) -> float:
    """Correlation of two correlations with one series, from that of the two others (Olkin 1967)."""
    left = 1 - first**2 - second**2 - between**2
    shared = (between - first * second / 2) * left + between**3
    return max(-1.0, min(1.0, shared / max(1e-12, (1 - first**2) * (1 - second**2))))


def _williams(first: float, second: float, between: float, n: int) -> float:
    """Half the interval of a difference of two correlations with one series."""
    determinant = 1 - first**2 - second**2 - between**2 + 2 * first * second * between
    middle = (first + second) ** 2 / 4 * (1 - between) ** 3
    square = 2 * (n - 1) / (n - 3) * max(0.0, determinant) + middle
    error = math.sqrt(square / ((n - 1) * (1 + between)))
    return float(stats.t.ppf(0.975, n - 3)) * error


def rated_words(emotions: Sequence[str]) -> list[int]:
    """Return the indices of the emotions that people have rated."""
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
    n_searched: int = N_SEARCHED,
    exclude: Collection[int] = (),
    n_permutations: int,
    seed: int,
) -> ScaleMatch | None:
    """Find which leading component, none of `exclude`, follows a scale best; None if too few."""
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
    best = statistics.search_components(chosen, target, n_permutations=n_permutations, seed=seed)
    return ScaleMatch(
        component=searched[best.component],
        sign=best.sign,
        r=best.correlation,
        n=len(rated),
        low=best.low,
        high=best.high,
        p_corrected=best.p_corrected,
        n_searched=len(searched),
        n_permutations=n_permutations,
    )
