"""The table of ways: words in the same cells, curves that end in it, units that have rows."""

import pytest
from expressed_worlds import EMOTIONS, WAYS, World

from probes.analysis.findings import Estimate
from probes.experiments import find_experiment
from probes.experiments.expression.table import SAME_WORDS

CHANCE = 1 / len(EMOTIONS)


def test_words_name_everything_within_a_way_and_nothing_across(measured):
    result = measured()
    for way in ("said", "narrated", "voiced", "shown"):
        assert result.cell(way, way).controls["word counts"].value == 1
    for pair in (("said", "shown"), ("shown", "said")):
        assert result.cell(*pair).controls["word counts"].value < 3 * CHANCE
    for other in WAYS:
        for pair in ((other, "carried"), ("carried", other)):
            assert result.cell(*pair).controls == {SAME_WORDS: Estimate(CHANCE, CHANCE, CHANCE)}
    [limit] = [limit for limit in result.limits() if "Expression: words name as much" in limit]
    assert "shown (" in limit
    assert "carried (" not in limit


def test_the_better_reader_of_words_is_the_control_cell_by_cell(measured):
    for cell in measured().cells:
        assert cell.controls[cell.better].value == max(it.value for it in cell.controls.values())


def test_curves_are_at_chance_where_there_is_nothing_and_end_in_the_table(measured):
    result = measured()
    assert [curve.name for curve in result.curves] == [
        "said -> shown", "shown -> said", "carried -> carried", "said -> carried"
    ]  # fmt: skip
    for curve in result.curves:
        assert curve.accuracy[0] < 0.3
        cell = result.cell(curve.learned, curve.read)
        assert curve.accuracy[1] == pytest.approx(cell.accuracy.value)


def test_units_without_a_row_are_no_units(world):
    """Topics are numbered for all forms together."""
    made: World = world(n_topics=6)
    assert made.units("voiced") == made.units("shown")
    result = find_experiment("expression").measure(made)
    assert result.units == {"said": 6, "narrated": 3, "voiced": 3, "shown": 6, "carried": 6}
