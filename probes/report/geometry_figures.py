"""Figures of the emotion vectors at one layer: who is near whom, and along which axes.

Components are flipped so that human ratings rise to the right and upward; which component carries a
rating is read from the analysis, never assumed from its position.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from hooks.errors import DataError, InvalidInput
from probes.analysis.results import Geometry, Rated
from probes.figures.description import Bars, Heatmap, Part, Scatter
from probes.figures.palette import CROWD
from probes.figures.text import correlation
from probes.report.families import by_importance, paper_families, run_families

_SCREE_COMPONENTS = 30


def cosine_heatmap(geometry: Geometry) -> Heatmap:
    """Describe the cosine similarity of all pairs of emotions, in clustered order."""
    order, count = list(geometry.order), len(geometry.emotions)
    if sorted(order) != list(range(count)):
        raise DataError(f"geometry.order: expected every index below {count} once, got {order}.")
    ordered = tuple(geometry.emotions[row] for row in order)
    boundaries = _cluster_boundaries(geometry)
    lines = " Lines separate the k-means clusters." if boundaries else ""
    return Heatmap(
        title="How similar the emotion vectors are",
        subtitle=_where(geometry),
        caption="Cosine similarity of each pair, neighbors in the tree of clusters side by side. "
        "Red blocks on the diagonal are families of emotions; blue marks opposites; white is "
        "unrelated." + lines,
        rows=ordered,
        columns=ordered,
        values=tuple(tuple(geometry.cosine[row][column] for column in order) for row in order),
        value_label="cosine similarity",
        x_label="",
        y_label="",
        limits=(-1.0, 1.0),
        boundaries=boundaries,
    )


def pca_scatter(geometry: Geometry, components: tuple[int, int] | None = None) -> Scatter:
    """Describe the emotions on two principal components (0-based), or on a line.

    Without a choice they are those that people's valence and arousal follow, as far as such are
    shown, and the first.
    """
    coordinates = geometry.pca.coordinates
    available = min((len(row) for row in coordinates), default=0)
    on_a_line = available == 1 and components is None
    if components is None:
        components = (0, 0) if on_a_line else geometry.ratings.axes()
    if not all(0 <= component < available for component in components):
        raise InvalidInput(
            f"PCA map of components {components}: expected indices below {available}."
        )
    (x_sign, x_label), (y_sign, y_label) = (_axis(geometry, each) for each in components)
    x = tuple(x_sign * row[components[0]] for row in coordinates)
    y = tuple(0.0 if on_a_line else y_sign * row[components[1]] for row in coordinates)
    held = sum(geometry.pca.explained_variance_ratio[component] for component in {*components})
    shown = (
        "Two emotions lie on a line."
        if on_a_line
        else f"The two axes hold {held:.0%} of the variance: points far apart are different "
        "emotions, near ones may differ in the rest."
    )
    return Scatter(
        title="Map of the emotion vectors",
        subtitle=_where(geometry),
        caption=" ".join([shown, *_rating_sentences(geometry)]),
        labels=tuple(geometry.emotions),
        x=x,
        y=y,
        x_label=x_label,
        y_label="no second component" if on_a_line else y_label,
        **_looks(geometry, x, y),
    )


def umap_scatter(geometry: Geometry) -> Scatter:
    """Describe the emotions on their UMAP embedding."""
    if geometry.umap is None:
        raise InvalidInput("geometry.umap is absent: analyze with UMAP to draw its map.")
    x, y = (tuple(side) for side in zip(*geometry.umap, strict=True))
    return Scatter(
        title="Neighborhoods of the emotion vectors (UMAP)",
        subtitle=_where(geometry),
        caption="Who is near whom is meaningful; distances between far groups, directions and the "
        "sizes of groups are not.",
        labels=tuple(geometry.emotions),
        x=x,
        y=y,
        x_label="UMAP 1 (no unit)",
        y_label="UMAP 2 (no unit)",
        ticks=False,
        **_looks(geometry, x, y),
    )


def scree(geometry: Geometry) -> Bars:
    """Describe how much variance each principal component explains, and their running sum."""
    ratios = geometry.pca.explained_variance_ratio
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


def _where(geometry: Geometry) -> str:
    layers = f"layer {geometry.layer} (0 to {geometry.n_layers - 1})"
    return f"{geometry.model}, {layers}, {len(geometry.emotions)} emotions"


def _cluster_boundaries(geometry: Geometry) -> tuple[int, ...]:
    """Rows that start another k-means cluster, where clusters are contiguous in this order."""
    if geometry.kmeans is None:
        return ()
    labels = [geometry.kmeans.labels[row] for row in geometry.order]
    starts = tuple(row for row in range(1, len(labels)) if labels[row] != labels[row - 1])
    return starts if len(starts) + 1 == len(set(labels)) else ()


def _axis(geometry: Geometry, component: int) -> tuple[float, str]:
    """Sign and label of one component; human ratings that it carries rise along the axis."""
    ratio = geometry.pca.explained_variance_ratio[component]
    sign, notes = 0.0, [f"{ratio:.0%} of variance"]
    for scale, match in geometry.ratings.by_scale:
        if match.component == component:
            # The first rating decides the direction; a second one may then run against it.
            sign = sign or float(match.sign)
            notes.append(f"{scale} r = {correlation(sign * match.sign * abs(match.r))}")
    return sign or 1.0, f"PC{component + 1} ({'; '.join(notes)})"


def _rating_sentences(geometry: Geometry) -> list[str]:
    return [
        f"Human {scale} is read best on PC{match.component + 1}: "
        f"|r| = {correlation(abs(match.r))}, n = {match.n} rated words, "
        f"p = {match.p_corrected:.2g} after correction for the search."
        for scale, match in geometry.ratings.by_scale
    ]


def _looks(geometry: Geometry, x: Sequence[float], y: Sequence[float]) -> dict[str, Any]:
    """Color by human valence where any emotion is rated, else by cluster, else not at all.

    A crowd is colored by the paper's clusters, else by the run's, and not all of it finds room for
    its name: the most important come first.
    """
    rated = [geometry.human.get(emotion) for emotion in geometry.emotions]
    families, looks = run_families(geometry), {}
    if is_crowd := len(rated) > CROWD:
        families = paper_families(geometry.emotions) or families
        looks = {
            "order": by_importance(geometry, families, x, y),
            "notes": tuple(map(_note, rated)),
        }
    if any(rated) and not (is_crowd and families):
        shades = tuple(rating and rating.valence for rating in rated)
        return {**looks, "shades": shades, "shade_label": "human valence (gray: not rated)"}
    if families is None:
        return looks
    named = {"group_names": families.names, "group_label": families.about}
    return {**looks, **named, "groups": families.of}


def _note(rating: Rated | None) -> str:
    if rating is None:
        return "not rated by people"
    return f"people: valence {rating.valence:+.2f}, arousal {rating.arousal:+.2f}"
