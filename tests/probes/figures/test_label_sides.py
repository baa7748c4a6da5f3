import random
from itertools import combinations

from probes.figures import catalog
from probes.figures.labels import share_area, sides


def test_sides_leave_out_what_does_not_fit():
    apart = sides([0.2, 0.8], [0.5, 0.5], ["here", "there"], size=(400.0, 300.0))
    assert apart == ["middle right", "middle right"]
    crowd = sides([0.5] * 20, [0.5] * 20, ["somewhere"] * 20, size=(400.0, 300.0))
    assert None in crowd
    edge = sides([0.99], [0.5], ["edge"], size=(400.0, 300.0))
    assert edge == ["middle left"]


def test_chosen_sides_do_not_overlap_at_the_size_they_were_chosen_for():
    generator = random.Random(0)
    x, y = ([generator.uniform(0.1, 0.9) for _ in range(40)] for _ in range(2))
    chosen = sides(x, y, ["word"] * 40, size=(900.0, 600.0), character=(7.0, 15.0), gap=6.0)
    corner = {"left": (-34.0, -6.0), "right": (6.0, 34.0), "center": (-14.0, 14.0)}
    height = {"top": (6.0, 21.0), "bottom": (-21.0, -6.0), "middle": (-7.5, 7.5)}
    boxes = []
    for across, up, side in zip(x, y, chosen, strict=True):
        if side is not None:
            vertical, horizontal = side.split()
            (left, right), (low, high) = corner[horizontal], height[vertical]
            boxes.append(
                (across * 900 + left, up * 600 + low, across * 900 + right, up * 600 + high)
            )
    assert len(boxes) > 30
    assert not any(share_area(one, other) for one, other in combinations(boxes, 2))


def test_most_of_24_names_have_a_side_on_the_page(geometry):
    from probes.figures.webpage import plotly_figure

    traces = plotly_figure(catalog.pca_scatter(geometry)).data
    shown = [name for trace in traces for name in trace["text"] if name]
    assert len(shown) >= 22
