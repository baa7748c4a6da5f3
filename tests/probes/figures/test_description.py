import dataclasses
import math

import pytest

from hooks.errors import DataError, InvalidInput
from probes.figures import Bars, Heatmap, Lines, Scatter, TokenTable
from probes.figures.description import Line, Panel, Part, TokenRow

WORDS = {"title": "A figure", "subtitle": "made up", "caption": "Nothing to see."}
AXES = {"x_label": "x", "y_label": "y"}


def heatmap(values: tuple[tuple[float, ...], ...], rows: tuple[str, ...] = ("a", "b")) -> Heatmap:
    return Heatmap(
        rows=rows, columns=("a", "b"), values=values, value_label="v", limits=(-1.0, 1.0),
        **WORDS, **AXES,
    )  # fmt: skip


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_every_kind_refuses_numbers_that_are_not_finite(value):
    with pytest.raises(DataError, match="finite.*repeat the analysis"):
        heatmap(((1.0, 0.0), (value, 1.0)))
    with pytest.raises(DataError):
        Scatter(labels=("a",), x=(value,), y=(0.0,), **WORDS, **AXES)
    with pytest.raises(DataError):
        Line(name="r", x=(0.0,), y=(value,))
    with pytest.raises(DataError):
        Bars(
            categories=("a",), parts=(Part(name="p", values=(value,)),), category_label="c",
            value_label="v", **WORDS,
        )  # fmt: skip
    with pytest.raises(DataError):
        TokenTable(
            header=("", "", "", ""), rows=(TokenRow(label="a", up=(("t", value),)),), **WORDS
        )


def test_lengths_that_disagree_are_refused():
    with pytest.raises(InvalidInput, match="expected 2 entries, got 1"):
        heatmap(((1.0, 0.0), (1.0,)))
    with pytest.raises(InvalidInput, match="expected 2 entries, got 1"):
        Scatter(labels=("a", "b"), x=(0.0,), y=(0.0, 1.0), **WORDS, **AXES)
    with pytest.raises(InvalidInput):
        Line(name="r", x=(0.0, 1.0), y=(0.0, 1.0), low=(0.0, 0.0))


def test_a_bar_without_an_interval_says_none_and_none_is_forgotten():
    parts = (Part(name="p", values=(1.0, 0.0)), Part(name="q", values=(0.0, 2.0)))
    words = {**WORDS, "category_label": "c", "value_label": "v"}
    bars = Bars(categories=("a", "b"), parts=parts, intervals=((0.5, 1.5), None), **words)
    assert bars.totals == (1.0, 2.0)
    with pytest.raises(InvalidInput, match="intervals: expected 2 entries, got 1"):
        Bars(categories=("a", "b"), parts=parts, intervals=(None,), **words)
    with pytest.raises(DataError):
        Bars(categories=("a", "b"), parts=parts, intervals=(None, (0.0, math.nan)), **words)
    with pytest.raises(DataError, match="chance"):
        Bars(categories=("a", "b"), parts=parts, band=(0.0, math.inf), band_name="chance", **words)


def test_labels_that_would_share_one_place_are_refused():
    with pytest.raises(InvalidInput, match="twice.*'a'"):
        heatmap(((1.0, 0.0), (0.0, 1.0)), rows=("a", "a"))


def test_a_gap_is_none_and_not_a_number():
    line = Line(name="r", x=(0.0, 1.0), y=(None, 0.5))
    panel = Panel(y_label="r", lines=(line,))
    assert Lines(x_label="layer", panels=(panel,), **WORDS).panels[0].lines[0].y[0] is None


def test_a_logarithmic_axis_has_no_place_for_zero():
    line = Line(name="kl", x=(0.0, 1.0), y=(None, 0.5), low=(None, 0.1), high=(None, 0.7))
    assert Panel(y_label="kl", lines=(line,), logarithmic=True, level=1.0).level == 1.0
    zero = dataclasses.replace(line, y=(0.0, 0.5))
    assert Panel(y_label="kl", lines=(zero,)).lines == (zero,)
    for options in ({"lines": (zero,)}, {"lines": (line,), "level": -1.0}):
        with pytest.raises(InvalidInput, match="above 0; leave a gap"):
            Panel(y_label="kl", logarithmic=True, **options)
    with pytest.raises(DataError):
        Panel(y_label="kl", lines=(line,), level=math.inf)


def test_a_description_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        heatmap(((1.0, 0.0), (0.0, 1.0))).title = "Another"  # type: ignore[misc]
