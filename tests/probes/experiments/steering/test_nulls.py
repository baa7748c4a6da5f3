"""Nulls: directions drawn as the stream varies, and effects beside theirs."""

import pytest
import torch

from hooks import InvalidInput
from probes.analysis.intervals import mean_over
from probes.experiments.steering.nulls import (
    compare,
    compare_rival,
    matched_directions,
)

EMOTIONS = ["calm", "sad", "tense"]


def _null(n=400, seed=0):
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(seed)) * 2 + 1


def test_z_and_percentile_are_those_of_each_words_own_null():
    against = compare(torch.tensor([1.0, 5.0, 99.0]), _null(), EMOTIONS, kl=0.1)
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
    against = compare(torch.zeros(3), null, EMOTIONS, kl=0.1)
    assert torch.allclose(torch.tensor(against.effects), null, atol=1e-4)


def test_few_directions_widen_the_interval_however_many_emotions_there_are():
    generator = torch.Generator().manual_seed(2)
    # Directions differ and emotions do not: emotions alone would look certain.
    few = torch.randn(4, 1, generator=generator).expand(4, 300)
    names = [str(number) for number in range(300)]
    against = compare(torch.ones(300), few, names, kl=0.0)
    low, high = against.excess_interval
    by_emotion = mean_over((1 - few).mean(dim=0))
    assert by_emotion.high - by_emotion.low < 1e-6
    assert high - low > few[:, 0].std() / 2


@pytest.mark.parametrize("n_directions", [4, 50])
@pytest.mark.parametrize("n_emotions", [12, 24])
def test_an_excess_over_a_null_holds_the_truth_as_often_as_it_says(n_emotions, n_directions):
    """Emotions and directions differ; by resampling them 91 of 100 would."""
    held, names = 0, [str(number) for number in range(n_emotions)]
    generator = torch.Generator().manual_seed(0)
    for _ in range(300):
        own = 1 + torch.randn(n_emotions, generator=generator)
        null = torch.randn(n_directions, 1, generator=generator)
        null = null + 0.5 * torch.randn(n_directions, n_emotions, generator=generator)
        low, high = compare(own, null, names, kl=0.0).excess_interval
        held += low <= 1 <= high
    assert 0.92 <= held / 300 <= 0.98


def test_a_rival_is_compared_word_by_word():
    rival = torch.tensor([0.0, 5.0, -9.0])
    against = compare_rival(rival + torch.tensor([0.5, 0.4, 0.6]), rival, EMOTIONS)
    assert against.excess == pytest.approx(0.5)
    # The words differ far more than the two do on each of them.
    assert 0.2 < against.excess_interval[0] < against.excess_interval[1] < 0.8
    assert against.beats == EMOTIONS
    assert against.own - against.rival == pytest.approx(against.excess)


def test_own_effects_drawn_from_the_null_beat_it_as_rarely_as_chance_has_it():
    beaten = 0
    for seed in range(40):
        null = _null(51, seed)
        beaten += len(compare(null[0], null[1:], EMOTIONS, kl=0.0).beats_all)
    assert beaten <= 8  # 120 chances of one in 51


def test_a_null_that_does_not_vary_has_no_z():
    against = compare(torch.ones(3), torch.zeros(5, 3), EMOTIONS, kl=0.0)
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
        compare(torch.ones(3), torch.ones(1, 3), EMOTIONS, kl=0.0)


def test_a_comparison_is_a_control_of_a_finding():
    against = compare(torch.tensor([1.0, 5.0, 9.0]), _null(), EMOTIONS, kl=0.1)
    control = against.control("noise")
    assert control.reached is not None and control.reached.value == against.matching
    assert control.excess is not None and control.excess.ends == against.excess_interval
