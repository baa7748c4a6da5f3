"""On which side of its point a name stands in a plot of known size.

Contract
--------
* For plotly, which measures text only in the browser: names are as wide as their characters
  probably are. A name that fits on no side is left to the pointer.
* Sides are tried in one fixed order and points in the order given, so the result depends on the
  input alone. Numbers only; nothing here knows plotly or matplotlib.
"""

from collections.abc import Sequence

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
