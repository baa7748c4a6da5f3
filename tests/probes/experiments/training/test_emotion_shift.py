"""What a shift says: line, paragraph, figure and file have one number."""

import json

import pytest

from probes.analysis.findings import RunNumber
from probes.analysis.results import read_result
from probes.experiments import to_json
from probes.experiments.training.emotion_shift import EmotionShift


@pytest.fixture(scope="module")
def result(materials, read, unit, measured):
    added = 0.2 * unit(materials, "sad") - 0.15 * unit(materials, "kind")
    readings = read(materials, added, 0.5 * added)
    return measured(readings)


@pytest.fixture
def zero(materials, read, measured):
    def make(**about):
        readings = read(materials, noise=0.0, **about)
        return measured(readings)

    return make


def findings(result):
    return {finding.name: finding for finding in result.findings()}


def test_line_paragraph_and_figure_say_the_same(result):
    shift = result.shifts["challenging"]
    finding = findings(result)["shift, challenging"]
    [figure] = result.figures().values()
    (_, most), *_ = result.moved(shift)[0]
    for text in (finding.line, result.paragraph()):
        assert f"{shift.size.value:.4f}" in text
        assert f"up sad {most:+.4f}" in text
        assert "down kind -0.1" in text
    assert f"{shift.size.value:.4f}" in figure.caption
    assert max(figure.totals) == most
    assert finding.verdict == "shown"
    assert finding.control.excess == shift.excess


def test_r_of_the_shifts_is_told_beside_that_of_random_directions(result):
    line = findings(result)["shift: challenging beside neutral"].line
    for text in (line, result.paragraph()):
        assert f"{result.shift_r.r.value:+.2f}" in text
        assert f"{result.shift_r.random.value:+.2f}" in text


def test_the_file_holds_the_result(result):
    assert read_result(EmotionShift, json.loads(json.dumps(to_json(result))), "", "") == result


def test_the_papers_numbers_are_those_of_the_lines(result):
    numbers = result.paper_numbers()
    assert list(numbers) == [
        f"post_training.{name}_r" for name in ("shift", "challenging", "neutral")
    ]
    assert all(isinstance(it, RunNumber) for it in numbers.values())
    neutral = numbers["post_training.neutral_r"]
    assert neutral.value == result.profile_r["neutral"].r.value
    assert neutral.interval == result.profile_r["neutral"].r.ends
    assert neutral.n == len(result.emotions)
    assert "tiny-chat less planted" in neutral.note


@pytest.mark.parametrize("same_weights", [True, False])
def test_a_shift_of_exactly_zero_says_so_and_why(zero, same_weights):
    result = zero(same_weights=same_weights)
    why = "the same weights" if same_weights else "the same up to layer 3"
    [finding] = result.findings()
    for text in (finding.line, result.paragraph(), *result.paper_numbers().values()):
        assert why in text
    assert "exactly 0" in finding.line
    assert finding.verdict == "not shown"
    assert result.figures() == {}
    assert read_result(EmotionShift, json.loads(json.dumps(to_json(result))), "", "") == result


def test_other_tokens_are_a_limit(materials, read, measured):
    readings = read(materials, same_tokens=False)
    result = measured(readings)
    assert any("into other tokens" in limit for limit in result.limits())
    same = measured(read(materials))
    assert same.limits() == []
