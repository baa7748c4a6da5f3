"""The scorecard of a run holds what was measured beside another model since."""

import json

import pytest

from hooks.errors import DataError
from probes.analysis.findings import RunNumber
from probes.report import scorecard, summary
from probes.report.scorecard_file import read_lines

NAMES = [f"post_training.{name}_r" for name in ("neutral", "challenging", "shift")]


@pytest.fixture
def shifted(finished):
    """``shifted(name, value)``: leave a shift in a finished run, of its vectors or of others."""

    def leave(name, value=0.5, **changes):
        number = vars(RunNumber(value, (value - 0.1, value + 0.1), 3, f"{name} less tiny"))
        numbers = {each: number for each in NAMES}
        made = finished.run().left_by("compute-vectors")
        content = {"vectors": made, "paper_numbers": numbers, **changes}
        path = finished.folder / "analysis" / f"shift_{name}.json"
        path.write_text(json.dumps(content))
        return path

    return leave


def ours(made):
    lines = scorecard.from_json(read_lines(made.folder))
    return {line.name: (line.ours, line.why) for line in lines if line.section == "post_training"}


def test_a_run_without_a_shift_says_so(finished):
    assert set(ours(finished)) == set(NAMES)
    assert {why for _, why in ours(finished).values()} == {"the command shift was not run"}


def test_a_shift_is_read_from_its_file_and_nothing_else_changes(finished, shifted):
    before = {line["name"]: line for line in read_lines(finished.folder)}
    shifted("chat", 0.5)
    after = {line["name"]: line for line in read_lines(finished.folder)}
    assert list(after) == list(before)
    assert {name for name in after if after[name] != before[name]} == set(NAMES)
    assert {value for value, _ in ours(finished).values()} == {0.5}
    assert all("chat less tiny" in why for _, why in ours(finished).values())
    rows = dict(scorecard.table(scorecard.from_json(read_lines(finished.folder))))
    assert rows["paper: post_training.shift_r"].startswith("ours 0.5 [0.4, 0.6], n=3; paper 0.9")
    assert summary.summarize(finished.run())["scorecard"] == read_lines(finished.folder)


def test_of_two_shifts_the_first_by_name_speaks_and_it_is_said(finished, shifted):
    shifted("b", 0.2)
    shifted("a", 0.7)
    for value, why in ours(finished).values():
        assert value == 0.7
        assert "a less tiny; the first by name of 2 shifts" in why


def test_a_shift_of_vectors_that_were_made_again_says_nothing(finished, shifted):
    shifted("old", 0.5, vectors="others")
    assert {value for value, _ in ours(finished).values()} == {None}


def test_why_there_is_no_number_is_told(finished, shifted):
    shifted("same", paper_numbers=dict.fromkeys(NAMES, "same: both have the same weights"))
    assert set(ours(finished).values()) == {(None, "same: both have the same weights")}


@pytest.mark.parametrize("damage", ["{", "[]", '{"vectors": "x"}'])
def test_a_damaged_file_is_named(finished, shifted, damage):
    path = shifted("chat")
    path.write_text(damage)
    with pytest.raises(DataError, match="shift_chat"):
        read_lines(finished.folder)
