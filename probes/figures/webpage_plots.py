"""The plot of each kind of figure but a table, drawn with plotly.

Shows what `png_plots` shows, and under the pointer what the PNG has no room for. Texts from data go
through `for_plotly` and are written out here: ``%{...}`` in a name is only a name. Sizes are fixed
in pixels: names beside points stay free of overlaps.
"""

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
import plotly.graph_objects as go

from hooks.errors import InvalidInput
from probes.figures.axes import ends, logarithmic_ticks, tick_texts
from probes.figures.description import Bars, Figure, Heatmap, Line, Lines, Panel, Scatter
from probes.figures.labels import place
from probes.figures.palette import (
    BAND,
    CATEGORIES,
    CROWD,
    INK,
    N_MARKERS,
    PLEASANTNESS,
    RULE,
    SCALES,
    SOFT_INK,
    bar_colors,
    group_name,
    ink_on,
    line_color,
    point_sets,
)
from probes.figures.text import for_plotly, shorten

_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "cross")
_DASHED = {"color": INK, "width": 1.5, "dash": "dash"}
_FONT = {"family": "DejaVu Sans, Verdana, sans-serif", "size": 13, "color": INK}


def draw(figure: Figure) -> go.Figure:
    """Draw a description; the layout holds no title, which belongs to the page around it."""
    kinds = {Heatmap: _heatmap, Scatter: _scatter, Lines: _lines, Bars: _bars}
    if type(figure) not in kinds:
        raise InvalidInput(
            f"plotly cannot draw a {type(figure).__name__}: expected a Heatmap, Scatter, Lines or "
            "Bars. A table is a page of HTML: to_html(figure, path)."
        )
    return kinds[type(figure)](figure).update_layout(
        template="none",
        font=_FONT,
        paper_bgcolor="white",
        plot_bgcolor="white",
        hoverlabel={"bgcolor": "white", "bordercolor": SOFT_INK, "font": _FONT, "align": "left"},
    )


def _safe(texts: Sequence[str]) -> list[str]:
    return [for_plotly(text) for text in texts]


def _scale(stops: Sequence[str]) -> list[list[Any]]:
    return [[index / (len(stops) - 1), color] for index, color in enumerate(stops)]


def _axis(label: str, **options: Any) -> dict[str, Any]:
    return {
        "title": {"text": for_plotly(label), "standoff": 12},
        "automargin": True,
        "gridcolor": RULE,
        "zeroline": False,
        "linecolor": SOFT_INK,
        **options,
    }


