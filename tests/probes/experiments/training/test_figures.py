"""The figure of a shift: the farthest of many emotions, in the band of random directions."""

from dataclasses import replace

import pytest

from probes.analysis.findings import Estimate
from probes.experiments.training.figures import shifted_emotions


@pytest.fixture(scope="module")
def result(materials, read, unit, measured):
    readings = read(materials, 0.2 * unit(materials, "sad"))
    return measured(readings)


def of_many(result, n):
    """A shift of emotions by their number, of which the highest three are beyond chance."""
    shift = [Estimate(it - n / 2, it - n / 2 - 0.1, it - n / 2 + 0.1) for it in range(n)]
    q = [0.01 if number >= n - 3 else 0.5 for number in range(n)]
    many = replace(result.shifts["challenging"], shift=shift, q=q, band=2.0)
    names = [f"emotion {number}" for number in range(n)]
    return replace(result, emotions=names, shifts={**result.shifts, "challenging": many})


def test_few_emotions_are_all_there_from_the_highest_to_the_lowest(result):
    figure = shifted_emotions(result)
    assert sorted(figure.categories) == sorted(result.emotions)
    assert figure.categories[0] == "sad"
    assert list(figure.totals) == sorted(figure.totals, reverse=True)
    shift = result.shifts["challenging"]
    assert figure.band == (-shift.band, shift.band)
    assert figure.intervals[0] == shift.shift[result.emotions.index("sad")].ends


def test_of_many_the_farthest_fifteen_each_way_are_there(result):
    figure = shifted_emotions(of_many(result, 40))
    assert len(figure.categories) == 30
    assert figure.categories[0] == "emotion 39"
    assert figure.categories[-1] == "emotion 0"
    assert "emotion 20" not in figure.categories


def test_what_is_beyond_random_directions_has_a_color(result):
    figure = shifted_emotions(of_many(result, 40))
    moved, rest = figure.parts
    assert [value != 0 for value in moved.values] == [True] * 3 + [False] * 27
    assert rest.muted
    assert "3 of 40 emotions" in figure.caption
