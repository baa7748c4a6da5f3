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

from probes.figures.label_sides import share_area
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
