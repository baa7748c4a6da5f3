"""Figures: a description, drawn once as PNG and once as interactive HTML.

Contract
--------
* `description` holds what a figure says (numbers, labels, title), frozen and checked; who measured
  something describes it, and nothing here knows what an emotion is.
* `to_png` and `to_html` draw the same description; nothing that is drawn is decided anywhere
  else.
* The same description gives the same bytes. Both files work without a network.
* matplotlib and plotly are imported when something is drawn, not when this package is imported.
"""

from probes.figures.description import Bars, Figure, Heatmap, Lines, Scatter, TokenTable
from probes.figures.draw import draw_all, to_html, to_png

__all__ = [
    "Bars",
    "Figure",
    "Heatmap",
    "Lines",
    "Scatter",
    "TokenTable",
    "draw_all",
    "to_html",
    "to_png",
]
