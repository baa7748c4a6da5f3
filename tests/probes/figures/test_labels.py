"""Names beside points: none covers another, and those without room are left out."""

from itertools import combinations

import numpy as np
import pytest

from probes.figures.labels import Spot, nearest, place

WIDE = (400.0, 300.0)


def meet(one, other):
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def placed(points, *, area=WIDE, reach=0.0, size=(28.0, 15.0)):
    sizes = np.tile(size, (len(points), 1))
    return place(np.array(points, dtype=float), sizes, area, gap=6.0, reach=reach)


def test_a_name_takes_the_first_side_that_is_free():
    assert [spot.side for spot in placed([(80, 150), (320, 150)])] == ["middle right"] * 2
    assert placed([(396, 150)])[0].side == "middle left"
    assert placed([(396, 150)])[0].box == (396 - 6 - 28, 142.5, 390, 157.5)
    assert placed([(6, 6)], size=(395.0, 280.0)) == [None]


def test_a_crowd_leaves_names_out_and_those_that_stand_do_not_overlap():
    spots = placed([(200, 150)] * 20)
    assert 0 < spots.count(None) < 20
    points = np.random.default_rng(0).uniform((90, 60), (810, 540), size=(40, 2))
    boxes = [spot.box for spot in placed(points, area=(900.0, 600.0)) if spot is not None]
    assert len(boxes) > 30
    assert not any(meet(one, other) for one, other in combinations(boxes, 2))
    for box in boxes:  # a name keeps clear of every point but its own, which it stands 6 pixels off
        assert not any(meet(box, (x - 5.9, y - 5.9, x + 5.9, y + 5.9)) for x, y in points)


def test_who_comes_first_in_the_order_takes_the_room():
    crowd = np.tile((200.0, 150.0), (20, 1))
    sizes = np.tile((28.0, 15.0), (20, 1))
    order = [*range(10, 20), *range(10)]
    spots = place(crowd, sizes, WIDE, gap=6.0, order=order)
    named = [index for index, spot in enumerate(spots) if spot is not None]
    assert named == list(range(10, 10 + len(named)))
    assert place(crowd, sizes, WIDE, gap=6.0, order=range(20)) == placed([(200, 150)] * 20)


def test_with_reach_a_name_goes_farther_away_and_its_line_crosses_no_name():
    points = [(200 + 3 * n, 150) for n in range(14)]
    near, far = placed(points), placed(points, reach=120.0)
    assert near.count(None) > far.count(None)
    led = [(spot, point) for spot, point in zip(far, points, strict=True) if spot and not spot.side]
    assert led
    boxes = [spot.box for spot in far if spot is not None]
    assert not any(meet(one, other) for one, other in combinations(boxes, 2))
    for spot, point in led:
        end = np.array(nearest(spot.box, (float(point[0]), float(point[1]))))
        for share in np.linspace(0.0, 0.9, 30):
            x, y = point + share * (end - point)
            assert not any(meet((x, y, x, y), box) for box in boxes if box != spot.box)


def test_no_names_and_one_point_at_the_edge_are_no_special_case():
    assert place(np.zeros((0, 2)), np.zeros((0, 2)), WIDE, gap=6.0) == []
    assert placed([(-50, 150)]) == [None]
    assert placed([(1, 1)])[0] == Spot((7.0, 7.0, 35.0, 22.0), "top right")


@pytest.mark.parametrize(
    ("point", "end"), [((0.0, 5.0), (10, 5)), ((15.0, 9.0), (15, 7)), ((12.0, 5.0), (12, 5))]
)
def test_a_line_ends_where_the_name_begins(point, end):
    assert nearest((10.0, 3.0, 20.0, 7.0), point) == end
