import math

import pytest

from probes.figures.axes import ends, logarithmic_ticks, tick_texts
from probes.figures.description import Line, Panel

LINE = Line(name="r", x=(0.0, 1.0), y=(None, 3.0), low=(None, 2.0), high=(None, 8.0))


def test_an_axis_reaches_beyond_its_band_and_its_level():
    low, high = ends(Panel(y_label="r", lines=(LINE,), level=-1.0)) or (0.0, 0.0)
    assert low < -1.0 and high > 8.0
    low, high = ends(Panel(y_label="r", lines=(LINE,), level=20.0, logarithmic=True)) or (0.0, 0.0)
    assert 1.0 < low < 2.0 and 20.0 < high < 30.0
    assert math.log10(20.0 / 2.0) * 1.1 == pytest.approx(math.log10(high / low))


def test_an_axis_that_needs_nothing_is_left_to_the_library():
    assert ends(Panel(y_label="r", lines=(LINE,))) is None
    empty = Line(name="r", x=(0.0,), y=(None,))
    assert ends(Panel(y_label="r", lines=(empty,), logarithmic=True)) is None
    given = Panel(y_label="r", lines=(LINE,), y_limits=(0.0, 5.0), level=20.0)
    assert ends(given) == (0.0, 5.0)


def test_one_number_alone_has_an_axis_too():
    alone = Line(name="r", x=(0.0,), y=(1.0,))
    low, high = ends(Panel(y_label="r", lines=(alone,), logarithmic=True)) or (0.0, 0.0)
    assert low < 1.0 < high


def test_many_powers_of_ten_are_ticks_alone_and_few_have_ticks_between():
    assert logarithmic_ticks(0.9, 3000.0) == [1.0, 10.0, 100.0, 1000.0]
    assert logarithmic_ticks(0.04, 1.5) == [0.05, 0.1, 0.2, 0.5, 1.0]


def test_a_tick_too_near_the_last_text_has_none():
    assert tick_texts((0.01, 0.02, 0.1, 0.5)) == ["0.01", "", "0.1", "0.5"]
    assert tick_texts((0.2,)) == ["0.2"]
