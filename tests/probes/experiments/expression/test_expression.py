"""Expression: one direction is found across ways, two are not, and shuffled labels give nothing."""

import json
from dataclasses import replace

import pytest
from expressed_worlds import EMOTIONS, WAYS, World

from probes import figures
from probes.analysis.findings import Estimate
from probes.experiments import EXPERIMENTS, NotMeasured, find_experiment, to_json
from probes.experiments.expression.table import SAME_WORDS

ACROSS = [("said", "shown"), ("shown", "said"), ("said", "carried"), ("narrated", "carried")]
CHANCE = 1 / len(EMOTIONS)


def test_it_is_the_first_of_all():
    assert EXPERIMENTS[0].name == "expression"
    assert EXPERIMENTS[0].file == "analysis/expression.json"


def test_one_direction_in_all_ways_is_found_beyond_words(measured):
    found = measured()
    assert {(cell.learned, cell.read) for cell in found.cells} == {
        (one, other) for one in WAYS for other in WAYS
    }
    for pair in ACROSS:
        cell = found.cell(*pair)
        assert cell.accuracy.value > 0.7
        assert cell.shown
        assert cell.excess.value == pytest.approx(
            cell.accuracy.value - cell.controls[cell.better].value
        )
    assert [finding.verdict for finding in found.findings()[:2]] == ["shown", "shown"]
    assert all(pair.without_noise.value > 0.9 for pair in found.directions)


def test_a_direction_of_its_own_in_each_way_is_found_within_and_not_across(measured):
    found = measured(alike=0.0)
    for way in WAYS:
        assert found.cell(way, way).accuracy.value > 0.6
    for pair in ACROSS:
        cell = found.cell(*pair)
        assert cell.accuracy.value < 0.3
        assert not cell.shown
    claim, carried, *_ = found.findings()
    assert (claim.verdict, carried.verdict) == ("not shown", "shown")
    by_pair = {(pair.first, pair.second): pair for pair in found.directions}
    assert by_pair["narrated", "voiced"].without_noise.value > 0.9
    assert abs(by_pair["said", "shown"].without_noise.value) < 0.2


def test_shuffled_labels_give_nothing_anywhere(measured):
    found = measured(shuffled=True)
    assert sum(cell.accuracy.value for cell in found.cells) / 25 == pytest.approx(CHANCE, abs=0.04)
    assert sum(cell.p < 0.05 for cell in found.cells) <= 3
    assert not any(finding.verdict == "shown" for finding in found.findings())


def test_words_name_everything_within_a_way_and_nothing_across(measured):
    found = measured()
    for way in ("said", "narrated", "voiced", "shown"):
        assert found.cell(way, way).controls["word counts"].value == 1
    for pair in (("said", "shown"), ("shown", "said")):
        assert found.cell(*pair).controls["word counts"].value < 3 * CHANCE
    for other in WAYS:
        for pair in ((other, "carried"), ("carried", other)):
            assert found.cell(*pair).controls == {SAME_WORDS: Estimate(CHANCE, CHANCE, CHANCE)}
    [limit] = [limit for limit in found.limits() if "Expression: words name as much" in limit]
    assert "shown (" in limit
    assert "carried (" not in limit


def test_the_better_reader_of_words_is_the_control_cell_by_cell(measured):
    for cell in measured().cells:
        assert cell.controls[cell.better].value == max(it.value for it in cell.controls.values())


def test_curves_are_at_chance_where_there_is_nothing_and_end_in_the_table(measured):
    found = measured()
    assert [curve.name for curve in found.curves] == [
        "said -> shown", "shown -> said", "carried -> carried", "said -> carried"
    ]  # fmt: skip
    for curve in found.curves:
        assert curve.accuracy[0] < 0.3
        cell = found.cell(curve.learned, curve.read)
        assert curve.accuracy[1] == pytest.approx(cell.accuracy.value)


