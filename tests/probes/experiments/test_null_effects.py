"""Nulls: directions drawn as the stream varies, and effects beside theirs."""

import pytest
import torch

from hooks import InvalidInput
from probes.experiments.null_effects import compare, matched_directions

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
