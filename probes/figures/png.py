"""One description as a PNG: the page around a plot, and its bytes.

Contract
--------
* matplotlib's object-oriented interface with the Agg canvas; the reader's own style is set aside.
* Title and subtitle stand above the plot, the caption below it, each in room reserved for it.
* No mathtext. A character that DejaVu Sans cannot draw is written as its escape, so no font of the
  machine changes the result: the same description gives the same bytes.
"""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.layout_engine import ConstrainedLayoutEngine

from probes.figures import png_plots
from probes.figures.description import Figure
from probes.figures.excerpt import excerpt
from probes.figures.palette import INK, RULE, SOFT_INK
from probes.figures.png_plots import drawable

DOTS_PER_INCH = 200
_MARGIN = 0.2  # inches, around the whole page
_GAP = 0.12  # inches, between the texts and the plot
_STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "text.parse_math": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.labelsize": 9.0,
    "axes.edgecolor": SOFT_INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "xtick.color": SOFT_INK,
    "ytick.color": SOFT_INK,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.0,
    "ytick.labelsize": 8.0,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "figure.facecolor": "white",
    "savefig.dpi": "figure",
}


def render(figure: Figure, dots_per_inch: int = DOTS_PER_INCH) -> bytes:
    """Draw a description and return the PNG file; fewer dots make a smaller one, laid out alike."""
    with _own_style():
        buffer = BytesIO()
        canvas = FigureCanvasAgg(matplotlib_figure(figure, dots_per_inch))
        canvas.print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def matplotlib_figure(figure: Figure, dots_per_inch: int = DOTS_PER_INCH) -> Canvas:
    """Draw a description and return the matplotlib figure, for changes of one's own."""
    figure = excerpt(figure)
    with _own_style():
        width, height = png_plots.size(figure)
        header = _Block(width)
        header.add(figure.title, size=13.0, weight="bold", color=INK)
        header.add(figure.subtitle, size=9.0, weight="normal", color=SOFT_INK)
        footer = _Block(width)
        footer.add(figure.caption, size=8.0, weight="normal", color=SOFT_INK)
        total = header.height + height + footer.height + 2 * _MARGIN + 2 * _GAP
        room = (0.0, (_MARGIN + footer.height + _GAP) / total, 1.0, height / total)
        layout = ConstrainedLayoutEngine(rect=room, w_pad=_MARGIN, h_pad=_GAP / 4)
        page = Canvas(figsize=(width, total), dpi=dots_per_inch, layout=layout)
        FigureCanvasAgg(page)
        header.write(page, top=total - _MARGIN)
        footer.write(page, top=footer.height + _MARGIN)
        png_plots.draw(figure, page)
    return page


@contextmanager
def _own_style() -> Iterator[None]:
    with matplotlib.style.context(["default", _STYLE], after_reset=True):
        yield


class _Block:
    """Wrapped lines of text over the full width of the page, measured in inches."""

    def __init__(self, width: float) -> None:
        self._width = width - 2 * _MARGIN
        self._lines: list[tuple[str, float, dict[str, Any]]] = []
        self.height = 0.0

    def add(self, text: str, *, size: float, weight: str, color: str) -> None:
        """Append a paragraph; a character of DejaVu Sans is about 0.6 of its size wide."""
        share = 0.68 if weight == "bold" else 0.58
        columns = int(self._width * 72 / (share * size))
        for line in textwrap.wrap(drawable(text), max(columns, 20)):
            look = {"size": size, "weight": weight, "color": color}
            self._lines.append((line, self.height, look))
            self.height += 1.45 * size / 72

    def write(self, page: Canvas, *, top: float) -> None:
        """Write the block with its upper edge `top` inches above the bottom of the page."""
        width, height = page.get_size_inches()
        for line, offset, look in self._lines:
            page.text(_MARGIN / width, (top - offset) / height, line, ha="left", va="top", **look)