@pytest.mark.parametrize(
    ("forth", "back", "verdict"),
    [(0.1, 0.1, "shown"), (0.1, -0.1, "shown in part"), (-0.1, -0.1, "not shown")],
)
def test_the_claim_needs_both_ways(measured, forth, back, verdict):
    found = measured()
    lows = {("said", "shown"): forth, ("shown", "said"): back}
    cells = [
        replace(cell, excess=Estimate(0.2, lows[cell.learned, cell.read], 0.3))
        if (cell.learned, cell.read) in lows
        else cell
        for cell in found.cells
    ]
    assert replace(found, cells=cells).findings()[0].verdict == verdict


def test_the_claim_says_both_accuracies_with_words_beside_them(measured):
    found = measured()
    claim, carried, *described = found.findings()
    forth, back = found.cell("said", "shown"), found.cell("shown", "said")
    for cell in (forth, back):
        assert f"{cell.accuracy:.1%}" in claim.line
        assert f"exceeded by {cell.excess:+.1%}" in claim.line
        assert cell.better in claim.line
        assert f"{cell.accuracy:.1%}" in found.paragraph()
    assert claim.p == max(forth.p, back.p)
    assert claim.headline
    assert f"{found.cell('carried', 'carried').accuracy:.1%}" in carried.line
    assert SAME_WORDS in carried.line
    assert {finding.verdict for finding in described} == {"described"}


def test_a_run_without_frames_says_what_it_needs(world):
    result = find_experiment("expression").measure(world(ways=["narrated", "voiced", "shown"]))
    assert isinstance(result, NotMeasured)
    assert result.paragraph().startswith("expression: needs texts that say an emotion")
    assert "said" in result.paragraph()


def test_a_run_without_closings_has_the_ways_that_it_has(measured, tmp_path):
    found = measured(ways=("said", "shown"))
    assert len(found.cells) == 4
    assert [finding.verdict for finding in found.findings()][0] == "shown"
    assert not any(finding.name.startswith("Carried") for finding in found.findings())
    assert figures.draw_all(found.figures(), tmp_path)


def test_one_frame_cannot_be_read_by_itself_and_is_said_to_be_few(measured, tmp_path):
    found = measured(n_frames=1)
    assert found.cell("said", "said") is None
    assert found.cell("said", "shown").n_learned == 1
    assert any("few topics or frames (1 of said" in limit for limit in found.limits())
    assert set(found.figures()) == {"expression_by_layer"}


def test_the_same_seed_finds_the_same(world, measured):
    again = find_experiment("expression").measure(world())
    assert to_json(again) == to_json(measured())


def test_figures_hold_what_was_found(measured, tmp_path):
    found = measured()
    drawn = found.figures()
    assert set(drawn) == {"expression_by_layer", "expression_table", "expression_beyond_words"}
    [panel] = drawn["expression_by_layer"].panels
    flat = {line.name: line for line in panel.lines if line.name.startswith("words")}
    assert set(flat) == {"words: said -> shown", "words: shown -> said"}
    cell = found.cell("shown", "said")
    assert set(flat["words: shown -> said"].y) == {cell.controls[cell.better].value}
    table = drawn["expression_table"]
    assert table.values[WAYS.index("shown")][WAYS.index("said")] == cell.accuracy.value
    beyond = drawn["expression_beyond_words"]
    assert beyond.values[3][0] == cell.excess.value
    assert figures.draw_all(drawn, tmp_path)


def test_what_is_measured_survives_json(measured):
    found = measured()
    again = json.loads(json.dumps(to_json(found)))
    assert find_experiment("expression").read(again) == found


def test_units_without_a_row_are_no_units(world):
    """Topics are numbered for all forms together."""
    made: World = world(n_topics=6)
    assert made.units("voiced") == made.units("shown")
    found = find_experiment("expression").measure(made)
    assert found.units == {"said": 6, "narrated": 3, "voiced": 3, "shown": 6, "carried": 6}
