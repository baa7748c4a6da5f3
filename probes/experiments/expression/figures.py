"""Figures of what is learned from one way of expressing emotions and read on others."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from probes.experiments.expression.table import SAME_WORDS, Crossing
from probes.figures import Figure, Heatmap, Lines
from probes.figures.description import Line, Panel

if TYPE_CHECKING:
    from probes.experiments.expression.expression import Expression


def figures(result: "Expression") -> dict[str, Figure]:
    """Describe accuracy over layers, and the table of ways beside words."""
    drawn: dict[str, Figure] = {"expression_by_layer": _by_layer(result)} if result.curves else {}
    # A table of what can't all be read would have holes.
    if len(result.cells) == len(result.ways) ** 2:
        drawn["expression_table"] = _table(result)
        drawn["expression_beyond_words"] = _beyond_words(result)
    return drawn


def _by_layer(result: "Expression") -> Lines:
    x = tuple(map(float, result.layers))
    lines = [Line(name=curve.name, x=x, y=tuple(curve.accuracy)) for curve in result.curves]
    for curve in result.curves:
        cell = result.cell(curve.learned, curve.read)
        if cell is not None and cell.better != SAME_WORDS:
            flat = (cell.controls[cell.better].value,) * len(x)
            lines.append(Line(name=f"words: {curve.name}", x=x, y=flat))
    lines.append(Line(name="chance", x=x, y=(result.chance,) * len(x)))
    highest = max(value for line in lines for value in line.y if value is not None)
    limits = (0.0, min(1.02, 1.1 * highest))
    panel = Panel(y_label="accuracy", lines=tuple(lines), y_limits=limits)
    return Lines(
        title="Learned from one way of expressing an emotion, read on another",
        subtitle=f"{result.model}, {len(result.emotions)} emotions, n = {result.n}",
        caption="Share of texts whose own emotion is nearest, of all emotions. Said: frames that "
        "name it. Shown: stories that do not. Carried: read on words that are the same after all "
        "stories, so words are at chance. No topic is read by vectors made from it. Flat lines: "
        "chance, and the better of word counts and input embeddings of the same texts.",
        x_label="layer (0 is the first block)",
        panels=(panel,),
        mark=float(result.layer),
        mark_label=f"layer {result.layer}, analyzed",
    )


def _table(result: "Expression") -> Heatmap:
    values = _values(result, lambda cell: cell.accuracy.value)
    return Heatmap(
        title="Accuracy by what was learned from and what is read",
        subtitle=_where(result),
        caption="Share of texts whose own emotion is nearest. A way is read by itself on topics or "
        "frames that are left out; no topic is read by vectors made from it. Chance is "
        f"{result.chance:.1%}.",
        values=values,
        value_label="accuracy",
        limits=(0.0, max(max(map(max, values)), 2 * result.chance)),
        palette="sequential",
        written=".0%",
        **_axes(result),
    )


def _beyond_words(result: "Expression") -> Heatmap:
    values = _values(result, lambda cell: cell.excess.value)
    largest = max(max(abs(value) for row in values for value in row), 0.01)
    return Heatmap(
        title="Accuracy less that of the better reader of words",
        subtitle=_where(result),
        caption="Word counts, or input embeddings weighted by rareness, whichever names more of "
        "the same texts, learned from and read on the same ones; chance where the words are the "
        "same after all stories. Red: the model reads more than words do.",
        values=values,
        value_label="difference in accuracy",
        limits=(-largest, largest),
        written="+.0%",
        **_axes(result),
    )


def _where(result: "Expression") -> str:
    return f"{result.model}, layer {result.layer}, {len(result.emotions)} emotions"


def _axes(result: "Expression") -> dict[str, Any]:
    return {
        "rows": tuple(result.ways),
        "columns": tuple(result.ways),
        "x_label": "read",
        "y_label": "learned from",
    }


def _values(result: "Expression", of: Callable[[Crossing], float]) -> tuple[tuple[float, ...], ...]:
    by_pair = {(cell.learned, cell.read): of(cell) for cell in result.cells}
    return tuple(tuple(by_pair[one, other] for other in result.ways) for one in result.ways)
