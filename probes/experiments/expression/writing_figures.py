"""Figures of endings under vectors of another way: own effects beside controls, and all endings."""

from typing import TYPE_CHECKING

from probes.figures import Bars, Figure, Heatmap
from probes.figures.estimates import Bar, bar_of, bars_by_kind

if TYPE_CHECKING:
    from probes.experiments.expression.own_endings import OwnEffects
    from probes.experiments.expression.writing import ExpressionSteering, WaySteering

_OWN, _CONTROL, _EACH = "vectors", "controls in their place", "each emotion"


def writing_figures(result: "ExpressionSteering") -> dict[str, Figure]:
    """Describe each pair of ways that was measured."""
    figures: dict[str, Figure] = {}
    for pair in result.pairs:
        if pair.effects is not None:
            name = f"expression_steering_{pair.learned}_{pair.written}"
            figures[name] = _own_effects(result, pair, pair.effects)
            figures[f"{name}_matrix"] = _matrix(result, pair, pair.effects)
    return figures


def _own_effects(result: "ExpressionSteering", pair: "WaySteering", effects: "OwnEffects") -> Bars:
    bars = [bar_of(f"all {pair.learned} vectors", _OWN, effects.own)]
    bars += [bar_of(it.name, _CONTROL, it.own) for it in effects.controls]
    each = dict(zip(result.emotions, effects.by_emotion, strict=True))
    bars += [Bar(name, _EACH, each[name]) for name in sorted(each, key=lambda name: -each[name])]
    return Bars(
        title=f"Which endings {pair.learned} vectors make likelier: {pair.written} ones",
        subtitle=_where(result, pair),
        caption=f"By how much the {pair.written} endings of a vector's own emotion rise more than "
        "those of other emotions, after what a vector does to all endings and what any vector does "
        "to an ending, to first order in the dose. Line: 95% interval over emotions. "
        "Controls stand in for the vectors, on the "
        f"same endings. Own endings rise the most under {effects.first:.0%} of the vectors (chance "
        f"{1 / len(each):.0%}).",
        value_label="own endings beyond others (nats per token)",
        **bars_by_kind(bars, (_OWN, _CONTROL, _EACH), muted=(_CONTROL,)),
    )


def _matrix(result: "ExpressionSteering", pair: "WaySteering", effects: "OwnEffects") -> Heatmap:
    largest = max(abs(value) for row in effects.matrix for value in row)
    return Heatmap(
        title=f"What {pair.learned} vectors do to the {pair.written} endings of each emotion",
        subtitle=_where(result, pair),
        caption="Row: the vector that was added. Column: whose endings were read. Means of rows "
        "and columns are taken out. Own endings are on the diagonal.",
        rows=tuple(result.emotions),
        columns=tuple(result.emotions),
        values=tuple(map(tuple, effects.matrix)),
        value_label="change of log-likelihood (nats per token)",
        x_label="endings",
        y_label="vector",
        limits=(-largest, largest) if largest else (-1.0, 1.0),
    )


def _where(result: "ExpressionSteering", pair: "WaySteering") -> str:
    n = len(pair.topics)
    return (
        f"{result.model}, layer {result.layer}, dose {pair.dose:g} of the mean residual norm, "
        f"{len(result.emotions)} emotions, {n} {'ending' if n == 1 else 'endings'} of each"
    )
