"""Deflection: a hidden emotion is credited where the setup brings it, and not where words do."""

import json

import pytest
import torch
from planted_dialogues import deflection_crossing, plant

from probes.experiments import NotMeasured, to_json
from probes.experiments.dialogues.deflection import (
    EXPERIMENT,
    OF_SETUP,
    WITHOUT,
    judge,
    measure,
)
from probes.experiments.dialogues.reading import gram_of
from probes.stimuli import deflected_dialogues


@pytest.fixture
def run(planted):
    return planted(strength=[0.0, 0.5, 1.0, 1.0])


@pytest.fixture(scope="module")
def result(dialogue_materials):
    """What a tiny random model gives."""
    return measure(dialogue_materials)


def made(seed=0, **parts):
    return plant(deflection_crossing(), **{"noise": 1.0, "first": 0.0, "seed": seed, **parts})


def judged(run, told, untold=None, *, words=None, setup=None):
    others = [it or made(seed) for it, seed in ((untold, 5), (words, 6), (setup, 7))]
    alone, of_words, of_setup = others
    words_of_turns = {"word counts": gram_of(of_words.rows)}
    return judge(run, told.rows, alone.rows, words_of_turns, gram_of(of_setup.rows))


def test_what_only_the_setup_brings_is_shown(run):
    result = judged(run, made(first=2.0, second=2.0), words=made(6, second=0.0))
    assert result.n_dialogues == result.hidden.n == 96
    assert (len(result.felt), len(result.shown)) == (12, 4)
    assert result.hidden.verdict == "shown" and result.alone.verdict == "not shown"
    assert set(result.hidden.others) == {WITHOUT, "word counts", OF_SETUP}
    assert result.displayed.verdict == "shown"
    assert result.reliability > 0.6
    assert not any("give" in limit for limit in result.limits())


@pytest.mark.parametrize("who", ["untold", "words", "setup"])
def test_what_another_reader_names_as_well_is_shown_in_part(run, who):
    result = judged(run, made(first=1.5), **{who: made(first=1.5)})
    assert result.hidden.verdict == "shown in part"
    leaks = [limit for limit in result.limits() if "give the hidden emotion away" in limit]
    assert len(leaks) == (who == "untold")


def test_nothing_is_named_where_only_the_shown_emotion_is_there(run):
    result = judged(run, made(second=2.0))
    assert result.hidden.verdict == "not shown"
    assert result.hidden.share.value < 0.2
    assert result.displayed.share.value > 0.8


def test_hidden_directions_along_their_story_vectors_lie_in_the_stories_space(run):
    vectors = run.vectors.at(run.layer).double()
    told = made(first=0.0, noise=0.5)
    felt = [it.felt for it in deflected_dialogues()]
    names = list(dict.fromkeys(felt))
    known = [name for name in names if name in run.emotions]
    assert len(known) == 4
    rows = told.rows.clone()
    for row, name in enumerate(felt):
        if name in known:
            rows[row] += 3 * vectors[run.emotions.index(name)]
    along = judge(run, rows, rows, {}, gram_of(rows))
    assert along.cosines.own.value > 0.6
    assert along.cosines.excess.above_zero
    assert along.kept.without_noise.value < along.kept.kept.value < 0.5
    assert along.stories["hidden"].n_levels == 4 and along.stories["hidden"].share.value > 0.7
    away = judged(run, made(first=1.5))
    assert abs(away.cosines.own.value) < 0.3
    assert away.kept.without_noise.value > 0.7


class TestRead:
    def test_line_paragraph_and_figure_say_the_same(self, result):
        hidden, displayed, cosines, outside = result.findings()
        paragraph = result.paragraph()
        for text in (hidden.line, paragraph):
            assert f"{result.hidden.share:.1%}" in text and f"{result.alone.share:.1%}" in text
        assert f"{result.displayed.share:.1%}" in displayed.line
        assert f"{result.cosines.own:+.3f}" in cosines.line
        assert f"{result.cosines.own:+.3f}" in paragraph
        assert f"{result.kept.kept.value:.2f}" in outside.line
        assert f"{result.kept.kept.value:.2f} of its length" in paragraph
        assert f"{result.n_components} components" in outside.line
        bars = result.figures()["deflection"]
        values = dict(zip(bars.categories, bars.totals, strict=True))
        assert values["hidden: the model"] == result.hidden.share.value
        assert values[f"hidden: {WITHOUT}"] == result.alone.share.value
        assert values["hidden: story vectors"] == result.stories["hidden"].share.value

    def test_the_run_s_own_emotions_are_compared(self, result):
        assert list(result.cosines.by_emotion) == ["angry", "sad", "afraid", "proud"]
        assert result.n_vectors == 11
        assert result.displayed_cosines is None

    def test_it_is_read_again_as_it_was_written(self, result):
        assert EXPERIMENT.read(json.loads(json.dumps(to_json(result)))) == result

    def test_numbers_stand_beside_the_papers(self, result):
        numbers = result.paper_numbers()
        cosine = numbers["deflection.cosine_to_story_vector"]
        assert (cosine.value, cosine.n) == (result.cosines.own.value, 4)
        kept = numbers["deflection.norm_kept_after_projection"]
        clean = result.kept.without_noise or result.kept.kept
        assert kept.value == clean.value and "components" in kept.note


def test_a_run_without_the_hidden_emotions_has_no_cosines(short_materials):
    width = short_materials.d_model
    result = judged(short_materials, made(d_model=width), made(5, d_model=width))
    assert result.cosines is None and list(result.stories) == ["displayed"]
    assert any("fewer than three" in limit for limit in result.limits())
    assert isinstance(result.paper_numbers()["deflection.cosine_to_story_vector"], str)


def test_a_model_with_too_short_a_context_says_so(short_materials):
    result = measure(short_materials)
    assert isinstance(result, NotMeasured)
    assert "needs a model that reads" in result.paragraph()


def test_the_same_seed_gives_the_same_result(run):
    told = made(first=1.0)
    first = judged(run, told)
    torch.manual_seed(3)
    assert judged(run, told) == first
