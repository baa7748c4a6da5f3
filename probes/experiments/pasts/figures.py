"""Figures of the same words after different pasts: layer by token, and curves over layers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from probes.analysis.findings import Estimate
from probes.experiments.pasts.closings import N_PARTS, Carried
from probes.experiments.pasts.reading import THOUSANDTHS
from probes.figures import Figure, Heatmap, Lines
from probes.figures.description import Line, Panel

if TYPE_CHECKING:
    from probes.experiments.pasts.same_words import SameWordsResult

_UNIT = "thousandths of the residual norm"


def figures(result: "SameWordsResult") -> dict[str, Figure]:
    """Describe good less bad by layer and token, its curve over layers, and the closings."""
    drawn: dict[str, Figure] = {
        "same_words_by_token": _by_token(result),
        "same_words_by_layer": _by_layer(result),
    }
    if result.carried is not None:
        drawn["closings_by_layer"] = _closings_by_layer(result.model, result.carried)
        if result.carried.parts:
            drawn["closings_by_token"] = _closings_by_part(result.model, result.carried)
    return drawn


def curves_over_layers(
    title: str, subtitle: str, caption: str, lines: Sequence[Line], layer: int
) -> Lines:
    """Describe lines over layers, in thousandths of the residual norm."""
    return Lines(
        title=title,
        subtitle=subtitle,
        caption=caption,
        x_label="layer (0 is the first block)",
        panels=(Panel(y_label=_UNIT, lines=tuple(lines), level=0.0),),
        mark=float(layer),
        mark_label=f"layer {layer}, analyzed",
    )


def estimates_line(name: str, layers: Sequence[int], estimates: Sequence[Estimate]) -> Line:
    """Describe estimates over layers, with their intervals as a band."""
    scaled = [it.times(THOUSANDTHS) for it in estimates]
    return Line(
        name=name,
        x=tuple(map(float, layers)),
        y=tuple(it.value for it in scaled),
        low=tuple(it.low for it in scaled),
        high=tuple(it.high for it in scaled),
    )


def _by_token(result: "SameWordsResult") -> Heatmap:
    n = len(result.tokens[0])
    return Heatmap(
        title="The same words after a good turn, less after a bad one",
        subtitle=f"{result.model}, {result.n_pairs} events x {result.n_suffixes} suffixes",
        caption="Row: a layer. Column: a token of the suffix, which is the same after both turns. "
        "Red: farther on the pleasant side after the good turn, along a valence axis learned "
        "without the emotions in play, in mean residual norms of the layer.",
        columns=tuple(str(number + 1) for number in range(n)),
        x_label="token of the suffix",
        **_layers_and_values(result.layers, result.tokens),
    )


def _layers_and_values(layers: Sequence[int], values: Sequence[Sequence[float]]) -> dict[str, Any]:
    scaled = tuple(tuple(THOUSANDTHS * value for value in row) for row in reversed(values))
    largest = max(max(abs(value) for row in scaled for value in row), 1e-6)
    return {
        "rows": tuple(str(layer) for layer in reversed(layers)),
        "values": scaled,
        "value_label": _UNIT,
        "y_label": "layer",
        "limits": (-largest, largest),
    }


def _by_layer(result: "SameWordsResult") -> Lines:
    layers = [it.layer for it in result.by_layer]
    lines = [estimates_line("good less bad turn", layers, [it.effect for it in result.by_layer])]
    for name, values in (
        ("95% of shuffled ratings below", [it.null_upper for it in result.by_layer]),
        ("two neutral turns, unsigned", [it.neutral for it in result.by_layer]),
    ):
        y = tuple(THOUSANDTHS * value for value in values)
        lines.append(Line(name=name, x=tuple(map(float, layers)), y=y))
    return curves_over_layers(
        "What a past leaves on the same words, by layer",
        f"{result.model}, {result.n_pairs} events x {result.n_suffixes} suffixes",
        "Mean over all tokens of the suffixes along the valence axis; band: 95% interval over "
        "events. Input embeddings of the suffixes are the same after both turns.",
        lines,
        result.layer,
    )


def _closings_by_layer(model: str, carried: Carried) -> Lines:
    return curves_over_layers(
        "Own emotion above the others on closings that are the same after all stories",
        f"{model}, {carried.n_topics} topics",
        "The stream on a closing, less its mean over all stories of the topic, along the own "
        "emotion's vector and along the others', from texts of other topics. Band: 95% interval "
        "over emotions and topics.",
        [
            estimates_line(f"{it.way} vectors", carried.layers, it.by_layer)
            for it in carried.sources
        ],
        carried.layer,
    )


def _closings_by_part(model: str, carried: Carried) -> Heatmap:
    return Heatmap(
        title="How long an emotion lasts on the same words",
        subtitle=f"{model}, {len(carried.read)} emotions, {carried.n_topics} topics",
        caption="Row: a layer. Column: a tenth of the closing, from its first token to its last. "
        f"Red: own emotion above the others, by {carried.sources[0].way} vectors of other topics.",
        columns=tuple(str(number + 1) for number in range(N_PARTS)),
        x_label="tenth of the closing",
        **_layers_and_values(carried.layers, carried.parts),
    )
