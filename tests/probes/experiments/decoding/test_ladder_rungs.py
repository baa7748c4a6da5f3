"""Rungs of the null ladder: every one is measured alike, and those of chance are at chance."""

import pytest

from probes.experiments.decoding.ladder_rungs import CHOSEN, Ladder
from probes.experiments.words import EMBEDDINGS, WORD_COUNTS


@pytest.fixture(scope="module")
def ladder(real):
    return Ladder(real)


def test_the_rungs_of_stories_climb_from_their_words_to_the_analyzed_layer(ladder, real):
    names = [measure().name for measure in ladder.rungs]
    early = f"early layer ({ladder.early})"
    assert names[3:] == [WORD_COUNTS, EMBEDDINGS, early, f"{CHOSEN} ({real.layer})"]
    assert ladder.early == min(
        (layer for layer in real.layers if layer < real.layer),
        key=lambda layer: abs(layer - real.layer / 4),
    )


def test_rungs_of_chance_are_at_chance_with_what_their_draws_reach(ladder, real):
    for rung in (ladder.random(), ladder.shuffled()):
        low, high = rung.accuracy.ends
        assert low <= 1 / len(real.emotions) <= high + 0.1
        assert low <= rung.accuracy.value <= high


def test_a_gain_is_the_difference_to_the_better_reader_of_words(ladder):
    reached = {name: ladder.stories(name) for name in (WORD_COUNTS, EMBEDDINGS, CHOSEN)}
    gain = ladder.gain()
    for statistic in ("accuracy", "clusters"):
        values = {name: getattr(rung, statistic) for name, rung in reached.items()}
        if any(value is None for value in values.values()):
            assert getattr(gain, statistic) is None
            continue
        chosen = values.pop(CHOSEN).value
        better = max(values, key=lambda name: values[name].value)
        assert values[gain.over[statistic]].value == values[better].value
        assert getattr(gain, statistic).value == pytest.approx(chosen - values[better].value)
        assert getattr(gain, statistic).low <= getattr(gain, statistic).value
