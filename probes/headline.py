"""Three numbers that say how good a set of vectors is, the same way for every set.

1. Valence: |r| of human valence with the leading principal component that follows it best.
2. Clusters: adjusted Rand index of k-means against the paper's clusters, k being the number of
   those clusters that the run's emotions fall into.
3. Accuracy on held-out topics comes from `holdout`.

Contract: pure. The search for a component is part of the statistic, so a null that is to be
compared must search too; that is what these functions do for every set they are given.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from probes.geometry import agreement, kmeans_labels, principal_components
from probes.norms import MIN_RATED, rated_words, rating_table
from probes.statistics import bootstrap_indices, pearson
from probes.stimuli import paper_clusters

N_SEARCHED = 5
"""Leading components that are searched."""
MIN_CLUSTERED = 6
"""Fewer known emotions than this are not compared with the paper's clusters."""


@dataclass(frozen=True)
class Reference:
    """What is known of the emotions from elsewhere.

    Attributes
    ----------
    rated
        Places of the emotions with a human rating.
    valence
        Their ratings; None when there are too few.
    clustered
        Places of the emotions that the paper clustered.
    clusters
        Their clusters; None when there are too few.
    """

    rated: list[int]
    valence: Float[Tensor, "rated"] | None
    clustered: list[int]
    clusters: Int[Tensor, "clustered"] | None

    @property
    def n_clusters(self) -> int:
        """Number of the paper's clusters among these emotions."""
        return 0 if self.clusters is None else len(self.clusters.unique())


@dataclass(frozen=True)
class ValenceMatch:
    """The component that follows valence best, turned so that it rises with it."""

    r: float
    component: int
    coordinate: Float[Tensor, "rated"]


def reference(emotions: Sequence[str]) -> Reference:
    """Gather ratings and clusters of a run's emotions."""
    rated = rated_words(emotions)
    table = rating_table(emotions)
    valence = torch.tensor(
        [table[emotions[place]]["valence"] for place in rated], dtype=torch.float64
    )
    comparable = len(rated) >= MIN_RATED and bool(valence.std() > 0)
    owner = {
        word: number for number, words in enumerate(paper_clusters().values()) for word in words
    }
    clustered = [place for place, emotion in enumerate(emotions) if emotion in owner]
    clusters = torch.tensor([owner[emotions[place]] for place in clustered], dtype=torch.long)
    n_clusters = len(clusters.unique())
    enough = len(clustered) >= MIN_CLUSTERED and 2 <= n_clusters < len(clustered)
    return Reference(
        rated, valence if comparable else None, clustered, clusters if enough else None
    )


def match_valence(
    vectors: Float[Tensor, "emotion d_model"], known: Reference, *, unit_norm: bool = True
) -> ValenceMatch | None:
    """Find the component that follows valence; None when too few emotions are rated."""
    if known.valence is None:
        return None
    count = min(N_SEARCHED, len(vectors) - 1, vectors.shape[1])
    found = principal_components(vectors.double(), count, unit_norm).coordinates[known.rated]
    correlations = [pearson(coordinate, known.valence).r for coordinate in found.T]
    best = max(range(count), key=lambda place: abs(correlations[place]))
    sign = 1.0 if correlations[best] >= 0 else -1.0
    return ValenceMatch(abs(correlations[best]), best, found[:, best] * sign)


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
    return agreement(labels, known.clusters).ari


def gain_in_valence(
    first: ValenceMatch,
    second: ValenceMatch,
    valence: Float[Tensor, "rated"],
    n_resamples: int,
    seed: int,
) -> Float[Tensor, "resample"]:
    """|r| of the first less |r| of the second, for rated emotions drawn again in pairs.

    The components stay those found on all emotions. Draws in which everything is equal are left
    out.
    """
    draws = bootstrap_indices(len(valence), n_resamples, seed)
    target = valence[draws]
    r = [_correlations(match.coordinate[draws], target) for match in (first, second)]
    gain = r[0] - r[1]
    return gain[gain.isfinite()]


def _correlations(
    x: Float[Tensor, "resample rated"], y: Float[Tensor, "resample rated"]
) -> Float[Tensor, "resample"]:
    x, y = (each - each.mean(dim=1, keepdim=True) for each in (x.double(), y.double()))
    return (x * y).sum(dim=1) / (x.norm(dim=1) * y.norm(dim=1))
