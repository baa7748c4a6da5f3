"""What a picture of fixed width shows of a figure with very many names; the page shows all."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from probes.figures.description import Bars, Figure, Heatmap, TokenTable
from probes.figures.palette import CROWD

MOST_ROWS = 40
_INCHES_OF_A_NAME = 0.115
_Entry = TypeVar("_Entry")


def excerpt(figure: Figure) -> Figure:
    """Keep `MOST_ROWS` bars, rows or columns, spread over their order; the caption says so.

    Square heat maps and maps of points keep everything; of crowded names some are written.
    """
    match figure:
        case Bars() if len(figure.categories) > MOST_ROWS:
            keep = _spread(len(figure.categories))
            return replace(
                figure,
                categories=_at(figure.categories, keep),
                parts=tuple(replace(it, values=_at(it.values, keep)) for it in figure.parts),
                intervals=None if figure.intervals is None else _at(figure.intervals, keep),
                line=None if figure.line is None else _at(figure.line, keep),
                caption=_said(figure.caption, len(figure.categories)),
            )
        case TokenTable() if len(figure.rows) > MOST_ROWS:
            keep = _spread(len(figure.rows))
            caption = _said(figure.caption, len(figure.rows))
            return replace(figure, rows=_at(figure.rows, keep), caption=caption)
        case Heatmap() if len(figure.rows) <= CROWD < len(figure.columns):
            keep = _spread(len(figure.columns))
            return replace(
                figure,
                columns=_at(figure.columns, keep),
                values=tuple(_at(row, keep) for row in figure.values),
                caption=_said(figure.caption, len(figure.columns)),
            )
        case Heatmap() if name_step(figure) > 1:
            some = f"One in {name_step(figure)} names is written; the HTML page has all."
            return replace(figure, caption=f"{figure.caption} {some}".strip())
    return figure


def heatmap_cell(figure: Heatmap) -> float:
    """Edge of one cell in inches: large for few labels, small for many."""
    return 0.26 if len(figure.rows) <= CROWD else 0.05


def name_step(figure: Heatmap) -> int:
    """Return of how many rows one is named, so that names are readable."""
    return 1 if len(figure.rows) <= CROWD else math.ceil(_INCHES_OF_A_NAME / heatmap_cell(figure))


def _spread(n: int) -> list[int]:
    return np.linspace(0, n - 1, MOST_ROWS).round().astype(int).tolist()


def _at(entries: Sequence[_Entry], keep: Sequence[int]) -> tuple[_Entry, ...]:
    return tuple(entries[place] for place in keep)


def _said(caption: str, n: int) -> str:
    some = f"{MOST_ROWS} of {n} are drawn, evenly spread over their order; the HTML page has all."
    return f"{caption} {some}".strip()