def _legend(entries: int) -> dict[str, Any]:
    """Legend in a row above the plot, or in a column at its right when it is long."""
    if entries > 6:
        return {"x": 1.02, "xanchor": "left", "y": 1, "yanchor": "top"}
    above = {"x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}
    return {"orientation": "h", "traceorder": "normal", **above}


# Heat maps -------------------------------------------------------------------------------------


def _heatmap(figure: Heatmap) -> go.Figure:
    rows, columns = _safe(figure.rows), _safe(figure.columns)
    cell, type_size = (22, 12) if len(rows) <= CROWD else (11, 9)
    low, high = figure.limits
    drawn = go.Figure(
        go.Heatmap(
            x=columns,
            y=rows,
            z=[list(row) for row in figure.values],
            zmin=low,
            zmax=high,
            colorscale=_scale(SCALES[figure.palette]),
            colorbar={"title": {"text": for_plotly(figure.value_label), "side": "right"}},
            hovertemplate="%{y}<br>%{x}<br>%{z:.3f}<extra></extra>",
        )
    )
    for row in figure.boundaries:
        drawn.add_hline(y=row - 0.5, line={"color": INK, "width": 1})
        if figure.rows == figure.columns:
            drawn.add_vline(x=row - 0.5, line={"color": INK, "width": 1})
    if figure.written:
        numbers = []  # all at once: plotly copies those that are there whenever one is added
        for row, values in zip(rows, figure.values, strict=True):
            for column, value in zip(columns, values, strict=True):
                font = {"size": type_size, "color": ink_on(figure, value)}
                number = for_plotly(format(value, figure.written))
                numbers.append(
                    {"x": column, "y": row, "text": number, "font": font, "showarrow": False}
                )
        drawn.update_layout(annotations=numbers)
    words = {"type": "category", "dtick": 1, "tickfont": {"size": type_size}, "showgrid": False}
    drawn.update_xaxes(_axis(figure.x_label, tickangle=-90, **words))
    drawn.update_yaxes(_axis(figure.y_label, autorange="reversed", **words))
    return drawn.update_layout(
        width=max(560, cell * len(columns) + 330),
        height=max(380, cell * len(rows) + 190),
        margin={"t": 40},
    )


# Scatter ---------------------------------------------------------------------------------------


def _scatter(figure: Scatter) -> go.Figure:
    crowded = len(figure.labels) > CROWD
    width, height = (1250, 900) if crowded else (820, 620)
    sets = point_sets(figure)
    named = max([150, *(80 + 8 * len(shorten(points.name)) for points in sets)])
    x_range, y_range = _range(figure.x, figure.ticks), _range(figure.y, figure.ticks)
    chosen = _sides(figure, x_range, y_range, (float(width), float(height)), crowded)
    drawn = go.Figure()
    for points in sets:
        members = points.members
        look: dict[str, Any] = {"color": points.color, "symbol": _SYMBOLS[points.marker]}
        if points.shades is not None:
            bar = {"title": {"text": for_plotly(figure.shade_label), "side": "right"}, "len": 0.6}
            look = {"color": points.shades, "colorscale": _scale(PLEASANTNESS), "colorbar": bar}
            look |= {"cmin": -1, "cmax": 1}
        drawn.add_scatter(
            x=[figure.x[index] for index in members],
            y=[figure.y[index] for index in members],
            text=[for_plotly(figure.labels[index]) if chosen[index] else "" for index in members],
            textposition=[chosen[index] or "top center" for index in members],
            textfont={"size": 10 if crowded else 12},
            hovertext=[_about(figure, index) for index in members],
            hoverinfo="text",
            mode="markers+text",
            name=for_plotly(shorten(points.name)),
            showlegend=bool(points.name),
            marker={"size": 8 if crowded else 11, "line": {"color": INK, "width": 0.7}, **look},
        )
    ticks = {} if figure.ticks else {"showticklabels": False, "showgrid": False, "ticks": ""}
    zero = {"zeroline": figure.ticks, "zerolinecolor": RULE, "showgrid": False}
    drawn.update_xaxes(_axis(figure.x_label, range=x_range, **{**zero, **ticks}))
    drawn.update_yaxes(_axis(figure.y_label, range=y_range, **{**zero, **ticks}))
    return drawn.update_layout(
        width=width + 90 + named,
        height=height + 120,
        margin={"l": 90, "r": named, "t": 50, "b": 70},
        legend={**_legend(len(sets)), **_title(figure)},
    )


def _title(figure: Scatter) -> dict[str, Any]:
    """Say above a legend of names what they name."""
    if figure.group_names is None:
        return {}
    return {"title": {"text": for_plotly(figure.group_label), "font": {"size": 12}}}


def _sides(
    figure: Scatter,
    x_range: Sequence[float],
    y_range: Sequence[float],
    size: tuple[float, float],
    crowded: bool,
) -> list[str | None]:
    """Choose plotly's text position of every name; None where there is no room."""
    width, height = (6.0, 12.0) if crowded else (7.4, 15.0)  # to expect of one character
    low, high = np.array([x_range, y_range]).T  # of both axes
    points = (np.column_stack([figure.x, figure.y]) - low) / (high - low) * np.array(size)
    sizes = np.array([[len(label) * width, height] for label in figure.labels])
    spots = place(points, sizes.reshape(-1, 2), size, gap=6.0, order=figure.order)
    return [None if spot is None else spot.side for spot in spots]


def _range(values: Sequence[float], with_zero: bool) -> list[float]:
    """Give the ends of an axis with room for names at both sides, and zero where it is drawn."""
    values = [*values, 0.0] if with_zero and values else values
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = 0.1 * (high - low) or 1.0
    return [low - room, high + room]


def names_left_out(drawn: go.Figure) -> str:
    """Say how many names of a drawn scatter had no room; nothing where all are shown."""
    named = drawn.select_traces(selector={"type": "scatter", "mode": "markers+text"})
    texts = [text for trace in named for text in trace.text]  # type: ignore[reportAttributeAccessIssue]
    missing = texts.count("")
    if not missing:
        return ""
    return f"There is no room for {missing} of {len(texts)} names: point at a dot to read its name."


def _about(figure: Scatter, index: int) -> str:
    lines = [f"<b>{for_plotly(figure.labels[index])}</b>"]
    if figure.shades is not None:
        shade = figure.shades[index]
        known = "not rated" if shade is None else f"{shade:+.2f}"
        lines.append(f"{for_plotly(figure.shade_label)}: {known}")
    if figure.groups is not None:
        name = for_plotly(group_name(figure, figure.groups[index]))
        about = "" if figure.group_names is None else f"{for_plotly(figure.group_label)}: "
        lines.append(about + name)
    if figure.notes:
        lines.append(for_plotly(figure.notes[index]))
    lines.append(f"x = {figure.x[index]:.3f}, y = {figure.y[index]:.3f}")
    return "<br>".join(lines)


# Lines and bars --------------------------------------------------------------------------------


def _lines(figure: Lines) -> go.Figure:
    from plotly.subplots import make_subplots

    heights = [panel.height for panel in figure.panels]
    drawn = make_subplots(
        rows=len(heights), shared_xaxes=True, row_heights=heights, vertical_spacing=0.08
    )
    named: set[tuple[str, str]] = set()  # a line that goes on in the next panel is named once
    for row, panel in enumerate(figure.panels, start=1):
        for index, line in enumerate(panel.lines):
            color = line_color(panel, index)
            if line.low is not None:
                drawn.add_scatter(**_band(line), fillcolor=_translucent(color), row=row, col=1)
            drawn.add_scatter(
                x=list(line.x),
                y=list(line.y),
                name=for_plotly(line.name),
                mode="lines+markers",
                line={"color": color, "width": 2},
                marker={"symbol": _SYMBOLS[index % N_MARKERS], "size": 7},
                hovertext=[_about_point(figure, line, point) for point in range(len(line.x))],
                hoverinfo="text",
                showlegend=len(panel.lines) > 1 and (line.name, color) not in named,
                connectgaps=False,
                row=row,
                col=1,
            )
            named.add((line.name, color))
        if panel.level is not None:
            _level(drawn, panel, panel.level, row)
        drawn.update_yaxes(_axis(panel.y_label, **_ends(panel)), row=row, col=1)
        drawn.update_xaxes(_axis("", showgrid=False, **_ticks(figure)), row=row, col=1)
    if figure.mark is not None:
        drawn.add_vline(x=figure.mark, line=_DASHED)
        name = for_plotly(figure.mark_label)
        drawn.add_scatter(x=[None], y=[None], mode="lines", line=_DASHED, name=name)
    drawn.update_xaxes(title_text=for_plotly(figure.x_label), row=len(heights), col=1)
    return drawn.update_layout(
        width=960, height=int(160 + 300 * sum(heights)), margin={"t": 60}, legend=_legend(3)
    )


def _ends(panel: Panel) -> dict[str, Any]:
    """Give what a panel asks of its vertical axis."""
    limits = ends(panel)
    if not panel.logarithmic:
        return {} if limits is None else {"range": list(limits)}
    if limits is None:
        return {"type": "log"}
    ticks = logarithmic_ticks(*limits)
    return {
        "type": "log",
        "range": [math.log10(end) for end in limits],
        "tickvals": ticks,
        "ticktext": [f"{tick:g}" for tick in ticks],
    }


def _ticks(figure: Lines) -> dict[str, Any]:
    """Give the ticks that a figure asks of its horizontal axis."""
    if figure.x_ticks is None:
        return {}
    return {"tickvals": list(figure.x_ticks), "ticktext": tick_texts(figure.x_ticks)}


def _level(drawn: go.Figure, panel: Panel, level: float, row: int) -> None:
    """Draw the dashed line of a panel, and its meaning above its left end."""
    drawn.add_hline(y=level, line=_DASHED, row=row, col=1)  # type: ignore[reportArgumentType]
    drawn.add_annotation(
        x=0,
        xref="x domain",
        xanchor="left",
        # Plotly places a shape by its number and a text by the number's logarithm.
        y=math.log10(level) if panel.logarithmic else level,
        yanchor="bottom",
        text=for_plotly(panel.level_label),
        font={"size": 12, "color": SOFT_INK},
        showarrow=False,
        row=row,
        col=1,
    )


def _band(line: Line) -> dict[str, Any]:
    """Give the trace that fills the space between the edges, a polygon per stretch."""
    x: list[float | None] = []
    y: list[float | None] = []
    edges = zip(line.x, line.low or (), line.high or (), strict=False)
    for is_gap, stretch in groupby(edges, key=lambda edge: None in edge):
        if not is_gap:
            there = list(stretch)
            # There along the upper edge, back along the lower; None ends the polygon.
            x += [at for at, _, _ in there] + [at for at, _, _ in there[::-1]] + [None]
            y += [high for _, _, high in there] + [low for _, low, _ in there[::-1]] + [None]
    look = {"fill": "toself", "mode": "none", "hoverinfo": "skip", "showlegend": False}
    return {"x": x, "y": y, **look}


def _translucent(color: str) -> str:
    red, green, blue = (int(color[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.16)"


def _about_point(figure: Lines, line: Line, point: int) -> str:
    height = line.y[point]
    if height is None:
        return ""
    note = f"<br>{for_plotly(line.notes[point])}" if line.notes else ""
    where = f"{for_plotly(figure.x_label)}: {line.x[point]:g}"
    return f"<b>{for_plotly(line.name)}</b>: {height:.4g}{note}<br>{where}"


def _bars(figure: Bars) -> go.Figure:
    names = _safe(figure.categories)
    intervals = figure.intervals or (None,) * len(names)
    between = ["" if it is None else f" [{it[0]:.4g}, {it[1]:.4g}]" for it in intervals]

    def across(words: Sequence[Any], numbers: Sequence[Any]) -> dict[str, Any]:
        x, y = (numbers, words) if figure.horizontal else (words, numbers)
        return {"x": list(x), "y": list(y)}

    def about(what: str, values: Sequence[float], beside: Sequence[str]) -> list[str]:
        rows = zip(names, values, beside, strict=True)
        return [f"<b>{name}</b><br>{for_plotly(what)}: {it:.4g}{more}" for name, it, more in rows]

    drawn = go.Figure()
    for part, color in zip(figure.parts, bar_colors(figure), strict=True):
        drawn.add_bar(
            **across(names, part.values),
            orientation="h" if figure.horizontal else "v",
            name=for_plotly(part.name),
            marker={"color": color, "line": {"width": 0}},
            hovertext=about(part.name, part.values, between),
            hoverinfo="text",
        )
    if figure.intervals is not None:
        ends = [
            (name, end)
            for name, it in zip(names, intervals, strict=True)
            if it
            for end in (*it, None)
        ]  # None ends the line of one bar
        look = {"mode": "lines", "line": {"color": INK, "width": 1.5}, "hoverinfo": "skip"}
        drawn.add_scatter(**across(*zip(*ends, strict=True)), showlegend=False, **look)
    if figure.line is not None:
        drawn.add_scatter(
            **across(names, figure.line),
            name=for_plotly(figure.line_name),
            mode="lines+markers",
            line={"color": CATEGORIES[5], "width": 2},
            hovertext=about(figure.line_name, figure.line, [""] * len(names)),
            hoverinfo="text",
        )
    if figure.band is not None:
        shade = drawn.add_vrect if figure.horizontal else drawn.add_hrect
        look = {"fillcolor": BAND, "line_width": 0, "layer": "below", "showlegend": True}
        shade(*figure.band, name=for_plotly(figure.band_name), **look)
    words = _axis(figure.category_label, type="category", dtick=1, showgrid=False)
    numbers = _axis(figure.value_label, rangemode="tozero")
    if figure.horizontal:
        drawn.update_yaxes({**words, "autorange": "reversed"}).update_xaxes(numbers)
        extent = {"width": 960, "height": max(320, 150 + 20 * len(names))}
    else:
        drawn.update_xaxes(words).update_yaxes(numbers)
        extent = {"width": max(760, 160 + 26 * len(names)), "height": 520}
    return drawn.update_layout(
        barmode="stack", margin={"t": 60}, legend=_legend(len(figure.parts) + 1), **extent  # type: ignore
    )  # fmt: skip
