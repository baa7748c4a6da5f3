"""The table of ways: words in the same cells, curves that end in it, units that have rows."""

import pytest
import torch
from expressed_worlds import EMOTIONS, WAYS, World

from probes.analysis.findings import Estimate
from probes.experiments import find_experiment
from probes.experiments.expression.table import SAME_WORDS, Table

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


def test_a_loud_dimension_hides_what_is_read_and_not_where_each_has_its_own_unit(measured):
    result = measured(loud=100.0)
    for pair in (("said", "shown"), ("shown", "said")):
        cell = result.cell(*pair)
        assert cell.accuracy.value < 0.35
        assert cell.standardized.shares.accuracy.value > 0.6
        assert cell.standardized.shown
        assert cell.standardized.better in cell.controls
    lines = [line for line in result.findings() if "over its sd in neutral text" in line.name]
    assert [line.verdict for line in lines] == ["shown", "shown"]


def test_own_units_find_nothing_where_there_is_nothing(measured):
    for result in (measured(shuffled=True), measured(alike=0.0)):
        for pair in (("said", "shown"), ("shown", "said")):
            assert not result.cell(*pair).standardized.shown


def test_input_embeddings_get_their_own_units_as_well(world):
    """Else a reader of words would be beaten for its few loud dimensions."""
    table = Table(world(loud=100.0))
    divided = table._divided({name: table.here[name] for name in ("said", "shown")})
    rows = torch.cat([way.rows for way in divided.values()])
    torch.testing.assert_close(rows.std(dim=0), torch.ones(rows.shape[1]))


def test_without_neutral_text_no_dimension_has_a_unit(measured):
    result = measured(n_neutral=1)
    assert all(cell.standardized is None for cell in result.cells)
