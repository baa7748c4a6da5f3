"""Speakers: emotions planted in whose words are seen as such, and none in noise."""

import json

import pytest
import torch
from planted_dialogues import plant, speakers_crossing

from probes.experiments import NotMeasured, find_experiment, to_json
from probes.experiments.dialogues.reading import gram_of
from probes.experiments.dialogues.speakers import (
    ACROSS,
    EXPERIMENT,
    OTHER_PAIR,
    OWN_PAIR,
    READ,
    WITHIN,
    judge,
    measure,
)
from probes.stimuli import crossed_dialogues


@pytest.fixture
def run(planted):
    return planted(strength=[0.0, 0.5, 1.0, 1.0])


@pytest.fixture(scope="module")
def result(dialogue_materials):
    """What a tiny random model gives."""
    return measure(dialogue_materials)


def judged(run, *, words=None, **parts):
    made = plant(speakers_crossing(), **parts)
    silent = plant(speakers_crossing(), first=0, second=0, noise=1.0, seed=9)
    return judge(run, made.rows, {"words": gram_of((words or silent).rows)})


def test_what_both_add_in_directions_of_their_own_is_seen_apart(run):
    result = judged(run, first=2.0, second=1.0, noise=1.0)
    assert result.n_dialogues == 144 and result.n_different == 132
    assert (result.own.n, result.other.n) == (288, 264)
    for naming in (result.own, result.other, result.apart):
        assert naming.verdict == "shown"
    assert any("carried along" in limit for limit in result.limits())
    assert result.pairs[OWN_PAIR].without_noise.value == pytest.approx(1, abs=0.05)
    assert result.pairs[OTHER_PAIR].without_noise.value == pytest.approx(1, abs=0.15)
    assert abs(result.pairs[ACROSS].without_noise.value) < 0.2
    assert result.kept.value > 0.7 > result.kept_own.value


def test_one_direction_for_both_is_seen_as_one(run):
    result = judged(run, first=1.0, second=1.0, noise=1.5, alike=1.0)
    assert result.own.verdict == "shown"
    assert result.apart.verdict == "shown in part"
    assert result.pairs[ACROSS].without_noise.value == pytest.approx(1, abs=0.1)
    assert result.kept.value == pytest.approx(result.kept_own.value, abs=0.1)


def test_nothing_of_the_other_is_seen_where_there_is_only_the_speakers_own(run):
    result = judged(run, first=2.0, second=0.0, noise=1.0)
    assert result.own.verdict == "shown"
    assert result.other.verdict == result.apart.verdict == "not shown"
    assert result.other.share.value < 0.15
    assert not any("carried along" in limit for limit in result.limits())


def test_what_words_tell_as_well_is_no_more_than_words(run):
    same = plant(speakers_crossing(), first=2.0, second=1.0, noise=1.0)
    result = judged(run, words=same, first=2.0, second=1.0, noise=1.0)
    assert result.other.verdict == "shown in part"


def test_directions_that_do_not_repeat_are_not_compared_with_the_papers(run):
    results = [judged(run, second=0.0, noise=2.0, seed=seed) for seed in range(2)]
    unknown = [it for it in results if it.pairs[OTHER_PAIR].without_noise is None]
    assert unknown
    for result in unknown:
        assert isinstance(result.paper_numbers()["speakers.within_role_cosine"], str)
        assert any("do not repeat" in limit for limit in result.limits())


def test_no_axis_of_arousal_is_a_limit(run):
    result = judged(run)
    assert result.arousal is None and "speakers_arousal" not in result.figures()
    assert any("too few rated" in limit for limit in result.limits())
    assert "too few rated" in result.paper_numbers()["speakers.other_to_present_arousal_r"]


def test_turns_are_read_of_whoever_has_heard_the_other():
    first = crossed_dialogues()[0]
    said = [first.script.text.split("\n")[turn].split(":")[0] for of in READ for turn in of]
    assert said == [first.names[0]] * 2 + [first.names[1]] * 3


class TestRead:
    def test_line_paragraph_and_figures_say_the_same(self, result):
        first, apart, own, *_, arousal = result.findings()
        figures = result.figures()
        paragraph = result.paragraph()
        for finding, naming in ((first, result.other), (apart, result.apart), (own, result.own)):
            assert f"{naming.share:.1%}" in finding.line and f"{naming.share:.1%}" in paragraph
        bars = figures["speakers"]
        values = dict(zip(bars.categories, bars.totals, strict=True))
        assert values["the other's: the model"] == result.other.share.value
        assert values["own: word counts"] == result.own.others["word counts"].value
        assert values["own: chance"] == 1 / 12
        r = f"{result.arousal.other_r:+.2f}"
        for text in (arousal.line, paragraph, figures["speakers_arousal"].subtitle):
            assert r in text
        table, cosines = figures["speakers_cosines"].values, result.cosines
        assert table[0][1] == (cosines.without_noise[0][1] or cosines.cosine[0][1])

    def test_it_is_read_again_as_it_was_written(self, result):
        assert EXPERIMENT.read(json.loads(json.dumps(to_json(result)))) == result

    def test_random_weights_know_nothing_of_the_other_that_words_do_not(self, result):
        assert result.other.verdict != "shown"
        assert result.apart.verdict != "shown"

    def test_numbers_stand_beside_the_papers(self, result):
        numbers = result.paper_numbers()
        assert set(numbers) == {
            f"speakers.{name}"
            for name in ("within_role_cosine", "across_role_cosine", "other_to_present_arousal_r")
        }
        r = numbers["speakers.other_to_present_arousal_r"]
        assert r.value == result.arousal.other_r.value and r.n == 12
        within = result.pairs[WITHIN].without_noise
        if within is not None:
            assert numbers["speakers.within_role_cosine"].value == within.value


def test_a_model_with_too_short_a_context_says_so(short_materials):
    result = measure(short_materials)
    assert isinstance(result, NotMeasured)
    assert "needs a model that reads" in result.paragraph()
    assert find_experiment("speakers").read(to_json(result)).figures() == {}


def test_the_same_seed_gives_the_same_result(run):
    first = judged(run)
    torch.manual_seed(5)
    assert judged(run) == first
