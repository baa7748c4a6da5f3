"""``report.html``: one file that opens without a network.

The template says everything in HTML; numbers for the plots lie in it as JSON. plotly.js is in the
file once, compressed to a third; a short script of our own unpacks it and draws the figures and the
map. A content security policy names the digests of these two scripts (`figures.pages`).
"""

import base64
import functools
import gzip
from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from probes.figures import pages, palette
from probes.figures.description import Bars, Figure, Heatmap, Lines, Scatter, TokenTable
from probes.figures.text import visible
from probes.report.contents import Contents, HeatedStory
from probes.report.stories import scale_of
from probes.storage import map_leaves

_CROWD = 60
_FITS = 1100  # pixels, width of the page's column on a desktop
_NARROW = 320  # pixels, below which no scatter can be read
_STEPS = 5  # shades on either side of zero
_IN_THE_MAP = ("pca_scatter", "umap_scatter")
_MAP_COLORS = {
    "categories": palette.CATEGORIES,
    "pleasantness": palette.PLEASANTNESS,
    "ink": palette.INK,
    "soft": palette.SOFT_INK,
    "rule": palette.RULE,
    "muted": palette.MUTED,
}


def render(contents: Contents) -> str:
    """Write the page."""
    scripts = {"plotly": _plotly(), "report": pages.resource("probes.report", "report.js")}
    policy = " ".join(f"'sha256-{pages.digest(script)}'" for script in scripts.values())
    figures = dict(contents.pictures)
    for trial in contents.trials:
        figures |= {f"{trial.name}-{it.name}": it.figure for it in trial.pictures}
    drawn = {name: it for name, it in figures.items() if name not in _IN_THE_MAP and not _text(it)}
    return (
        pages.environment("probes.report")
        .get_template("report.html")
        .render(
            contents=contents,
            is_table=_text,
            heat=_heat(contents.stories),
            style=Markup(pages.resource("probes.report", "report.css")),
            script=Markup(scripts["report"]),
            plotly=_packed(scripts["plotly"]),
            policy=Markup(policy),
            map=pages.for_script(_short({**_visible(contents.map), "colors": _MAP_COLORS})),
            plots=pages.for_script(_short({name: plot(it) for name, it in drawn.items()})),
        )
    )


def _text(figure: Figure) -> bool:
    """Whether a figure is written in HTML rather than drawn."""
    return isinstance(figure, TokenTable)


def plot(figure: Figure) -> dict[str, Any]:
    """Give what the page's script draws: plotly's data and layout, and how narrow it may be.

    ``least`` is the width in pixels below which the figure scrolls sideways, ``wide`` its one
    width, ``most`` the width above which it grows no more, ``names`` what the script writes beside
    points where there is room.
    """
    from probes.figures.webpage import plotly_figure

    drawn = plotly_figure(figure).to_plotly_json()
    layout, least, wide, most, names = drawn["layout"], 560, None, None, None
    natural = layout.pop("width")
    layout.pop("template", None)
    match figure:
        case Heatmap():
            if len(figure.rows) > _CROWD:
                # All names do not fit; those that do are shown, and more when one zooms in.
                for axis in ("xaxis", "yaxis"):
                    layout[axis].pop("dtick")
                layout["height"] = 860
            least = min(natural, 700)
        case Scatter():
            least, most = _NARROW, natural
            names = {"text": [visible(it) for it in figure.labels], "x": figure.x, "y": figure.y}
            for trace in drawn["data"]:
                trace["mode"] = "markers"
                names["size"] = trace.pop("textfont")["size"]
                del trace["text"], trace["textposition"]
        case Bars() if natural > _FITS:
            wide = natural
        case Lines() | Bars():
            least = min(natural, 560)
    widths = {"least": least, "wide": wide, "most": most}
    return {"data": drawn["data"], "layout": layout, "names": names, **widths}


def _heat(stories: Sequence[HeatedStory]) -> dict[str, Any]:
    """Shade of every token: a whole number in -5..5; and the score of the strongest shade."""
    scale = scale_of(stories) or 1.0
    shades = [
        [max(-_STEPS, min(_STEPS, round(_STEPS * score / scale))) for score in story.scores]
        for story in stories
    ]
    return {"scale": scale, "shades": shades, "steps": range(-_STEPS, _STEPS + 1)}


def _short(value: Any) -> Any:
    """Cut numbers to five digits: nobody sees more, and the file is a third of the size."""
    return map_leaves(value, lambda it: float(f"{it:.5g}") if isinstance(it, float) else it)


def _visible(value: Any) -> Any:
    return map_leaves(value, lambda it: visible(it) if isinstance(it, str) else it)


def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    # As an HTML parser reads it: a digest is over what the element holds.
    return get_plotlyjs().replace("\r\n", "\n").replace("\r", "\n")


@functools.cache
def _packed(script: str) -> str:
    """Compress a script for the page to unpack; the same script gives the same text."""
    return base64.b64encode(gzip.compress(script.encode("utf-8"), mtime=0)).decode("ascii")
