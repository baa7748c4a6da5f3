"""Where names stand beside their points, so that none covers another: one rule for both drawings.

1. Every name, in a given order, takes the first of eight sides of its point on which it is free.
2. A name that has none goes farther away, ring by ring, with a line that leads back to its point.
3. A name that is free nowhere is left out; its point stays.

Free is what lies inside the area and shares no pixel with a point, a name or a line. Positions and
sizes are in pixels, y upward, and depend on the input alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

Boxes = Float[np.ndarray, "box 4"]
"""Left, bottom, right and top of each."""
Others = Float[np.ndarray, "other 4"]

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
_OFFSETS = np.array(list(_SIDES.values()))
_ANGLES = np.arange(24) * (np.pi / 12)
_RINGS = 12


@dataclass(frozen=True)
class Spot:
    """Where a name stands: left, bottom, right, top, and its side (None: a line leads to it)."""

    box: tuple[float, float, float, float]
    side: str | None


def place(
    points: Float[np.ndarray, "name 2"],
    sizes: Float[np.ndarray, "name 2"],
    area: tuple[float, float],
    *,
    gap: float,
    reach: float = 0.0,
    order: Sequence[int] | None = None,
) -> list[Spot | None]:
    """Choose where every name stands; None where it is free nowhere.

    `gap` is the radius around each point that names keep clear of, `reach` how far from its point a
    name may stand; 0 leaves out what has no side. Those that come first in `order` (None: as they
    are) choose first.
    """
    spots: list[Spot | None] = [None] * len(points)
    taken = np.concatenate([points - gap, points + gap], axis=1)
    order = range(len(points)) if order is None else order
    for index in order:
        point, size = points[index], sizes[index]
        corner = point + _OFFSETS * size + 2 * gap * (_OFFSETS + 0.5)
        boxes = np.concatenate([corner, corner + size], axis=1)
        free = np.flatnonzero(_inside(boxes, area) & ~_meet(boxes, np.delete(taken, index, axis=0)))
        if len(free):
            spots[index] = Spot(tuple(boxes[free[0]].tolist()), list(_SIDES)[free[0]])
            taken = np.concatenate([taken, boxes[free[:1]]])
    for index in [index for index in order if spots[index] is None and reach]:
        boxes = _rings(points[index], sizes[index], gap, reach)
        boxes = boxes[_inside(boxes, area) & ~_meet(boxes, taken)]
        # What touches its own marker cannot be avoided: points that coincide, lines from them.
        others = taken[~_meet(taken, taken[index : index + 1])]
        for box in boxes:  # the nearest first
            line = _line_to(box, points[index])
            if not _meet(line, others).any():
                spots[index] = Spot(tuple(box.tolist()), None)
                taken = np.concatenate([taken, box[None], line])
                break
    return spots


def nearest(
    box: tuple[float, float, float, float], point: tuple[float, float]
) -> tuple[float, float]:
    """Return the point of a box that is nearest to a point: where a leading line ends."""
    left, bottom, right, top = box
    return min(max(point[0], left), right), min(max(point[1], bottom), top)


def _rings(
    point: Float[np.ndarray, "2"], size: Float[np.ndarray, "2"], gap: float, reach: float
) -> Boxes:
    """Boxes around a point, the nearest ring first."""
    distances = np.linspace(2 * gap, max(reach, 2 * gap), _RINGS)
    toward = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
    centers = point + toward * (distances[:, None, None] + size / 2)
    centers = centers.reshape(-1, 2)
    return np.concatenate([centers - size / 2, centers + size / 2], axis=1)


def _line_to(box: Float[np.ndarray, "4"], point: Float[np.ndarray, "2"]) -> Boxes:
    """Small boxes along the line from a point to a name, short of the name itself."""
    end = np.array(nearest(tuple(box.tolist()), tuple(point.tolist())))
    steps = np.linspace(0.0, 0.95, max(2, int(np.linalg.norm(end - point) / 3)))
    along = point + steps[:, None] * (end - point)
    return np.concatenate([along - 1.0, along + 1.0], axis=1)


def _inside(boxes: Boxes, area: tuple[float, float]) -> Bool[np.ndarray, "box"]:
    return np.all(boxes[:, :2] >= 0, axis=1) & np.all(boxes[:, 2:] <= np.array(area), axis=1)


def _meet(boxes: Boxes, others: Others) -> Bool[np.ndarray, "box"]:
    """Whether each box shares a pixel with any of the others."""
    left, bottom, right, top = boxes.T[..., None]
    beside = (left < others[:, 2]) & (right > others[:, 0])
    return np.any(beside & (bottom < others[:, 3]) & (top > others[:, 1]), axis=1)
