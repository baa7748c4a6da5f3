"""Names beside points, without overlaps.

Contract
--------
* `place` writes names into a matplotlib axes whose layout is final. A name that fits nowhere near
  its point is left out; its point stays, and the HTML shows the name under the pointer. Positions
  depend on the input alone.
* `overlaps` measures the result in pixels, so that tests and callers need not trust the
  placement.

Source: `textalloc` (C. Kjellson), a greedy search over candidate boxes around each point.
"""

from collections.abc import Sequence
from itertools import combinations

import textalloc
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.text import Text

from probes.figures.palette import INK, SOFT_INK


def place(
    axes: Axes,
    points: PathCollection,
    x: Sequence[float],
    y: Sequence[float],
    labels: Sequence[str],
    *,
    size: float,
) -> list[Text]:
    """Write names beside points, with a leader line where a name had to move away.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
        With final limits and position.
    points : matplotlib.collections.PathCollection
        The markers, which names keep clear of.
    x, y : sequence of float
        Positions of the markers in data units.
    labels : sequence of str
        Names, in the order of the markers.
    size : float
        Font size in points.

    Returns
    -------
    list of matplotlib.text.Text
        The names that were placed; at most as many as points.
    """
    if not labels:
        return []
    _, _, texts, _ = textalloc.allocate(
        axes,
        list(x),
        list(y),
        list(labels),
        x_scatter=list(x),
        y_scatter=list(y),
        scatter_plot=points,
        textsize=size,
        textcolor=INK,
        linecolor=SOFT_INK,
        linewidth=0.4,
        margin=0.002,
        min_distance=0.006,
        max_distance=0.12,
        nbr_candidates=600,
        draw_all=False,
        avoid_label_lines_overlap=True,
        avoid_crossing_label_lines=True,
    )
    return [text for text in texts if text is not None]  # type: ignore[reportReturnType]


def overlaps(texts: Sequence[Text]) -> list[tuple[str, str]]:
    """Pairs of names whose boxes share at least one pixel, as drawn by the renderer."""
    extents = [text.get_window_extent() for text in texts]
    boxes = [(float(b.x0), float(b.y0), float(b.x1), float(b.y1)) for b in extents]
    return [
        (texts[one].get_text(), texts[other].get_text())
        for one, other in combinations(range(len(texts)), 2)
        if share_area(boxes[one], boxes[other])
    ]


Box = tuple[float, float, float, float]

# Offsets of a box from its point, in box widths and heights, under plotly's names for them.
_SIDES = {
    "middle right": (0.0, -0.5),
    "middle left": (-1.0, -0.5),
    "top center": (-0.5, 0.0),
    "bottom center": (-0.5, -1.0),
    "top right": (0.0, 0.0),
    "top left": (-1.0, 0.0),
    "bottom right": (0.0, -1.0),
    "bottom left": (-1.0, -1.0),
}


def sides(
    x: Sequence[float],
    y: Sequence[float],
    labels: Sequence[str],
    *,
    size: tuple[float, float],
    character: tuple[float, float] = (7.0, 15.0),
    gap: float = 6.0,
) -> list[str | None]:
    """Choose a side for each name in a plot of known size.

    Parameters
    ----------
    x, y : sequence of float
        Positions as fractions of the plot's width and height.
    labels : sequence of str
        Names, in the order of the points.
    size : tuple of float
        Width and height of the plot, in pixels.
    character : tuple of float
        Width and height to expect of one character, in pixels.
    gap : float
        Radius around each point that names keep clear of, in pixels.

    Returns
    -------
    list of (str or None)
        A text position of plotly per name; None where the name fits nowhere.
    """
    width, height = size
    centers = [(across * width, up * height) for across, up in zip(x, y, strict=True)]
    taken = [(across - gap, up - gap, across + gap, up + gap) for across, up in centers]
    chosen: list[str | None] = []
    for index, ((across, up), label) in enumerate(zip(centers, labels, strict=True)):
        # A name may touch its own marker's circle but nobody else's.
        others = taken[:index] + taken[index + 1 :]
        boxes = {
            side: _box(across, up, len(label) * character[0], character[1], offset, gap)
            for side, offset in _SIDES.items()
        }
        free = (
            side
            for side, box in boxes.items()
            if min(box[0], box[1]) >= 0
            and box[2] <= width
            and box[3] <= height
            and not any(share_area(box, other) for other in others)
        )
        side = next(free, None)
        chosen.append(side)
        if side is not None:
            taken.append(boxes[side])
    return chosen


def _box(
    across: float,
    up: float,
    width: float,
    height: float,
    offset: tuple[float, float],
    gap: float,
) -> Box:
    """Box of a name that stands `gap` pixels away from its point on one side."""
    left = across + offset[0] * width + gap * (offset[0] + 0.5) * 2
    bottom = up + offset[1] * height + gap * (offset[1] + 0.5) * 2
    return left, bottom, left + width, bottom + height


def share_area(one: Box, other: Box) -> bool:
    """Tell whether two boxes (left, bottom, right, top) overlap."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
