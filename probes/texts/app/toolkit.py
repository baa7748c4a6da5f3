"""NiceGUI, and the few ways in which every panel uses it."""

import os
import tempfile
from collections.abc import Awaitable, Callable
from itertools import cycle
from typing import TYPE_CHECKING, Any

from probes.figures import Lines
from probes.figures.palette import CATEGORIES, DIVERGING
from probes.storage import from_json, to_json

if TYPE_CHECKING:
    import plotly.graph_objects as go

# NiceGUI would otherwise make a folder of its own wherever the command is typed.
_STORAGE = os.path.join(tempfile.gettempdir(), f"emotion-lens-{os.getpid()}")
os.environ.setdefault("NICEGUI_STORAGE_PATH", _STORAGE)  # made only if something is stored

from nicegui import app, background_tasks, events, run, ui  # noqa: E402

__all__ = [
    "Slider",
    "app",
    "background_tasks",
    "download_buttons",
    "download_json",
    "emotion_picker",
    "html_part",
    "plot",
    "posted_text",
    "run",
    "ui",
]

# Readable on white and on black alike: curves have a contrast of at least 3:1 with either page.
_GRAY = "#767676"
_CURVES = (DIVERGING[2], CATEGORIES[5], CATEGORIES[2], CATEGORIES[3], _GRAY)
_RULES = "rgba(128,128,128,0.3)"


class Slider(ui.slider):
    """A slider that moves at once, however long the server takes to hear of it.

    NiceGUI's own would lose the second of two quick keys. `value` may be a moment behind `at`.
    """

    LOOPBACK = False

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.at = float(settings["value"])

    def tell(self, moved: Callable[[], None], released: Callable[[], Awaitable[None]]) -> None:
        """Call the one whenever it moves, then the other once it is let go."""

        def move(to: float) -> None:
            if not isinstance(to, int | float):  # no slider of this page sends it
                return
            self.at = float(to)
            moved()

        async def release(event: events.GenericEventArguments) -> None:
            move(event.args)  # messages of moves wait while more may follow; this one does not
            await released()

        self.on_value_change(lambda event: move(event.value or 0))
        self.on("change", release)


def posted_text(value: Any) -> str:
    """Return what a visitor typed; what is no text gets a notice and is none."""
    if isinstance(value, str | None):
        return value or ""
    ui.notify(f"Expected a text, got {type(value).__name__}.", type="warning")
    return ""


def html_part(content: str, mark: str) -> ui.html:
    """Show HTML; `mark` names it for the tests."""
    shown = ui.html(str(content), sanitize=False)
    return shown.props(f'data-part="{mark}"').classes("w-full min-w-0")


def emotion_picker(
    emotions: list[str], picked: str | list[str], label: str, on_change: Callable[..., Any]
) -> ui.select:
    """Let the visitor type for one emotion, or for several where a list is picked."""
    several = isinstance(picked, list)
    picker = ui.select(
        emotions,
        value=picked,
        label=label,
        on_change=on_change,
        with_input=True,
        multiple=several,
        clearable=several,
    )
    return picker.props("use-chips") if several else picker


def plot(figure: Lines) -> None:
    """Show curves as wide as the page and their caption, in colors that both schemes carry."""
    # Plotly measures a hidden tab and fails; drawn once, at the width it is shown at, is enough.
    config = {"responsive": False, "displayModeBar": False}
    drawn = from_json(str(drawn_for_page(figure).to_json()))
    ui.plotly({**drawn, "config": config}).classes("w-full").style("height: 300px")
    ui.label(figure.caption).classes("text-sm caption")


def drawn_for_page(figure: Lines) -> "go.Figure":
    """Draw curves over whole places, for a page that is white or dark."""
    from probes.figures import webpage

    places = [place for panel in figure.panels for line in panel.lines for place in line.x]
    # Plotly would go in halves over a short way; over a longer one it chooses by the width.
    step = 1 if max(places) - min(places) <= 10 else None
    drawn = webpage.plotly_figure(figure)
    colors = cycle(_CURVES)
    drawn.for_each_trace(lambda curve: curve.update(line_color=next(colors)))
    rules = {"gridcolor": _RULES, "zerolinecolor": _RULES, "linecolor": _RULES}
    return (
        drawn.update_xaxes(rules, dtick=step)
        .update_yaxes({**rules, "zeroline": True})
        .update_layout(
            {"width": None, "height": 300, "autosize": True, "font": {"color": _GRAY}},
            margin={"t": 20, "b": 40, "l": 50, "r": 10},
            paper_bgcolor="rgba(0,0,0,0)",
            plot_bgcolor="rgba(0,0,0,0)",
        )
    )


def download_buttons(as_json: Any, as_png: Any) -> None:
    """Offer what is shown as JSON and as PNG."""
    ui.button("JSON", on_click=as_json).props("outline no-caps")
    ui.button("PNG", on_click=as_png).props("outline no-caps")


def download_json(name: str, content: dict[str, Any]) -> None:
    """Give the visitor a file."""
    ui.download(to_json(content, indent=1).encode(), name)
