"""The plot area of each kind of figure, by matplotlib: the inches it needs, and its drawing."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.container import Container
from matplotlib.figure import Figure as Canvas
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ticker import MaxNLocator, NullLocator

from hooks.errors import InvalidInput
from probes.figures.axes import ends, logarithmic_ticks, tick_texts
from probes.figures.description import Bars, Figure, Heatmap, Lines, Panel, Scatter, TokenTable
from probes.figures.excerpt import heatmap_cell, name_step
from probes.figures.labels import nearest, place
from probes.figures.palette import (
    BAND,
    CATEGORIES,
    CROWD,
    DOWN_TINT,
    INK,
    N_MARKERS,
    PLEASANTNESS,
    RULE,
    SCALES,
    SOFT_INK,
    UP_TINT,
    bar_colors,
    ink_on,
    line_color,
    point_sets,
)
from probes.figures.text import escaped, shorten, visible

_MARKERS = "osD^vP"
_DASHED: dict[str, Any] = {"color": INK, "linewidth": 0.9, "linestyle": (0, (4, 3)), "zorder": 1}
_ALONG = 48  # characters of a name that stands along its bar
_ROW = 0.27  # inches per row of a token table
_COLUMNS = (0.0, 0.15, 0.52, 0.9)  # where the columns of a token table begin


def size(figure: Figure) -> tuple[float, float]:
    """Width of the page and height of the plot area, in inches."""
    match figure:
        case Heatmap():
            width, height = _heatmap_size(figure)
            return max(7.0, width), height
        case Scatter():
            return (8.5, 6.5) if len(figure.labels) <= CROWD else (14.0, 10.5)
        case Lines():
            return 8.5, 1.1 + 2.9 * sum(panel.height for panel in figure.panels)
        case Bars(horizontal=True):
            return 8.5, max(2.5, 1.1 + 0.19 * len(figure.categories))
        case Bars():
            return max(7.0, 1.5 + 0.25 * len(figure.categories)), 4.2
        case TokenTable():
            return 14.0, _ROW * (len(figure.rows) + 1.5)
    raise InvalidInput(f"cannot draw a {type(figure).__name__}: expected one of the five kinds.")


def draw(figure: Figure, page: Canvas) -> None:
    """Draw a description on a page whose layout engine knows the room that is left."""
    kinds = {
        Heatmap: _heatmap, Scatter: _scatter, Lines: _lines, Bars: _bars, TokenTable: _token_table
    }  # fmt: skip
    kinds[type(figure)](figure, page)


def drawable(text: str) -> str:
    """Replace each character that DejaVu Sans has no shape for by its escape."""
    known = _characters()
    return "".join(
        character if ord(character) in known else escaped(character) for character in visible(text)
    )


@cache
def _characters() -> frozenset[int]:
    font = get_font(findfont(FontProperties(family="DejaVu Sans")))
    return frozenset(font.get_charmap())


def _names(texts: Sequence[str], length: int = 32) -> list[str]:
    return [shorten(drawable(text), length) for text in texts]


def _scale(stops: Sequence[str]) -> LinearSegmentedColormap:
    return LinearSegmentedColormap.from_list("scale", list(stops))


def _axis_labels(axes: Axes, x_label: str, y_label: str) -> None:
    axes.set_xlabel(drawable(x_label))
    axes.set_ylabel(drawable(y_label))


def _legend_above(axes: Axes, **options: Any) -> None:
    """Legend in a row above the axes, where it covers no data."""
    handles, names = axes.get_legend_handles_labels()
    # Bars come before lines and bands, as they do in the description.
    order = sorted(range(len(handles)), key=lambda at: not isinstance(handles[at], Container))
    axes.legend(
        [handles[at] for at in order],
        [names[at] for at in order],
        loc="lower left",
        bbox_to_anchor=(0.0, 1.0),
        borderaxespad=0.2,
        **options,
    )


# Heat maps -------------------------------------------------------------------------------------


def _heatmap_size(figure: Heatmap) -> tuple[float, float]:
    """Inches of the cells with their labels and the color bar; cells are square."""
    n_rows, n_columns = len(figure.rows), len(figure.columns)
    cell = max(heatmap_cell(figure), 1.9 / n_rows)
    return min(n_columns * cell, n_columns * heatmap_cell(figure) + 4.4) + 2.6, n_rows * cell + 1.3


def _heatmap(figure: Heatmap, page: Canvas) -> None:
    # Few columns leave room on a page whose width its texts decide: it is kept on the right.
    width = _heatmap_size(figure)[0] - 0.6
    slack = max(page.get_size_inches()[0] - width, 0.0)
    ratios = {"ncols": 2, "width_ratios": (width, slack)} if slack > 0 else {"ncols": 1}
    axes = page.add_subplot(page.add_gridspec(nrows=1, **ratios)[0])
    low, high = figure.limits
    image = axes.imshow(
        np.asarray(figure.values),
        cmap=_scale(SCALES[figure.palette]),
        vmin=low,
        vmax=high,
        interpolation="nearest",
    )
    step, type_size = name_step(figure), 8.0 if name_step(figure) == 1 else 7.0
    # Columns are as many as rows where they are crowded as well.
    along = step if len(figure.columns) > CROWD else 1
    columns, rows = range(0, len(figure.columns), along), range(0, len(figure.rows), step)
    axes.set_xticks(columns, _names(figure.columns[::along]), rotation=90, fontsize=type_size)
    axes.set_yticks(rows, _names(figure.rows[::step]), fontsize=type_size)
    axes.tick_params(length=0, pad=2)
    axes.spines[:].set_visible(False)
    for row in figure.boundaries:
        axes.axhline(row - 0.5, color=INK, linewidth=0.6)
        if figure.rows == figure.columns:
            axes.axvline(row - 0.5, color=INK, linewidth=0.6)
    if figure.written:
        middle: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": type_size}
        for (row, column), value in np.ndenumerate(np.asarray(figure.values)):
            number, ink = format(value, figure.written), ink_on(figure, value)
            axes.text(column, row, number, color=ink, **middle)
    _axis_labels(axes, figure.x_label, figure.y_label)
    bar = page.colorbar(image, ax=axes, shrink=0.6, aspect=24, pad=0.02)
    bar.set_label(drawable(figure.value_label))
    bar.outline.set_visible(False)  # type: ignore[reportCallIssue]


# Scatter ---------------------------------------------------------------------------------------


def _scatter(figure: Scatter, page: Canvas) -> None:
    axes = page.add_subplot()
    crowded = len(figure.labels) > CROWD
    if figure.ticks:
        axes.axhline(0, color=RULE, linewidth=0.7, zorder=0)
        axes.axvline(0, color=RULE, linewidth=0.7, zorder=0)
    else:
        axes.set_xticks([])
        axes.set_yticks([])
    area = 16 if crowded else 34  # of a marker, in square points
    for points in point_sets(figure):
        look: dict[str, Any] = {"color": points.color}
        if points.shades is not None:
            look = {"c": points.shades, "cmap": _scale(PLEASANTNESS), "vmin": -1, "vmax": 1}
        drawn = axes.scatter(
            [figure.x[index] for index in points.members],
            [figure.y[index] for index in points.members],
            s=area, marker=_MARKERS[points.marker], label=shorten(drawable(points.name)) or None,
            edgecolors=INK, linewidths=0.4, zorder=3, **look,
        )  # fmt: skip
        if points.shades is not None:
            bar = page.colorbar(drawn, ax=axes, shrink=0.5, aspect=24, pad=0.02)
            bar.set_label(drawable(figure.shade_label))
            bar.outline.set_visible(False)  # type: ignore[reportCallIssue]
    if figure.groups is not None and figure.shades is None:
        _group_legend(figure, axes)
    axes.margins(0.09)
    _axis_labels(axes, figure.x_label, figure.y_label)
    page.draw_without_rendering()
    page.set_layout_engine("none")  # names are placed in pixels: nothing may move from here on
    radius = area**0.5 / 2
    if crowded:
        _write_names(figure, axes, size=7.5, radius=radius, apart=3.0, reach=0.07)
    else:
        _write_names(figure, axes, size=9.0, radius=radius, apart=0.0, reach=0.12)


def _group_legend(figure: Scatter, axes: Axes) -> None:
    """Name the groups in as many columns as their names leave room for."""
    names = axes.get_legend_handles_labels()[1]
    widest = 0.35 + 0.07 * max(map(len, names), default=0)  # inches, in type of 8 points
    columns = max(1, min(6, int((size(figure)[0] - 1.2) / widest)))
    title = None if figure.group_names is None else drawable(figure.group_label)
    _legend_above(
        axes, ncols=columns, handletextpad=0.1, columnspacing=1.0,
        title=title, title_fontsize=8.0, alignment="left",
    )  # fmt: skip


def _write_names(
    figure: Scatter, axes: Axes, *, size: float, radius: float, apart: float, reach: float
) -> None:
    """Write names beside their points, and how many have no room.

    Sizes are in points, also of the space that a name keeps at its end; `reach` is the share of the
    longer side of the frame by which a name may stand off.
    """
    frame, pixel = axes.get_window_extent(), axes.figure.dpi / 72  # pixels in a point
    corner = np.array([frame.x0, frame.y0])
    points = axes.transData.transform(np.column_stack([figure.x, figure.y])) - corner
    texts = [
        axes.text(0, 0, name, size=size, ha="left", va="bottom", zorder=4)
        for name in _names(figure.labels)
    ]
    extents = [text.get_window_extent() for text in texts]
    room = apart * pixel
    sizes = np.array([[it.width + room, it.height] for it in extents]).reshape(-1, 2)
    spots = place(
        points,
        sizes,
        (frame.width, frame.height),
        gap=(radius + 2.0) * pixel,
        reach=reach * max(frame.width, frame.height),
        order=figure.order,
    )
    to_data = axes.transData.inverted()
    for text, point, spot in zip(texts, points, spots, strict=True):
        if spot is None:
            text.remove()
            continue
        left, bottom = spot.box[:2]
        text.set_position(tuple(to_data.transform(corner + [left + room / 2, bottom])))
        if spot.side is None:
            ends_at = to_data.transform(corner + [point, nearest(spot.box, tuple(point))])
            axes.plot(*ends_at.T, color=SOFT_INK, linewidth=0.4, zorder=2)
    missing = spots.count(None)
    if missing:
        axes.annotate(
            f"{missing} of {len(spots)} names have no room here; the HTML page shows them",
            xy=(1, 1), xycoords="axes fraction", xytext=(0, 2), textcoords="offset points",
            ha="right", va="bottom", size=7.5, color=SOFT_INK,
        )  # fmt: skip


# Lines and bars --------------------------------------------------------------------------------


def _lines(figure: Lines, page: Canvas) -> None:
    heights = [panel.height for panel in figure.panels]
    grid = page.subplots(len(figure.panels), sharex=True, height_ratios=heights, squeeze=False)
    for axes, panel in zip(grid[:, 0], figure.panels, strict=True):
        _panel(panel, axes)
        axes.set_ylabel(drawable(panel.y_label))
        if figure.mark is not None:
            name = drawable(figure.mark_label) if axes is grid[0, 0] else None
            axes.axvline(figure.mark, label=name, **_DASHED)
    _legend_above(grid[0, 0], ncols=4)
    grid[-1, 0].set_xlabel(drawable(figure.x_label))
    if figure.x_ticks is not None:
        grid[-1, 0].set_xticks(figure.x_ticks, tick_texts(figure.x_ticks))
        return
    positions = [x for panel in figure.panels for line in panel.lines for x in line.x]
    whole = all(x == int(x) for x in positions)  # layers have no halves, doses do
    grid[-1, 0].xaxis.set_major_locator(MaxNLocator(10, integer=whole))


def _panel(panel: Panel, axes: Axes) -> None:
    for index, line in enumerate(panel.lines):
        color = line_color(panel, index)
        if line.low is not None and line.high is not None:
            low, high = _with_gaps(line.low), _with_gaps(line.high)
            axes.fill_between(line.x, low, high, color=color, alpha=0.16, linewidth=0)
        axes.plot(
            line.x,
            _with_gaps(line.y),
            color=color,
            marker=_MARKERS[index % N_MARKERS],
            markersize=3.6,
            linewidth=1.6,
            label=drawable(line.name),
        )
    axes.grid(axis="y")
    limits = ends(panel)
    if panel.level is not None:
        _level(panel, panel.level, axes)
    if panel.logarithmic:
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
    if limits is not None:
        axes.set_ylim(*limits)
    if panel.logarithmic:
        ticks = logarithmic_ticks(*(limits or axes.get_ylim()))
        axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    elif all(height is None or height == int(height) for line in panel.lines for height in line.y):
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))  # counts have no halves


def _with_gaps(heights: Sequence[float | None]) -> Float[np.ndarray, "point"]:
    return np.array(heights, dtype=float)  # None becomes NaN, at which matplotlib leaves a gap


def _level(panel: Panel, level: float, axes: Axes) -> None:
    axes.axhline(level, **_DASHED)
    axes.annotate(
        drawable(panel.level_label),
        xy=(0, level),
        xycoords=axes.get_yaxis_transform(),
        xytext=(3, 2),
        textcoords="offset points",
        va="bottom",
        size=8.0,
        color=SOFT_INK,
    )


def _bars(figure: Bars, page: Canvas) -> None:
    axes = page.add_subplot()
    positions = np.arange(len(figure.categories))
    base = np.zeros(len(figure.categories))
    for part, color in zip(figure.parts, bar_colors(figure), strict=True):
        look: dict[str, Any] = {"color": color, "label": drawable(part.name), "linewidth": 0}
        if figure.horizontal:
            axes.barh(positions, part.values, left=base, height=0.74, **look)
        else:
            axes.bar(positions, part.values, bottom=base, width=0.74, **look)
        base = base + np.asarray(part.values)
    for position, interval in enumerate(figure.intervals or ()):
        if interval is not None:
            draw_line = axes.hlines if figure.horizontal else axes.vlines
            draw_line(position, *interval, color=INK, linewidth=1.1, zorder=4)
    names = _names(figure.categories, _ALONG if figure.horizontal else 32)
    if figure.horizontal:
        axes.set_yticks(positions, names)
        axes.set_ylim(len(names) - 0.4, -0.6)
        _axis_labels(axes, figure.value_label, figure.category_label)
    else:
        axes.set_xticks(positions, names, rotation=90 if max(map(len, names), default=0) > 3 else 0)
        axes.set_xlim(-0.7, len(names) - 0.3)
        _axis_labels(axes, figure.category_label, figure.value_label)
    axes.grid(axis="x" if figure.horizontal else "y")
    axes.tick_params(axis="y" if figure.horizontal else "x", length=0)
    if figure.line is not None:
        axes.plot(
            positions, figure.line, color=CATEGORIES[5], marker="o", markersize=3.2, linewidth=1.4,
            label=drawable(figure.line_name),
        )  # fmt: skip
    if figure.band is not None:
        shade = axes.axvspan if figure.horizontal else axes.axhspan
        shade(*figure.band, color=BAND, linewidth=0, zorder=0, label=drawable(figure.band_name))
    if len(figure.parts) + (figure.line is not None) + (figure.band is not None) > 1:
        _legend_above(axes, ncols=5, handlelength=1.2, columnspacing=1.2)


# Token tables ----------------------------------------------------------------------------------


def _token_table(figure: TokenTable, page: Canvas) -> None:
    axes = page.add_subplot()
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(len(figure.rows) + 0.5, -1)
    page.draw_without_rendering()
    page.set_layout_engine("none")
    for column, name in zip(_COLUMNS, figure.header, strict=True):
        axes.text(column, -0.5, drawable(name), va="center", weight="bold", size=8.5)
    for index, row in enumerate(figure.rows):
        axes.axhline(index, color=RULE, linewidth=0.5)
        middle = index + 0.5
        axes.text(_COLUMNS[0], middle, shorten(drawable(row.label), 24), va="center", size=9.0)
        _chips(axes, _COLUMNS[1], _COLUMNS[2], middle, [token for token, _ in row.up], UP_TINT)
        _chips(axes, _COLUMNS[2], _COLUMNS[3], middle, [token for token, _ in row.down], DOWN_TINT)
        axes.text(_COLUMNS[3], middle, drawable(row.remark), va="center", size=8.5, color=SOFT_INK)


def _chips(
    axes: Axes, left: float, right: float, middle: float, tokens: Sequence[str], tint: str
) -> None:
    """Write tokens from left to right on tinted boxes until the column is full."""
    pixels = axes.get_window_extent().width
    pad, end = 5.0 / pixels, right - 0.012
    start, boxes = left, []
    for token in tokens:
        text = axes.text(start + pad, middle, shorten(drawable(token), 24), va="center", size=8.0)
        width = text.get_window_extent().width / pixels + 2 * pad
        if start + width > end:
            text.remove()
            break
        boxes.append((start, width))
        start += width + pad
    axes.broken_barh(boxes, (middle - 0.38, 0.76), color=tint, linewidth=0, zorder=0)
