"""What a report says, as plain values."""

from dataclasses import replace

import made_up_report
import pytest

from probes.analysis.findings import Estimate, Finding
from probes.report.contents import HeatedStory


@pytest.fixture(scope="module")
def contents():
    return made_up_report.contents(made_up_report.emotions_with(()))


def test_rungs_of_the_ladder_stand_beside_the_statistic_they_were_taken_of(contents):
    beside = {claim.statistic: contents.rungs_beside(claim) for claim in contents.claims}
    assert beside["valence"][0] == ("random directions", "0.10 [0.00, 0.20]")
    assert beside["accuracy"][0] == ("random directions", "10.0% [0.0%, 20.0%]")
    assert {name: len(rows) for name, rows in beside.items() if rows} == {
        "valence": 4,
        "accuracy": 4,
    }
    assert replace(contents, rungs={}).rungs_beside(contents.claims[0]) == []


def test_a_rung_is_written_as_its_claim_is(contents):
    claim = Finding("any", Estimate(0.5), "shown", spec="+.1f", statistic="valence")
    assert contents.rungs_beside(claim)[-1] == ("analyzed layer (12)", "+0.5 [+0.4, +0.6]")


def test_a_trial_has_its_name_as_a_title(contents):
    assert contents.trials[0].title == "Held out topics"


def test_the_strongest_words_of_a_story_are_words_and_told_once():
    pieces = ["The", " rain", " and", " rain", " ,", " it", " wept", " alone"]
    scores = [0.1, 0.9, 0.2, 0.8, 1.0, 0.95, 0.7, 0.3]
    story = HeatedStory("sad", "a train", pieces, scores, [])
    assert story.strongest == ["rain", "wept", "alone", "and", "The"]
