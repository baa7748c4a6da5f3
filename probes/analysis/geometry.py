"""How the emotion vectors of a layer lie to each other: cosine, PCA, clusters, layout, RSA.

Vectors are scaled to unit norm before PCA and k-means unless the caller says otherwise: norms
differ several-fold between emotions, and the first component of unscaled vectors follows the norm.
Numbers are computed in float64; matrices come back in the dtype of the vectors. A vector that is
zero or not finite is a `DataError`.

Source: "Emotion Concepts and their Function in a Large Language Model" (Anthropic, 2026), the
section on the geometry of the vectors; Kriegeskorte, Mur & Bandettini 2008
(doi:10.3389/neuro.06.004.2008) for representational similarity analysis.
"""

import contextlib
import importlib
import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from einops import einsum
from jaxtyping import Float, Int
from scipy.cluster.hierarchy import cut_tree, leaves_list, linkage
from scipy.spatial.distance import squareform
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score, silhouette_score
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from hooks.errors import DataError, InvalidInput
from probes.analysis.statistics import standard_ranks
from probes.vectors.normalize import normalize

Vectors = Float[Tensor, "emotion d_model"]
Labels = Int[Tensor, "emotion"]
# Parallel vectors scaled to unit norm differ in the last bits; to this many decimals they are one.
_DECIMALS = 12


@dataclass(frozen=True)
class PrincipalComponents:
    """Principal components of one layer: centered coordinates, orthonormal directions.

    Attributes
    ----------
    directions
        Orthonormal rows; the entry of largest magnitude of each row is positive.
    explained_variance_ratio
        In 0..1, falling.
    """

    coordinates: Float[Tensor, "emotion component"]
    directions: Float[Tensor, "component d_model"]
    explained_variance_ratio: Float[Tensor, "component"]


class Agreement(NamedTuple):
    """Agreement of two labelings: adjusted Rand index and normalized mutual information."""

    ari: float
    nmi: float


def cosine_matrix(vectors: Vectors) -> Float[Tensor, "emotion emotion"]:
    """Cosine between every two vectors, in -1..1; symmetric, with a diagonal of exactly one."""
    direction = normalize(vectors.double())
    cosine = einsum(direction, direction, "row d_model, column d_model -> row column")
    cosine = cosine.clamp(-1.0, 1.0).fill_diagonal_(1.0)
    return ((cosine + cosine.T) / 2).to(vectors.dtype)


def principal_components(
    vectors: Vectors, n_components: int, unit_norm: bool = True
) -> PrincipalComponents:
    """Principal components of centered vectors.

    Parameters
    ----------
    n_components
        In 1..min(emotions - 1, d_model): centered vectors span no more (else InvalidInput).
    unit_norm
        Scale each vector to length one first (see the module's contract).

    Raises
    ------
    DataError
        When a vector is not finite, is zero (with `unit_norm`), or when all are identical.
    """
    n_emotions, d_model = vectors.shape
    largest = min(n_emotions - 1, d_model)
    if not 1 <= n_components <= largest:
        raise InvalidInput(
            f"Expected n_components in 1..{largest} for {n_emotions} vectors of {d_model} "
            f"dimensions, got {n_components}. Ask for fewer components or add emotions."
        )
    points = _points(vectors, unit_norm)
    if _n_distinct(points) == 1:
        raise DataError("Expected vectors that differ, got identical ones. Check the activations.")
    # scikit-learn makes the entry of largest magnitude of each component positive.
    pca = PCA(n_components=n_components, svd_solver="full")
    parts = pca.fit_transform(points), pca.components_, pca.explained_variance_ratio_
    return PrincipalComponents(*(torch.from_numpy(each).to(vectors.dtype) for each in parts))


def kmeans_labels(vectors: Vectors, k: int, seed: int, unit_norm: bool = True) -> Labels:
    """Cluster labels 0..k-1 of the best of ten k-means runs, numbered by first appearance."""
    points = _points(vectors, unit_norm)
    n_distinct = _n_distinct(points)
    if not 1 <= k <= n_distinct:
        raise InvalidInput(
            f"Expected k in 1..{n_distinct}, the number of distinct vectors, got {k} clusters."
        )
    # pyright reads only the default of n_init, the string "auto".
    model = KMeans(n_clusters=k, n_init=10, random_state=seed)  # pyright: ignore[reportArgumentType]
    return _by_first_appearance(model.fit_predict(points))


def silhouette(vectors: Vectors, labels: Labels) -> float:
    """Mean silhouette of a labeling under cosine distance, in -1..1 (1: tight, far apart).

    Raises
    ------
    InvalidInput
        The number of distinct labels is outside 2..emotions-1, where it is undefined.
    """
    n_labels, n_emotions = len(labels.unique()), len(labels)
    if not 2 <= n_labels <= n_emotions - 1:
        raise InvalidInput(
            f"Expected 2 to {n_emotions - 1} distinct labels, got {n_labels}. Choose another "
            "number of clusters."
        )
    points = _points(vectors, unit_norm=True)
    return float(silhouette_score(points, labels.numpy(force=True), metric="cosine"))


def hierarchical_order(cosine: Float[Tensor, "emotion emotion"]) -> list[int]:
    """Order rows so that similar emotions are next to each other, for a heat map.

    Average linkage of 1 - cosine with optimal leaf ordering (Bar-Joseph et al. 2001).
    """
    if not bool(torch.isfinite(cosine).all()):
        raise DataError(
            "Expected a finite cosine matrix, got NaN or infinity. Make it with cosine_matrix."
        )
    if len(cosine) < 2:
        return list(range(len(cosine)))
    distance = (1.0 - cosine.double()).clamp(min=0.0)
    distance = ((distance + distance.T) / 2).fill_diagonal_(0.0)
    condensed = squareform(distance.numpy(force=True), checks=False)
    tree = linkage(condensed, method="average", optimal_ordering=True)
    return leaves_list(tree).tolist()


