"""Beside stories: directions that point where stories do are told from those that do not."""

import pytest
import torch

from probes.experiments.dialogues.stories import (
    leading_components,
    name_by_stories,
    story_cosines,
)

NAMES = ["angry", "sad", "afraid", "lonely", "guilty", "jealous"]
EMOTIONS = [*NAMES[::-1], "calm", "proud"]
WIDTH = 60


def draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def own(vectors):
    return vectors[[EMOTIONS.index(name) for name in NAMES]]


@pytest.mark.parametrize("alike", [0.5, 0.9])
def test_directions_along_their_own_story_vectors_are_seen(alike):
    vectors = draw(0, len(EMOTIONS), WIDTH)
    directions = alike * own(vectors) + (1 - alike**2) ** 0.5 * draw(1, 6, WIDTH)
    cosines = story_cosines(directions, NAMES, vectors, EMOTIONS, 0)
    assert cosines.own.value == pytest.approx(alike, abs=0.12)
    assert abs(cosines.others) < 0.15
    assert cosines.excess.value == pytest.approx(cosines.own.value - cosines.others)
    finding = cosines.finding("a note")
    assert finding.verdict == "shown" and cosines.p < 0.01
    assert f"{cosines.own:+.3f}" in finding.line and "a note" in finding.line
    assert list(cosines.by_emotion) == NAMES


def test_directions_along_other_emotions_vectors_are_not():
    vectors = draw(0, len(EMOTIONS), WIDTH)
    cosines = story_cosines(own(vectors).roll(1, 0), NAMES, vectors, EMOTIONS, 0)
    assert cosines.finding("").verdict == "not shown"
    assert cosines.others > cosines.own.value


def test_emotions_that_a_run_lacks_are_left_out():
    vectors, directions = draw(0, 3, WIDTH), draw(1, 6, WIDTH)
    cosines = story_cosines(directions, NAMES, vectors, ["sad", "guilty", "lonely"], 0)
    assert list(cosines.by_emotion) == ["sad", "lonely", "guilty"]
    assert story_cosines(directions, NAMES, vectors[:2], ["sad", "guilty"], 0) is None


def test_leading_components_hold_their_share_and_no_more():
    spread = torch.tensor([10.0, 5.0, 3.0] + [0.1] * (WIDTH - 3)).double()
    vectors = draw(0, 200, WIDTH) * spread
    components = leading_components(vectors)
    unit = vectors / vectors.norm(dim=1, keepdim=True)
    apart = unit - unit.mean(dim=0)
    held = [
        float((apart @ components[:n].T).square().sum() / apart.square().sum())
        for n in (len(components) - 1, len(components))
    ]
    assert held[0] < 0.9 <= held[1]
    assert torch.allclose(components @ components.T, torch.eye(len(components)).double())


def test_two_vectors_have_one_component():
    assert len(leading_components(draw(0, 2, WIDTH))) == 1


def test_rows_are_named_after_the_nearest_story_vector_less_the_mean_of_their_unit():
    vectors = draw(0, len(EMOTIONS), WIDTH)
    level, unit = torch.arange(6).repeat(4), torch.arange(4).repeat_interleave(6)
    rows = own(vectors)[level] + 30 * draw(1, 4, WIDTH)[unit] + 0.1 * draw(2, 24, WIDTH)
    reader = name_by_stories(rows, level, unit, NAMES, vectors, EMOTIONS)
    assert reader.share.value == 1 and reader.n_levels == 6
    dealt = name_by_stories(rows, level.roll(1), unit, NAMES, vectors, EMOTIONS)
    assert dealt.share.value < 0.2


def test_rows_of_emotions_that_a_run_lacks_are_not_counted():
    vectors = draw(0, 2, WIDTH)
    level, unit = torch.arange(6).repeat(2), torch.arange(2).repeat_interleave(6)
    rows = torch.zeros(12, WIDTH).double()
    rows[level == 1], rows[level == 4] = vectors[0], vectors[1]
    reader = name_by_stories(rows, level, unit, NAMES, vectors, ["sad", "guilty"])
    assert reader.share.value == 1 and reader.n_levels == 2
    assert name_by_stories(rows, level, unit, NAMES, vectors[:1], ["sad"]) is None
