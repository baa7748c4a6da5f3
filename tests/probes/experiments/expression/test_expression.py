"""Expression: one direction is found across ways, two are not, and shuffled labels give nothing."""

import json
from dataclasses import replace

import pytest
from expressed_worlds import EMOTIONS, WAYS

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
    result = measured()
    assert {(cell.learned, cell.read) for cell in result.cells} == {
        (one, other) for one in WAYS for other in WAYS
    }
    for pair in ACROSS:
        cell = result.cell(*pair)
        assert cell.accuracy.value > 0.7
        assert cell.shown
        assert cell.excess.value == pytest.approx(
            cell.accuracy.value - cell.controls[cell.better].value
        )
    assert [finding.verdict for finding in result.findings()[:2]] == ["shown", "shown"]
    assert all(pair.without_noise.value > 0.9 for pair in result.directions)


def test_a_direction_of_its_own_in_each_way_is_found_within_and_not_across(measured):
    result = measured(alike=0.0)
    for way in WAYS:
        assert result.cell(way, way).accuracy.value > 0.6
    for pair in ACROSS:
        cell = result.cell(*pair)
        assert cell.accuracy.value < 0.3
        assert not cell.shown
    claim, carried, *_ = result.findings()
    assert (claim.verdict, carried.verdict) == ("not shown", "shown")
    by_pair = {(pair.first, pair.second): pair for pair in result.directions}
    assert by_pair["narrated", "voiced"].without_noise.value > 0.9
    assert abs(by_pair["said", "shown"].without_noise.value) < 0.2


def test_a_way_left_out_is_read_by_the_others_and_by_both(measured):
    one, apart = measured(), measured(alike=0.0)
    assert [it.read for it in one.left_out] == ["narrated", "voiced", "carried"]
    for it in one.left_out:
        assert min(it.shown, it.said, it.both) > 0.7
        assert it.both >= min(it.shown, it.said)
        assert f"{it.both:.1%} ({it.shown:.1%}" in one.paragraph()
    of_closings = apart.left_out[-1]
    assert max(of_closings.shown, of_closings.said, of_closings.both) < 0.3


def test_shuffled_labels_give_nothing_anywhere(measured):
    result = measured(shuffled=True)
    assert sum(cell.accuracy.value for cell in result.cells) / 25 == pytest.approx(CHANCE, abs=0.04)
    assert sum(cell.p < 0.05 for cell in result.cells) <= 3
    assert not any(finding.verdict == "shown" for finding in result.findings())


@pytest.mark.parametrize(
    ("forth", "back", "verdict"),
    [(0.1, 0.1, "shown"), (0.1, -0.1, "shown in part"), (-0.1, -0.1, "not shown")],
)
def test_the_claim_needs_both_ways(measured, forth, back, verdict):
    result = measured()
    lows = {("said", "shown"): forth, ("shown", "said"): back}
    cells = [
        replace(cell, excess=Estimate(0.2, lows[cell.learned, cell.read], 0.3))
        if (cell.learned, cell.read) in lows
        else cell
        for cell in result.cells
    ]
    assert replace(result, cells=cells).findings()[0].verdict == verdict


def test_the_claim_says_both_accuracies_with_words_beside_them(measured):
    result = measured()
    claim, carried, *described = result.findings()
    forth, back = result.cell("said", "shown"), result.cell("shown", "said")
    for cell in (forth, back):
        assert f"{cell.accuracy:.1%}" in claim.line
        assert f"exceeded by {cell.excess:+.1%}" in claim.line
        assert cell.better in claim.line
        assert f"{cell.accuracy:.1%}" in result.paragraph()
    assert claim.p == max(forth.p, back.p)
    assert claim.headline
    assert f"{result.cell('carried', 'carried').accuracy:.1%}" in carried.line
    assert SAME_WORDS in carried.line
    assert {finding.verdict for finding in described if not finding.rule} == {"described"}


def test_a_run_without_frames_says_what_it_needs(world):
    result = find_experiment("expression").measure(world(ways=["narrated", "voiced", "shown"]))
    assert isinstance(result, NotMeasured)
    assert result.paragraph().startswith("expression: needs texts that say an emotion")
    assert "said" in result.paragraph()


def test_a_run_without_closings_has_the_ways_that_it_has(measured, tmp_path):
    result = measured(ways=("said", "shown"))
    assert len(result.cells) == 4
    assert [finding.verdict for finding in result.findings()][0] == "shown"
    assert not any(finding.name.startswith("Carried") for finding in result.findings())
    assert figures.draw_all(result.figures(), tmp_path)


def test_one_frame_cannot_be_read_by_itself_and_is_said_to_be_few(measured, tmp_path):
    result = measured(n_frames=1)
    assert result.cell("said", "said") is None
    assert result.cell("said", "shown").n_learned == 1
    assert any("few topics or frames (1 of said" in limit for limit in result.limits())
    assert set(result.figures()) == {"expression_by_layer"}


def test_the_same_seed_finds_the_same(world, measured):
    again = find_experiment("expression").measure(world())
    assert to_json(again) == to_json(measured())


def test_what_is_measured_survives_json(measured):
    result = measured()
    again = json.loads(json.dumps(to_json(result)))
    assert find_experiment("expression").read(again) == result
