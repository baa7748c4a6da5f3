"""Nulls: directions drawn as the stream varies, and effects beside theirs."""

import pytest
import torch

from hooks import InvalidInput
from probes.experiments.steering.nulls import (
    Resampling,
    compare,
    compare_rival,
    crossed_interval,
    matched_directions,
    mean_interval,
)

EMOTIONS = ["calm", "sad", "tense"]
DRAWN = Resampling(2000, 0)


def _null(n=400, seed=0):
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(seed)) * 2 + 1


def test_z_and_percentile_are_those_of_each_words_own_null():
    against = compare(torch.tensor([1.0, 5.0, 99.0]), _null(), EMOTIONS, kl=0.1, resampling=DRAWN)
    assert against.z[0] == pytest.approx(0.0, abs=0.2)
    assert against.z[1] == pytest.approx(2.0, abs=0.3)
    assert against.percentile[0] == pytest.approx(0.5, abs=0.1)
    assert against.beats_all == ["tense"]
    assert against.percentile[2] == 1.0
    low, high = against.excess_interval
    assert low < against.excess < high
    assert against.excess == pytest.approx(105 / 3 - 1, abs=0.2)


def test_effects_of_every_direction_are_kept():
    null = _null(5)
    against = compare(torch.zeros(3), null, EMOTIONS, kl=0.1, resampling=DRAWN)
    assert torch.allclose(torch.tensor(against.effects), null, atol=1e-4)


def test_few_directions_widen_the_interval_however_many_emotions_there_are():
    generator = torch.Generator().manual_seed(2)
    # Directions differ and emotions do not: emotions alone would look certain.
    few = torch.randn(4, 1, generator=generator).expand(4, 300)
    names = [str(number) for number in range(300)]
    against = compare(torch.ones(300), few, names, kl=0.0, resampling=DRAWN)
    low, high = against.excess_interval
    by_emotion_low, by_emotion_high = mean_interval((1 - few).mean(dim=0), DRAWN)
    assert by_emotion_high - by_emotion_low < 1e-9
    assert high - low > few[:, 0].std() / 2


def test_a_crossed_interval_holds_the_true_mean_about_as_often_as_it_says():
    held = 0
    for seed in range(60):
        generator = torch.Generator().manual_seed(seed)
        rows, columns = (torch.randn(20, generator=generator) for _ in range(2))
        noise = torch.randn(20, 20, generator=generator)
        low, high = crossed_interval(rows[:, None] + columns[None] + noise, Resampling(2000, seed))
        held += low <= 0 <= high
    assert held >= 52


def test_a_rival_is_compared_word_by_word():
    rival = torch.tensor([0.0, 5.0, -9.0])
    against = compare_rival(rival + torch.tensor([0.5, 0.4, 0.6]), rival, EMOTIONS, DRAWN)
    assert against.excess == pytest.approx(0.5)
    # The words differ far more than the two do on each of them.
    assert 0.39 < against.excess_interval[0] < against.excess_interval[1] < 0.61
    assert against.beats == EMOTIONS
    assert against.own - against.rival == pytest.approx(against.excess)


def test_own_effects_drawn_from_the_null_beat_it_as_rarely_as_chance_has_it():
    beaten = 0
    for seed in range(40):
        null = _null(51, seed)
        beaten += len(compare(null[0], null[1:], EMOTIONS, kl=0.0, resampling=DRAWN).beats_all)
    assert beaten <= 8  # 120 chances of one in 51


def test_a_null_that_does_not_vary_has_no_z():
    against = compare(torch.ones(3), torch.zeros(5, 3), EMOTIONS, kl=0.0, resampling=DRAWN)
    assert against.z == [None, None, None]
    assert against.mean_z is None
    assert against.beats_all == EMOTIONS


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
        compare(torch.ones(3), torch.ones(1, 3), EMOTIONS, kl=0.0, resampling=DRAWN)


def test_draws_are_as_many_as_are_asked_for():
    values = torch.randn(40, generator=torch.Generator().manual_seed(5))
    few = mean_interval(values, Resampling(20, 0))
    assert few != mean_interval(values, DRAWN)
    assert crossed_interval(values, Resampling(20, 0)) == pytest.approx(few)


def test_a_comparison_is_a_control_of_a_finding():
    against = compare(torch.tensor([1.0, 5.0, 9.0]), _null(), EMOTIONS, kl=0.1, resampling=DRAWN)
    control = against.control("noise")
    assert control.reached is not None and control.reached.value == against.matching
    assert control.excess is not None and control.excess.ends == against.excess_interval