def hierarchical_labels(vectors: Vectors, k: int) -> Labels:
    """Cluster labels 0..k-1 of average linkage of cosine distance, by first appearance."""
    if not 1 <= k <= len(vectors):
        raise InvalidInput(f"Expected k in 1..{len(vectors)}, one cluster a vector, got {k}.")
    tree = linkage(_points(vectors, unit_norm=True), method="average", metric="cosine")
    return _by_first_appearance(cut_tree(tree, n_clusters=k)[:, 0])


def agreement(labels_a: Labels, labels_b: Labels) -> Agreement:
    """Agreement of two labelings of the same emotions; the names of the labels do not matter."""
    nmi = normalized_mutual_info_score(labels_a.numpy(force=True), labels_b.numpy(force=True))
    return Agreement(adjusted_rand_index(labels_a, labels_b), float(nmi))


def adjusted_rand_index(labels_a: Labels, labels_b: Labels) -> float:
    """Return `agreement` without the mutual information, which takes most of its time."""
    return float(adjusted_rand_score(labels_a.numpy(force=True), labels_b.numpy(force=True)))


def umap_layout(vectors: Vectors, seed: int, n_neighbors: int = 15) -> Float[Tensor, "emotion 2"]:
    """Two-dimensional UMAP layout under cosine distance, for a map to look at.

    Starts from the principal components, which keeps the global arrangement reproducible on one
    machine (Kobak & Linderman 2021, doi:10.1038/s41587-020-00809-z). Distances in the layout are
    not to be read. The first call on a machine compiles for seconds.

    Parameters
    ----------
    n_neighbors
        Size of the neighborhood; at most emotions - 1 are taken.

    Raises
    ------
    InvalidInput
        With fewer than four emotions, two dimensions or two neighbors.
    """
    n_emotions, d_model = vectors.shape
    if n_emotions < 4 or d_model < 2 or n_neighbors < 2:
        raise InvalidInput(
            "Expected at least 4 vectors, 2 dimensions and 2 neighbors, got "
            f"{n_emotions}, {d_model} and {n_neighbors}. For so few, plot principal components."
        )
    points = _points(vectors, unit_norm=True)
    n_nearest = min(n_neighbors, n_emotions - 1)
    # umap would find the same neighbors, and compile for seconds to do so.
    search = NearestNeighbors(n_neighbors=n_nearest, metric="cosine", algorithm="brute")
    distances, nearest = search.fit(points).kneighbors(points)
    # numba gives torch a thread for every processor, whatever it had.
    n_threads = torch.get_num_threads()
    try:
        layout = _umap(points, nearest, distances, seed)
    finally:
        torch.set_num_threads(n_threads)
    return torch.from_numpy(layout).to(vectors.dtype)


def _umap(points: np.ndarray, nearest: np.ndarray, distances: np.ndarray, seed: int) -> np.ndarray:
    # umap and numba warn about what is on purpose here (one job because of the seed, small
    # neighborhoods).
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from numba.core.dispatcher import Dispatcher
        from umap import UMAP

        # Most of umap's functions are compiled anew in every process, unless they are told.
        for module in map(importlib.import_module, ("umap.layouts", "umap.umap_")):
            for function in vars(module).values():
                if isinstance(function, Dispatcher):
                    with contextlib.suppress(RuntimeError):  # numba has no folder it may write to
                        function.enable_caching()
        layout = UMAP(
            n_neighbors=nearest.shape[1],
            metric="cosine",
            precomputed_knn=(nearest, distances),
            init="pca",
            random_state=seed,
            n_jobs=1,
        )
        return np.asarray(layout.fit_transform(points))


def rsa(vectors: Float[Tensor, "layer emotion d_model"]) -> Float[Tensor, "layer layer"]:
    """Similarity of the geometry of every two layers.

    Spearman correlation of the upper triangles of the layers' cosine matrices: it compares which
    emotions lie close to which, whatever the basis of the layer. Raises InvalidInput with fewer
    than three emotions, DataError when all cosines of a layer are equal.
    """
    n_emotions = vectors.shape[1]
    if n_emotions < 3:
        raise InvalidInput(f"Expected at least 3 emotions, got {n_emotions}. Add emotions.")
    row, column = torch.triu_indices(n_emotions, n_emotions, offset=1)
    cosines = torch.stack([cosine_matrix(layer.double())[row, column] for layer in vectors])
    ranks = standard_ranks(cosines)
    flat = torch.nonzero(ranks.isnan().any(dim=1)).flatten().tolist()
    if flat:
        raise DataError(f"Expected cosines that differ, got equal ones at layer index {flat}.")
    return cosine_matrix(ranks).to(vectors.dtype)


def _by_first_appearance(labels: Int[np.ndarray, "emotion"]) -> Labels:
    _, first, position = np.unique(labels, return_index=True, return_inverse=True)
    return torch.from_numpy(first.argsort().argsort()[position])


def _n_distinct(points: Float[np.ndarray, "emotion d_model"]) -> int:
    return len(np.unique(points.round(_DECIMALS), axis=0))


def _points(vectors: Vectors, unit_norm: bool) -> Float[np.ndarray, "emotion d_model"]:
    wide = vectors.double()
    if unit_norm:
        wide = normalize(wide)
    elif not bool(torch.isfinite(wide).all()):
        raise DataError("Expected finite vectors, got NaN or infinity. Check the activations.")
    return wide.numpy(force=True)
