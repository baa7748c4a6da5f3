"""Figures of the same words: rows are layers from the last down, numbers are thousandths."""

import pytest

from probes.analysis.findings import Estimate
from probes.experiments.pasts.closings import Carried, WayOnClosings
from probes.experiments.pasts.figures import curves_over_layers, estimates_line, figures
from probes.experiments.pasts.same_words import LayerEffect, NullDraws, SameWordsResult

LAYERS = [2, 5]


def _result(carried):
    one = Estimate(0.004, 0.001, 0.007)
    rows = [LayerEffect(layer=n, effect=one, null_upper=0.002, neutral=0.001) for n in LAYERS]
    return SameWordsResult(
        model="made-up",
        layer=5,
        layers=LAYERS,
        n_suffixes=1,
        n_tokens=[3],
        effects={"a": 0.004, "b": 0.004},
        effect=one,
        unsigned={"neutral turns": Estimate(0.001, 0.0, 0.002), "other names": Estimate(0.001)},
        order=one,
        nulls={"axes of shuffled ratings": NullDraws(0.002, 0.01, 99)},
        by_layer=rows,
        tokens=[[0.001, 0.002, 0.003], [0.004, 0.005, -0.006]],
        begins=2,
        own=None,
        place=None,
        carried=carried,
    )


def test_layers_by_tokens():
    heatmap = figures(_result(None))["same_words_by_token"]
    assert heatmap.rows == ("5", "2")
    assert heatmap.columns == ("1", "2", "3")
    assert heatmap.values[0] == pytest.approx((4.0, 5.0, -6.0))
    assert heatmap.limits == (-6.0, 6.0)


def test_curves_have_bands_and_controls():
    lines = figures(_result(None))["same_words_by_layer"]
    effect, shuffled, neutral = lines.panels[0].lines
    assert (effect.y, effect.low) == ((4.0, 4.0), (1.0, 1.0))
    assert (shuffled.y, neutral.y) == ((2.0, 2.0), (1.0, 1.0))
    assert lines.mark == 5.0


def test_closings_are_drawn_where_there_are_any():
    source = WayOnClosings(
        way="said", by_layer=[Estimate(0.002)] * 2, own=Estimate(0.002), p=0.01, by_emotion={}
    )
    carried = Carried(
        layers=LAYERS,
        layer=5,
        n_topics=2,
        n_permutations=99,
        sources=[source],
        parts=[[0.001] * 10, [0.002] * 10],
        read=["sad"],
    )
    drawn = figures(_result(carried))
    assert list(drawn)[2:] == ["closings_by_layer", "closings_by_token"]
    assert drawn["closings_by_token"].values[0] == pytest.approx((2.0,) * 10)


def test_a_line_without_intervals_has_no_band():
    line = estimates_line("it", LAYERS, [Estimate(0.001), Estimate(0.002)])
    assert line.y == (1.0, 2.0)
    assert curves_over_layers("t", "s", "c", [line], 2).mark == 2.0
