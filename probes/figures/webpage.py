"""One description as an interactive page: plotly's figure inside a small HTML document.

Contract
--------
* The page stands alone: plotly.js is inside the file and nothing is fetched.
* Title, subtitle and caption are HTML; the plot is `webpage_plots`. Both show text as text,
  whatever it contains.
* The same description gives the same bytes under the same plotly: the id of the plot is derived
  from the description, and plotly's changeable default template is not used.
"""

import hashlib

import plotly.graph_objects as go

from probes.figures import webpage_plots
from probes.figures.description import Figure
from probes.figures.palette import INK, RULE, SOFT_INK
from probes.figures.text import for_page

_CONFIG = {"displaylogo": False, "responsive": False, "typesetMath": False}

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ margin: 2rem; background: #ffffff; color: {ink};
  font-family: "DejaVu Sans", Verdana, sans-serif; }}
h1 {{ font-size: 1.35rem; margin: 0 0 0.3rem; }}
p {{ font-size: 0.9rem; line-height: 1.45; color: {soft}; margin: 0; max-width: 60rem; }}
.plot {{ overflow-x: auto; margin: 1rem 0; }}
.caption {{ border-top: 1px solid {rule}; padding-top: 0.6rem; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{subtitle}</p>
<div class="plot">
{plot}
</div>
<p class="caption">{caption}</p>
</body>
</html>
"""


def render(figure: Figure) -> str:
    """Draw a description and return the whole HTML page."""
    drawn = plotly_figure(figure)
    plot = drawn.to_html(
        full_html=False,
        include_plotlyjs=True,
        include_mathjax=False,
        div_id="figure-" + hashlib.sha256(repr(figure).encode("utf-8", "replace")).hexdigest()[:12],
        config=_CONFIG,
    )
    return _PAGE.format(
        title=for_page(figure.title),
        subtitle=for_page(figure.subtitle),
        caption=for_page(f"{figure.caption} {webpage_plots.names_left_out(drawn)}".strip()),
        plot=plot,
        ink=INK,
        soft=SOFT_INK,
        rule=RULE,
    )


def plotly_figure(figure: Figure) -> go.Figure:
    """Draw a description and return the plotly figure, for a notebook or changes of one's own."""
    return webpage_plots.draw(figure)
