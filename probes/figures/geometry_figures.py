"""Figures of the emotion vectors at one layer: who is near whom, and along which axes.

Input
-----
``geometry``, with: ``model`` str, ``layer`` and ``n_layers`` int, ``emotions`` [str], ``cosine``
[emotion][emotion], ``order`` [emotion] (row indices of the clustered order), ``pca`` with
``coordinates`` [emotion][component] and ``explained_variance_ratio`` [component], ``ratings``
(per dimension: 0-based ``component``, ``sign``, ``r``, ``n``, ``low``, ``high``, ``p_corrected``,
or null), ``human`` (per rated word: ``valence`` and ``arousal`` in [-1, 1]), ``kmeans`` (``k``,
``labels``), ``umap`` [emotion][2] or null.

Contract
--------
* Pure functions from that dictionary to a description. A part that is optional may be missing or
  null: ``ratings``, ``human``, ``kmeans``, ``umap``.
* Components are flipped by the sign that makes human ratings rise to the right and upward; which
  component carries a rating is read from the analysis, never assumed from its position.
"""

from collections.abc import Mapping
from itertools import accumulate
from typing import Any

from hooks.errors import DataError, InvalidInput
from probes.figures.description import Bars, Heatmap, Part, Scatter
from probes.figures.reading import correlation, matrix, need, number, numbers, share

_SCREE_COMPONENTS = 30
_DIMENSIONS = ("valence", "arousal")


def cosine_heatmap(geometry: Mapping[str, Any]) -> Heatmap:
    """Describe the cosine similarity of all pairs of emotions, in clustered order.

    Raises
    ------
    DataError
        A part is missing, a cosine is not finite, or the order is not a permutation.
    """
    emotions = tuple(need(geometry, "emotions", "geometry"))
    cosine = matrix(need(geometry, "cosine", "geometry"), "geometry.cosine")
    order = [int(index) for index in need(geometry, "order", "geometry")]
    if sorted(order) != list(range(len(emotions))):
        raise DataError(
            f"geometry.order: expected every index below {len(emotions)} once, got {order}."
        )
    if any(len(row) != len(emotions) for row in cosine) or len(cosine) != len(emotions):
        raise DataError(f"geometry.cosine: expected {len(emotions)} rows of as many numbers.")
    ordered = tuple(emotions[index] for index in order)
    boundaries = _cluster_boundaries(geometry, order)
    lines = " Lines separate the k-means clusters." if boundaries else ""
    return Heatmap(
        title="How similar the emotion vectors are",
        subtitle=_where(geometry),
        caption="Cosine similarity of each pair, neighbors in the tree of clusters side by side. "
        "Red blocks on the diagonal are families of emotions; blue marks opposites; white is "
        "unrelated." + lines,
        rows=ordered,
        columns=ordered,
        values=tuple(tuple(cosine[row][column] for column in order) for row in order),
        value_label="cosine similarity",
        x_label="",
        y_label="",
        limits=(-1.0, 1.0),
        boundaries=boundaries,
    )


def pca_scatter(geometry: Mapping[str, Any], components: tuple[int, int] = (0, 1)) -> Scatter:
    """Describe the emotions on two principal components, by default the first two.

    Two emotions have one component: they lie on a line.

    Parameters
    ----------
    geometry : mapping
        See the module.
    components : tuple of int
        0-based components of the horizontal and the vertical axis.

    Raises
    ------
    InvalidInput
        There is no such component.
    DataError
        A part is missing or not finite.
    """
    pca = need(geometry, "pca", "geometry")
    coordinates = matrix(need(pca, "coordinates", "geometry.pca"), "geometry.pca.coordinates")
    available = min((len(row) for row in coordinates), default=0)
    on_a_line = available == 1 and components == (0, 1)
    if on_a_line:
        components = (0, 0)
    if not all(0 <= component < available for component in components):
        raise InvalidInput(
            f"PCA map of components {components}: expected indices below {available}."
        )
    axes = [_component_axis(geometry, component) for component in components]
    (x_sign, x_label), (y_sign, y_label) = axes
    ratios = need(pca, "explained_variance_ratio", "geometry.pca")
    held = sum(number(ratios[component], "geometry.pca ratio") for component in {*components})
    return Scatter(
        title="Map of the emotion vectors",
        subtitle=_where(geometry),
        caption=" ".join(
            [
                "Two emotions lie on a line."
                if on_a_line
                else f"The two axes hold {share(held)} of the variance: points far apart are "
                "different emotions, near ones may differ in the rest.",
                *_rating_sentences(geometry),
            ]
        ),
        labels=tuple(need(geometry, "emotions", "geometry")),
        x=tuple(x_sign * row[components[0]] for row in coordinates),
        y=tuple(0.0 if on_a_line else y_sign * row[components[1]] for row in coordinates),
        x_label=x_label,
        y_label="no second component" if on_a_line else y_label,
        **_colors(geometry),
    )


