"""Figures that compare the layers of one model.

Input
-----
``layers``, with: ``layers`` [int], ``target_layer`` int, ``valence`` and ``arousal`` (per layer
``component``, ``sign``, ``r``, ``n``, ``low``, ``high``, or null where too few words are rated),
``n_neutral_components`` [int], ``rsa`` [layer][layer]; optionally ``model`` str.

Contract
--------
* Pure functions from that dictionary to a description.
* Correlations are shown with the sign that makes them positive, and their intervals likewise.
"""

from collections.abc import Mapping
from typing import Any

from probes.figures.description import Heatmap, Line, Lines, Panel
from probes.figures.reading import correlation, matrix, need, number, numbers


def layer_sweep(layers: Mapping[str, Any]) -> Lines:
    """Describe how well each layer's components follow human ratings.

    Raises
    ------
    DataError
        A part is missing or not finite.
    """
    positions = numbers(need(layers, "layers", "layers"), "layers.layers")
    target = number(need(layers, "target_layer", "layers"), "layers.target_layer")
    removed = numbers(need(layers, "n_neutral_components", "layers"), "layers.n_neutral_components")
    ratings = tuple(_rating_line(layers, name, positions) for name in ("valence", "arousal"))
    edges = [edge for line in ratings for edge in line.low or () if edge is not None]
    return Lines(
        title="Where in the model the human dimensions of emotion appear",
        subtitle=_where(layers),
        caption="Top: |r| between human ratings and the principal component that follows them "
        "best at each layer, with a 95% interval that pays for that search; the best of several "
        "components is partly luck, so compare layers rather than single values. Bottom: "
        "components of neutral text that were removed.",
        x_label="layer (0 is the first block)",
        panels=(
            Panel(
                y_label="|r| with human ratings",
                lines=ratings,
                y_limits=(min(0.0, *edges) if edges else 0.0, 1.02),
            ),
            Panel(
                y_label="neutral components",
                lines=(Line(name="neutral components removed", x=positions, y=removed),),
                y_limits=(0.0, max(removed, default=0.0) * 1.15 + 1.0),
                height=0.5,
            ),
        ),
        mark=target,
        mark_label=f"layer {target:g}, analyzed",
    )


def rsa_heatmap(layers: Mapping[str, Any]) -> Heatmap:
    """Describe how similar the geometry of emotions is between layers.

    Raises
    ------
    DataError
        A part is missing or not finite.
    """
    names = tuple(str(layer) for layer in need(layers, "layers", "layers"))
    values = matrix(need(layers, "rsa", "layers"), "layers.rsa")
    return Heatmap(
        title="How alike the layers arrange the emotions",
        subtitle=_model(layers),
        caption="Correlation between the similarity matrices of two layers (RSA). A dark block is "
        "a run of layers that share one arrangement; a pale cross is a layer that stands apart.",
        rows=names,
        columns=names,
        values=values,
        value_label="correlation of similarities",
        x_label="layer",
        y_label="layer",
        limits=(min([0.0, *(min(row, default=0.0) for row in values)]), 1.0),
        palette="sequential",
    )


def _model(layers: Mapping[str, Any]) -> str:
    parts = [layers.get("model"), f"{len(layers['layers'])} layers"]
    return ", ".join(part for part in parts if part)


def _where(layers: Mapping[str, Any]) -> str:
    counts = {
        rating["n"]
        for name in ("valence", "arousal")
        for rating in layers.get(name) or ()
        if rating is not None
    }
    if not counts:
        return f"{_model(layers)}; too few rated words for a correlation"
    ends = " to ".join(str(n) for n in sorted({min(counts), max(counts)}))
    return f"{_model(layers)}, n = {ends} rated words"


def _rating_line(layers: Mapping[str, Any], name: str, positions: tuple[float, ...]) -> Line:
    ratings = layers.get(name) or [None] * len(positions)
    aligned = [
        None if rating is None else _aligned(rating, f"layers.{name}[{index}]")
        for index, rating in enumerate(ratings)
    ]
    return Line(
        name=name,
        x=positions,
        y=tuple(None if each is None else each[0] for each in aligned),
        low=tuple(None if each is None else each[1] for each in aligned),
        high=tuple(None if each is None else each[2] for each in aligned),
        notes=tuple("" if rating is None else _note(rating) for rating in ratings),
    )


def _aligned(rating: Mapping[str, Any], where: str) -> tuple[float, float, float]:
    """Correlation and interval, mirrored if the component runs against the rating."""
    r, low, high = (number(rating[key], f"{where}.{key}") for key in ("r", "low", "high"))
    return (r, low, high) if r >= 0 else (-r, -high, -low)


def _note(rating: Mapping[str, Any]) -> str:
    low, high = correlation(rating["low"]), correlation(rating["high"])
    return f"PC{rating['component'] + 1}, n = {rating['n']}, 95% interval {low} to {high}"
