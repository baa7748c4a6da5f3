"""Autocorrelation along sequences: a known decay, a level that is kept, and honest intervals."""

import math

import numpy as np
import pytest
import torch

from hooks.errors import InvalidInput
from probes.analysis.autocorrelation import BOUND, contributions, first_below, usable_lags
from probes.analysis.intervals import mean_over


def _decaying(lengths, keep, generator, level=0.0):
    """Sequences whose steps keep a share of the one before, around a level of their own."""
    sequences = []
    for length in lengths:
        steps = [torch.randn(1, generator=generator)]
        for _ in range(length - 1):
            fresh = torch.randn(1, generator=generator)
            steps.append(keep * steps[-1] + math.sqrt(1 - keep**2) * fresh)
        sequences.append(torch.stack(steps) + level * torch.randn(1, generator=generator))
    return sequences


@pytest.mark.parametrize("lag", [1, 2, 4, 8])
def test_a_known_decay_is_met_at_every_lag(lag):
    sequences = _decaying([60, 90, 120] * 40, 0.8, torch.Generator().manual_seed(0))
    assert float(contributions(sequences, lag).mean()) == pytest.approx(0.8**lag, abs=0.03)


def test_a_level_that_a_sequence_keeps_is_left_at_long_lags():
    sequences = _decaying([60] * 300, 0.5, torch.Generator().manual_seed(1), level=1.0)
    assert float(contributions(sequences, 16).mean()) == pytest.approx(0.5, abs=0.07)


def test_it_is_the_correlation_of_pairs_of_steps():
    [one] = _decaying([400], 0.7, torch.Generator().manual_seed(2))
    one = one - one.mean()
    expected = np.corrcoef(one[:-3, 0], one[3:, 0])[0, 1]
    assert float(contributions([one], 3)) == pytest.approx(expected, abs=0.01)


def test_short_sequences_and_what_pads_them_change_nothing():
    long, short = _decaying([40, 9], 0.7, torch.Generator().manual_seed(3))
    alone = contributions([long], 9)
    assert torch.equal(contributions([long, short], 9), alone)
    both = contributions([long, short], 4).mean()
    pairs = [(x[:-4], x[4:]) for x in (long, short)]
    products = sum(float((a * b).sum()) for a, b in pairs)
    squares = sum(float((a**2 + b**2).sum()) for a, b in pairs) / 2
    assert float(both) == pytest.approx(products / squares, abs=1e-6)


def test_intervals_over_sequences_hold_the_truth_as_often_as_they_say():
    generator, held = torch.Generator().manual_seed(4), 0
    for _ in range(200):
        interval = mean_over(contributions(_decaying([30] * 24, 0.6, generator), 2)[:, 0])
        held += interval.low <= 0.36 <= interval.high
    assert 178 <= held <= 199


def test_steps_without_order_are_not_correlated():
    sequences = [torch.randn(50, 3, generator=torch.Generator().manual_seed(n)) for n in range(64)]
    for lag in (1, 16):
        for r in contributions(sequences, lag).T:
            interval = mean_over(r)
            assert interval.low < 0.06 and interval.high > -0.06


def test_lags_are_used_that_enough_sequences_are_longer_than():
    assert usable_lags([3, 9, 9, 40], [1, 2, 4, 8, 16], 3) == [1, 2, 4, 8]
    assert usable_lags([], [1], 1) == []


def test_the_first_lag_below_a_bound():
    assert first_below([1, 2, 4], [0.9, 0.3, 0.5]) == 2
    assert first_below([1, 2], [0.9, 0.4]) is None
    assert first_below([1, 2], [0.9, 0.4], bound=0.5) == 2
    assert pytest.approx(0.3679, abs=1e-4) == BOUND


@pytest.mark.parametrize("lag", [0, 5])
def test_a_lag_that_no_sequence_has_is_refused(lag):
    with pytest.raises(InvalidInput, match="longer than a lag"):
        contributions([torch.ones(5, 1)], lag)