def umap_scatter(geometry: Mapping[str, Any]) -> Scatter:
    """Describe the emotions on their UMAP embedding.

    Raises
    ------
    InvalidInput
        The analysis has no UMAP embedding.
    DataError
        A coordinate is not finite.
    """
    if geometry.get("umap") is None:
        raise InvalidInput("geometry.umap is absent: analyze with UMAP to draw its map.")
    points = matrix(geometry["umap"], "geometry.umap")
    return Scatter(
        title="Neighborhoods of the emotion vectors (UMAP)",
        subtitle=_where(geometry),
        caption="Who is near whom is meaningful; distances between far groups, directions and the "
        "sizes of groups are not.",
        labels=tuple(need(geometry, "emotions", "geometry")),
        x=tuple(point[0] for point in points),
        y=tuple(point[1] for point in points),
        x_label="UMAP 1 (no unit)",
        y_label="UMAP 2 (no unit)",
        ticks=False,
        **_colors(geometry),
    )


def scree(geometry: Mapping[str, Any]) -> Bars:
    """Describe how much variance each principal component explains, and their running sum.

    Raises
    ------
    DataError
        A ratio is missing or not finite.
    """
    pca = need(geometry, "pca", "geometry")
    ratios = numbers(
        need(pca, "explained_variance_ratio", "geometry.pca"),
        "geometry.pca.explained_variance_ratio",
    )
    shown = tuple(100 * ratio for ratio in ratios[:_SCREE_COMPONENTS])
    cut = f" The first {len(shown)} of {len(ratios)} are shown." if len(shown) < len(ratios) else ""
    return Bars(
        title="How many dimensions the emotion vectors need",
        subtitle=_where(geometry),
        caption="Share of the variance between emotions that each principal component explains, "
        "and the sum so far. A steep start means that few axes carry most of the geometry." + cut,
        categories=tuple(str(index + 1) for index in range(len(shown))),
        parts=(Part(name="each component", values=shown),),
        category_label="principal component",
        value_label="variance explained (%)",
        line_name="sum so far",
        line=tuple(accumulate(shown)),
    )


def _where(geometry: Mapping[str, Any]) -> str:
    model, layer, n_layers, emotions = (
        need(geometry, key, "geometry") for key in ("model", "layer", "n_layers", "emotions")
    )
    return f"{model}, layer {layer} (0 to {n_layers - 1}), {len(emotions)} emotions"


def _cluster_boundaries(geometry: Mapping[str, Any], order: list[int]) -> tuple[int, ...]:
    """Rows that start another k-means cluster, if clusters are contiguous in this order.

    Where the tree and k-means disagree, lines would cut the map into splinters: none are drawn.
    """
    clusters = (geometry.get("kmeans") or {}).get("labels")
    if clusters is None:
        return ()
    labels = [clusters[index] for index in order]
    starts = tuple(row for row in range(1, len(labels)) if labels[row] != labels[row - 1])
    return starts if len(starts) + 1 == len(set(labels)) else ()


def _component_axis(geometry: Mapping[str, Any], component: int) -> tuple[float, str]:
    """Sign and label of one component; human ratings that it carries rise along the axis."""
    ratios = need(geometry["pca"], "explained_variance_ratio", "geometry.pca")
    ratio = number(ratios[component], f"geometry.pca.explained_variance_ratio[{component}]")
    sign, notes = 0.0, [f"{share(ratio)} of variance"]
    for dimension, rating in _ratings(geometry):
        if rating["component"] == component:
            # The first rating decides the direction; a second one may then run against it.
            sign = sign or float(rating["sign"])
            r = sign * rating["sign"] * abs(number(rating["r"], f"geometry.ratings.{dimension}.r"))
            notes.append(f"{dimension} r = {correlation(r)}")
    return sign or 1.0, f"PC{component + 1} ({'; '.join(notes)})"


def _ratings(geometry: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    ratings = geometry.get("ratings") or {}
    return [(name, ratings[name]) for name in _DIMENSIONS if ratings.get(name) is not None]


def _rating_sentences(geometry: Mapping[str, Any]) -> list[str]:
    return [
        f"Human {dimension} is read best on PC{rating['component'] + 1}: "
        f"|r| = {correlation(abs(rating['r']))}, n = {rating['n']} rated words, "
        f"p = {rating['p_corrected']:.2g} after correction for the search."
        for dimension, rating in _ratings(geometry)
    ]


def _colors(geometry: Mapping[str, Any]) -> dict[str, Any]:
    """Color by human valence where any emotion is rated, else by cluster, else not at all."""
    emotions = need(geometry, "emotions", "geometry")
    human = geometry.get("human") or {}
    if any(emotion in human for emotion in emotions):
        shades = tuple(
            number(human[emotion]["valence"], f"geometry.human.{emotion}.valence")
            if emotion in human
            else None
            for emotion in emotions
        )
        return {"shades": shades, "shade_label": "human valence (gray: not rated)"}
    clusters = (geometry.get("kmeans") or {}).get("labels")
    if clusters is not None:
        return {"groups": tuple(int(label) for label in clusters), "group_label": "cluster"}
    return {}
