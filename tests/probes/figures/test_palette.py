"""Which points, lines and bars have which color and marker."""

from itertools import pairwise

from probes.figures.description import Bars, Line, Panel, Part, Scatter
from probes.figures.palette import (
    CATEGORIES,
    MUTED,
    SOFT_INK,
    bar_colors,
    category_color,
    line_color,
    point_sets,
)

WORDS = {"title": "t", "subtitle": "s", "caption": "c"}


def scatter(**looks) -> Scatter:
    n = len(next(iter(looks.values()))) if looks else 2
    numbers = tuple(float(index) for index in range(n))
    labels = tuple(f"word {index}" for index in range(n))
    return Scatter(labels=labels, x=numbers, y=numbers, x_label="x", y_label="y", **looks, **WORDS)


def test_groups_of_points_share_a_color_and_repeated_colors_another_marker():
    sets = point_sets(scatter(groups=(3, 0, 3, *range(4, 40))))
    assert (sets[1].name, sets[1].members) == ("group 4", [0, 2])
    assert len({(points.color, points.marker) for points in sets}) == len(sets) == 38
    assert all(one.marker != other.marker for one, other in pairwise(sets))


def test_a_group_with_a_name_is_called_by_it():
    named = scatter(groups=(1, 0), group_names=("joy", "fear"))
    assert [points.name for points in point_sets(named)] == ["joy", "fear"]


def test_points_without_a_shade_are_gray_and_stand_apart():
    unknown, known = point_sets(scatter(shades=(0.5, None, -1.0)))
    assert (unknown.members, unknown.color, unknown.shades) == ([1], MUTED, None)
    assert (known.members, known.shades) == ([0, 2], [0.5, -1.0])


def test_points_of_one_look_are_one_set():
    [points] = point_sets(scatter())
    assert (points.members, points.name, points.color) == ([0, 1], "", CATEGORIES[0])


def test_a_line_alone_needs_no_color_and_colors_repeat_after_the_last():
    line = Line(name="r", x=(0.0,), y=(1.0,))
    assert line_color(Panel(y_label="r", lines=(line,)), 0) == SOFT_INK
    assert line_color(Panel(y_label="r", lines=(line, line)), 1) == CATEGORIES[1]
    assert category_color(len(CATEGORIES)) == CATEGORIES[0]


def test_muted_parts_of_bars_use_no_color_up():
    parts = tuple(Part(name=str(n), values=(1.0,), muted=n == 1) for n in range(3))
    bars = Bars(categories=("a",), parts=parts, category_label="", value_label="v", **WORDS)
    assert bar_colors(bars) == [CATEGORIES[0], MUTED, CATEGORIES[1]]
