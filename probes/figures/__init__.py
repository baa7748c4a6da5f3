"""Figures: a description, drawn once as PNG and once as interactive HTML.

Contract: `description` holds what a figure says; nothing here knows what an emotion is. Both files
draw the same description, which gives the same bytes, and work without a network. matplotlib and
plotly are imported when something is drawn.
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
