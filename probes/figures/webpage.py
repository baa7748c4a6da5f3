"""One description as an interactive page: plotly's figure, or a table, inside a small document.

The page loads plotly.js from its own folder (`LIBRARY`). The same description gives the same bytes:
the plot's id is derived from it, and plotly's changeable default template is not used.
"""

import functools
import hashlib

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from probes.figures import pages, webpage_plots
from probes.figures.description import Figure, TokenTable

LIBRARY = "plotly.min.js"
_CONFIG = {"displaylogo": False, "responsive": False, "typesetMath": False}


def render(figure: Figure) -> str:
    """Draw a description and return the HTML page, which `library` must lie beside."""
    words = {"title": figure.title, "about": figure.subtitle}
    if isinstance(figure, TokenTable):
        return _page(**words, caption=figure.caption, header=figure.header, rows=figure.rows)
    drawn = plotly_figure(figure)
    name = "figure-" + hashlib.sha256(repr(figure).encode("utf-8", "replace")).hexdigest()[:12]
    plain = drawn.to_plotly_json()
    data = {"id": name, "traces": plain["data"], "layout": plain["layout"], "config": _CONFIG}
    caption = f"{figure.caption} {webpage_plots.names_left_out(drawn)}".strip()
    return _page(**words, caption=caption, id=name, data=data, library=LIBRARY, script="figure.js")


@functools.cache
def library() -> bytes:
    """Return the content of `LIBRARY`."""
    return get_plotlyjs().encode("utf-8")


def plotly_figure(figure: Figure) -> go.Figure:
    """Draw a description and return the plotly figure, for a notebook or changes of one's own."""
    return webpage_plots.draw(figure)


def _page(**values: object) -> str:
    return pages.render("probes.figures", "figure.html", **values)  # type: ignore[reportArgumentType]
