"""Rungs of the null ladder: every one is measured alike, and those of chance are at chance."""

import pytest

from probes.experiments.decoding.ladder_rungs import CHOSEN, EMBEDDINGS, Ladder


@pytest.fixture(scope="module")
def ladder(real):
    return Ladder(real)


def test_the_rungs_of_stories_climb_from_the_embeddings_to_the_analyzed_layer(ladder, real):
    assert ladder.story_rungs == [EMBEDDINGS, "early layer", CHOSEN]
    assert ladder.early == min(
        (layer for layer in real.layers if layer < real.layer),
        key=lambda layer: abs(layer - real.layer / 4),
    )
    assert ladder.stories(CHOSEN).name == f"analyzed layer ({real.layer})"


def test_rungs_of_chance_are_at_chance_with_what_their_draws_reach(ladder, real):
    for rung in (ladder.random(), ladder.shuffled()):
        low, high = rung.accuracy.ends
        assert low <= 1 / len(real.emotions) <= high + 0.1
        assert low <= rung.accuracy.value <= high


def test_a_gain_is_the_difference_of_two_rungs(ladder):
    chosen, embedded = ladder.stories(CHOSEN), ladder.stories(EMBEDDINGS)
    gain = ladder.gain().accuracy
    assert gain.value == pytest.approx(chosen.accuracy.value - embedded.accuracy.value)
    assert gain.low <= gain.value <= gain.high
