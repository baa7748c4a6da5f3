"""Figures that compare the layers of one model; correlations are shown as positive."""

from collections.abc import Sequence

from probes.analysis.results import Layers, ScaleMatch
from probes.figures.description import Heatmap, Line, Lines, Panel
from probes.figures.text import correlation


def layer_sweep(layers: Layers) -> Lines:
    """Describe how well each layer's components follow human ratings."""
    x = tuple(map(float, layers.layers))
    removed = tuple(map(float, layers.n_neutral_components))
    ratings = (_line("valence", x, layers.valence), _line("arousal", x, layers.arousal))
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
                lines=(Line(name="neutral components removed", x=x, y=removed),),
                y_limits=(0.0, max(removed, default=0.0) * 1.15 + 1.0),
                height=0.5,
            ),
        ),
        mark=float(layers.target_layer),
        mark_label=f"layer {layers.target_layer}, analyzed",
    )


def rsa_heatmap(layers: Layers) -> Heatmap:
    """Describe how similar the geometry of emotions is between layers."""
    names, values = tuple(map(str, layers.layers)), tuple(map(tuple, layers.rsa or ()))
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


def _model(layers: Layers) -> str:
    return ", ".join(filter(None, [layers.model, f"{len(layers.layers)} layers"]))


def _where(layers: Layers) -> str:
    counts = sorted({match.n for match in (*layers.valence, *layers.arousal) if match is not None})
    if not counts:
        return f"{_model(layers)}; too few rated words for a correlation"
    ends = " to ".join(map(str, sorted({counts[0], counts[-1]})))
    return f"{_model(layers)}, n = {ends} rated words"


def _line(name: str, x: tuple[float, ...], matches: Sequence[ScaleMatch | None]) -> Line:
    estimates = [match and match.estimate for match in matches]
    return Line(
        name=name,
        x=x,
        y=tuple(each and each.value for each in estimates),
        low=tuple(each and each.low for each in estimates),
        high=tuple(each and each.high for each in estimates),
        notes=tuple(
            f"PC{it.component + 1}, n = {it.n}, 95% interval {correlation(it.low)} to "
            f"{correlation(it.high)}"
            if it is not None
            else ""
            for it in matches
        ),
    )
