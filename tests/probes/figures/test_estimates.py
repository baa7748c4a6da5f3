"""Estimates become bars of one color each, and lines with their band."""

import math
from types import SimpleNamespace

import pytest

from hooks.errors import DataError
from probes.figures import Bars
from probes.figures.estimates import Bar, bar_of, bars_by_kind, line_of

WORDS = {"title": "t", "subtitle": "s", "caption": "c", "value_label": "r"}


def estimate(value=0.3, low=0.1, high=0.6):
    return SimpleNamespace(value=value, low=low, high=high)


def test_each_bar_is_in_the_part_of_its_kind_and_nowhere_else():
    bars = [bar_of("own", "measured", estimate()), Bar("shuffled", "chance", -0.1)]
    figure = Bars(**bars_by_kind(bars, ("chance", "measured"), muted=("chance",)), **WORDS)
    assert [(part.name, part.values, part.muted) for part in figure.parts] == [
        ("chance", (0.0, -0.1), True),
        ("measured", (0.3, 0.0), False),
    ]
    assert figure.totals == (0.3, -0.1)
    assert figure.intervals == ((0.1, 0.6), None)


def test_an_estimate_without_an_interval_is_a_bar_without_one():
    assert bar_of("names", "measured", estimate(low=None, high=None)).ends is None


def test_a_line_carries_its_band():
    line = line_of("same emotion", (1.0, 2.0), [estimate(), estimate()])
    assert (line.y, line.low, line.high) == ((0.3, 0.3), (0.1, 0.1), (0.6, 0.6))


@pytest.mark.parametrize("key", ["value", "high"])
def test_what_is_not_finite_is_refused(key):
    damaged = estimate(**{key: math.nan})
    bars = bars_by_kind([bar_of("own", "measured", damaged)], ["measured"])
    with pytest.raises(DataError, match="expected finite numbers"):
        Bars(**bars, **WORDS)
    with pytest.raises(DataError, match="expected finite numbers"):
        line_of("own", (1.0,), [damaged])
