"""Nulls: directions drawn as the stream varies, and effects beside theirs."""

import pytest
import torch

from hooks import InvalidInput
from probes.experiments.steering.nulls import (
    compare,
    crossed_interval,
    matched_directions,
    mean_interval,
    pair,
)

EMOTIONS = ["calm", "sad", "tense"]


def _null(n=400, seed=0):
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(seed)) * 2 + 1


def test_z_and_percentile_are_those_of_each_words_own_null():
    found = compare(torch.tensor([1.0, 5.0, 99.0]), _null(), EMOTIONS, kl=0.1, seed=0)
    assert found.z[0] == pytest.approx(0.0, abs=0.2)
    assert found.z[1] == pytest.approx(2.0, abs=0.3)
    assert found.percentile[0] == pytest.approx(0.5, abs=0.1)
    assert found.beats_all == ["tense"]
    assert found.percentile[2] == 1.0
    low, high = found.excess_interval
    assert low < found.excess < high
    assert found.excess == pytest.approx(105 / 3 - 1, abs=0.2)


def test_effects_of_every_direction_are_kept():
    null = _null(5)
    found = compare(torch.zeros(3), null, EMOTIONS, kl=0.1, seed=0)
    assert torch.allclose(torch.tensor(found.effects), null, atol=1e-4)


def test_few_directions_widen_the_interval_however_many_emotions_there_are():
    generator = torch.Generator().manual_seed(2)
    # Directions differ and emotions do not: emotions alone would look certain.
    few = torch.randn(4, 1, generator=generator).expand(4, 300)
    names = [str(number) for number in range(300)]
    found = compare(torch.ones(300), few, names, kl=0.0, seed=0)
    low, high = found.excess_interval
    by_emotion_low, by_emotion_high = mean_interval((1 - few).mean(dim=0), seed=0)
    assert by_emotion_high - by_emotion_low < 1e-9
    assert high - low > few[:, 0].std() / 2


def test_a_crossed_interval_holds_the_true_mean_about_as_often_as_it_says():
    held = 0
    for seed in range(60):
        generator = torch.Generator().manual_seed(seed)
        rows, columns = (torch.randn(20, generator=generator) for _ in range(2))
        noise = torch.randn(20, 20, generator=generator)
        low, high = crossed_interval(rows[:, None] + columns[None] + noise, seed)
        held += low <= 0 <= high
    assert held >= 52


def test_a_pair_is_compared_word_by_word():
    rival = torch.tensor([0.0, 5.0, -9.0])
    found = pair(rival + torch.tensor([0.5, 0.4, 0.6]), rival, EMOTIONS, seed=0)
    assert found.excess == pytest.approx(0.5)
    # The words differ far more than the two do on each of them.
    assert 0.39 < found.excess_interval[0] < found.excess_interval[1] < 0.61
    assert found.beats == EMOTIONS
    assert found.own - found.rival == pytest.approx(found.excess)


def test_own_effects_drawn_from_the_null_beat_it_as_rarely_as_chance_has_it():
    beaten = 0
    for seed in range(40):
        null = _null(51, seed)
        beaten += len(compare(null[0], null[1:], EMOTIONS, kl=0.0, seed=0).beats_all)
    assert beaten <= 8  # 120 chances of one in 51


def test_a_null_that_does_not_vary_has_no_z():
    found = compare(torch.ones(3), torch.zeros(5, 3), EMOTIONS, kl=0.0, seed=0)
    assert found.z == [None, None, None]
    assert found.mean_z is None
    assert found.beats_all == EMOTIONS


def test_matched_directions_have_the_covariance_of_the_samples():
    generator = torch.Generator().manual_seed(3)
    scales = torch.tensor([5.0, 1.0, 0.0, 0.2])
    samples = torch.randn(300, 4, generator=generator) * scales + 100.0
    drawn = matched_directions(samples, 4000, seed=1)
    assert torch.allclose(drawn.T.cov(), samples.T.cov(), atol=1.2)
    assert drawn[:, 2].abs().max() < 1e-3  # where the samples never go, no direction goes
    assert drawn.mean(dim=0).abs().max() < 0.3
    assert torch.equal(drawn, matched_directions(samples, 4000, seed=1))


def test_too_little_is_refused():
    with pytest.raises(InvalidInput, match="two samples"):
        matched_directions(torch.ones(1, 4), 3, seed=0)
    with pytest.raises(InvalidInput, match="two directions"):
        compare(torch.ones(3), torch.ones(1, 3), EMOTIONS, kl=0.0, seed=0)
