"""Persistence: stories and dialogues are cut where they should be, and what lasts is seen."""

import json
from pathlib import Path

import pytest
import torch
from planted_runs import materials as materials_of

import hooks
from hooks.tokens.encoding import content_places
from probes.corpus.cells import read_corpus
from probes.experiments import NotMeasured, to_json
from probes.experiments.pasts.lags import RANDOM, SHUFFLED, TOPICS, WORDS
from probes.experiments.pasts.persistence import (
    EXPERIMENT,
    less_speakers,
    measure,
    own_start,
    sample_stories,
    turn_means,
)

DIALOGUE = (
    "Person: How long is the river?\nAssistant: About two miles, and it bends twice.\n"
    "Person: Where does it end?\nAssistant: At the old mill."
)
N_RANDOM = 24


@pytest.fixture
def materials(finished):
    return materials_of(finished, validation__n_random=N_RANDOM)


@pytest.fixture
def talking(reading_run):
    """Materials of a run whose neutral texts are dialogues."""
    run = reading_run()
    path = Path(run.run().config.corpus.neutral)
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    written = [{**row, "text": f"{DIALOGUE} {row['topic']}."} for row in rows] * 2
    for number, row in enumerate(written):
        row["text"] = row["text"].replace("two", f"{number + 2}")
    path.write_text("".join(f"{json.dumps(row)}\n" for row in written), "utf-8")
    run.run().prepare()
    run.stages("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")
    return materials_of(run, validation__n_random=4)


def _slowest(materials):
    """Directions along which the sampled stories' tokens change least from token to token."""
    texts = [passage.whole for passage in sample_stories(materials, 64)]
    read = [
        hooks.resid_post(materials.subject(), text, layers=[materials.layer]).resid[0, 5:].double()
        for text in texts
    ]
    mean = torch.cat(read).mean(dim=0)
    read = [each - mean for each in read]
    lagged = sum(each[:-16].T @ each[16:] for each in read)
    whole = torch.linalg.cholesky(sum(each.T @ each for each in read))
    inverse = torch.linalg.inv(whole)
    _, axes = torch.linalg.eigh(inverse @ (lagged + lagged.T) @ inverse.T)
    return (axes.T @ inverse)[-3:].float()


def test_directions_that_change_least_last_longest(materials):
    bundle = materials.vectors
    bundle.vectors[bundle.layer_index(materials.layer)] = _slowest(materials)
    [course] = measure(materials).courses
    assert course.lags[course.at] == 16
    assert course.own[course.at].value > course.controls[RANDOM].r[course.at] + 0.05
    assert course.controls[RANDOM].p[course.at] < 0.05
    assert course.lasts_beyond(SHUFFLED)


def test_random_vectors_last_no_longer_than_random_directions(materials):
    shown = 0
    for seed in range(4):
        generator = torch.Generator().manual_seed(seed)
        bundle = materials.vectors
        shape = bundle.vectors[0].shape
        bundle.vectors[bundle.layer_index(materials.layer)] = torch.randn(
            shape, generator=generator
        )
        [course] = measure(materials).courses
        shown += course.finding(3).verdict == "shown"
    assert shown <= 1


def test_what_is_said_is_one_and_is_read_back(materials):
    result = measure(materials)
    [course], [finding] = result.courses, result.findings()
    assert list(course.controls) == [RANDOM, SHUFFLED, TOPICS, WORDS]
    assert course.controls[RANDOM].n == course.controls[SHUFFLED].n == N_RANDOM
    number = f"{course.own[course.at].value:+.3f}"
    figure = result.figures()["persistence_tokens"]
    for text in (finding.line, result.paragraph(), figure.caption):
        assert number in text
    assert "too few neutral dialogues" in result.limits()[0]
    assert EXPERIMENT.read(json.loads(json.dumps(to_json(result)))) == result


def test_stories_are_spread_over_cells_and_each_is_taken_once(materials):
    run = materials.run
    every = [text.passage.text for text in read_corpus(run.root, run.story_cells)]
    assert len(sample_stories(materials, 6)) == 6
    assert [passage.text for passage in sample_stories(materials, 64)] == every


def test_a_story_is_followed_from_its_own_words_on(with_closings, materials):
    model = with_closings.subject()
    for passage in sample_stories(with_closings, 8):
        ids = model.encode(passage.whole)
        content = [ids[place] for place in content_places(ids, model.special_ids)]
        followed = model.tokenizer.decode(content[own_start(with_closings, model, passage) :])
        assert followed.strip() == f"{passage.text} {passage.closing}"
    [passage] = sample_stories(materials, 1)
    offset = materials.config.activation.token_offset
    assert own_start(materials, materials.subject(), passage) == offset == 3


def test_dialogues_are_followed_turn_by_turn(talking):
    result = measure(talking)
    assert [course.step for course in result.courses] == ["token", "turn"]
    turns = result.courses[1]
    assert list(turns.lags) == [1, 2, 3] and set(turns.n_texts) == {12}
    assert set(result.figures()) == {"persistence_tokens", "persistence_turns"}
    assert "Along 12 neutral dialogues" in result.paragraph()
    assert result.limits() == []


def test_a_turn_is_the_mean_over_its_own_tokens(materials):
    model = materials.subject()
    ids = model.encode(DIALOGUE)
    content = [ids[place] for place in content_places(ids, model.special_ids)]
    marked = torch.eye(len(content)).reshape(len(content), 1, -1)
    speakers, means = turn_means(model, DIALOGUE, marked)
    assert speakers == ["Person", "Assistant"] * 2
    for turn, mean in zip(DIALOGUE.splitlines(), means[:, 0], strict=True):
        own = mean.nonzero()[:, 0].tolist()
        assert model.tokenizer.decode([content[place] for place in own]).strip() == turn
        assert mean[own].tolist() == pytest.approx([1 / len(own)] * len(own))


def test_a_speakers_mean_over_all_dialogues_is_taken_off():
    one = (["Person", "Assistant", "Person"], torch.tensor([1.0, 10.0, 3.0]).reshape(3, 1, 1))
    other = (["Assistant", "Person"], torch.tensor([20.0, 5.0]).reshape(2, 1, 1))
    first, second = less_speakers([one, other])
    assert first.flatten().tolist() == [-2.0, -5.0, 0.0]
    assert second.flatten().tolist() == [5.0, 2.0]
    assert less_speakers([]) == []


def test_a_run_of_few_stories_says_so(finished):
    run = materials_of(finished, activation__token_offset=500)
    result = measure(run)
    assert isinstance(result, NotMeasured)
    assert "8 stories" in result.paragraph()
