"""Colors shared by both drawings, as hexadecimal strings, and what of a figure has which.

Scales are evenly spaced stops from low to high, readable for color-blind readers; categories never
rely on color alone. Source: `RdBu`, `PuOr` and `YlGnBu` of colorbrewer2.org (C. Brewer); categories
of Okabe & Ito (2008), "Color Universal Design", with yellow and black moved to the end and
darkened, then violet and brown.
"""

from dataclasses import dataclass

from probes.figures.description import Bars, Heatmap, Panel, Scatter

# Blue is negative and red is positive.
DIVERGING = (
    "#053061", "#2166ac", "#4393c3", "#92c5de", "#d1e5f0", "#f7f7f7",
    "#fddbc7", "#f4a582", "#d6604d", "#b2182b", "#67001f",
)  # fmt: skip
# Purple is unpleasant and orange is pleasant: another pair, so a shade is not read as a cosine.
PLEASANTNESS = (
    "#2d004b", "#542788", "#8073ac", "#b2abd2", "#d8daeb", "#f7f7f7",
    "#fee0b6", "#fdb863", "#e08214", "#b35806", "#7f3b08",
)  # fmt: skip
SEQUENTIAL = (
    "#ffffd9", "#edf8b1", "#c7e9b4", "#7fcdbb", "#41b6c4",
    "#1d91c0", "#225ea8", "#253494", "#081d58",
)  # fmt: skip
CATEGORIES = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b8ab00", "#555555",
    "#7e57c2", "#8c4a1f",
)  # fmt: skip

SCALES = {"diverging": DIVERGING, "sequential": SEQUENTIAL}

INK = "#1f2328"
SOFT_INK = "#57606a"
RULE = "#d0d7de"
MUTED = "#c9ced4"
BAND = "#eceff3"
UP_TINT = "#fbe3d6"
DOWN_TINT = "#dceaf4"

CROWD = 60
"""More names than this get small type."""
N_MARKERS = 6


def category_color(index: int) -> str:
    """Color of a category; colors repeat after the tenth."""
    return CATEGORIES[index % len(CATEGORIES)]


def line_color(panel: Panel, index: int) -> str:
    """Color of a panel's line; one that is alone needs none."""
    return category_color(index) if len(panel.lines) > 1 else SOFT_INK


def ink_on(figure: Heatmap, value: float) -> str:
    """Color in which a number is read on its own cell."""
    low, high = figure.limits
    share = (value - low) / (high - low)
    dark = abs(share - 0.5) > 0.3 if figure.palette == "diverging" else share > 0.5
    return "#ffffff" if dark else INK


def bar_colors(figure: Bars) -> list[str]:
    """Color of each part of stacked bars; muted parts are gray and use no category up."""
    colors, shown = [], 0
    for part in figure.parts:
        colors.append(MUTED if part.muted else category_color(shown))
        shown += not part.muted
    return colors


@dataclass(frozen=True)
class PointSet:
    """Points (indices) of a scatter that look alike, by color or by `shades` on `PLEASANTNESS`."""

    name: str
    members: list[int]
    color: str
    marker: int = 0
    shades: list[float] | None = None


def group_name(figure: Scatter, group: int) -> str:
    """Name of a group of points, or its number."""
    if figure.group_names is None:
        return f"{figure.group_label} {group + 1}"
    return figure.group_names[group]


def point_sets(figure: Scatter) -> list[PointSet]:
    """Sort the points of a scatter by their looks."""
    everyone = list(range(len(figure.labels)))
    if figure.shades is not None:
        shades = {index: it for index, it in enumerate(figure.shades) if it is not None}
        unknown = [index for index in everyone if index not in shades]
        known = PointSet("", list(shades), MUTED, shades=list(shades.values()))
        return [PointSet("", unknown, MUTED), known]
    if figure.groups is None:
        return [PointSet("", everyone, CATEGORIES[0])]
    return [
        PointSet(
            group_name(figure, group),
            [index for index in everyone if figure.groups[index] == group],
            category_color(number),
            (number + number // len(CATEGORIES)) % N_MARKERS,
        )
        for number, group in enumerate(sorted(set(figure.groups)))
    ]
