"""Bradley-Terry: closed form, recovery of known strengths, balanced schedules."""

import collections
import itertools
import math

import pytest
import torch

from hooks import InvalidInput
from probes.experiments.bradley_terry import ELO, balanced_pairs, fit


def _fit(pairs, share, n, n_bootstrap=2, seed=0):
    return fit(pairs, torch.tensor(share), n, n_bootstrap=n_bootstrap, seed=seed)


def test_two_items_have_the_log_odds_of_their_one_comparison():
    found = _fit([(0, 1)], [0.8], 2)
    assert float(found.elo[0] - found.elo[1]) == pytest.approx(ELO * math.log(4.0), rel=1e-4)


def test_known_strengths_are_recovered_from_exact_shares():
    strength = torch.tensor([2.0, -1.0, 0.5, 0.0, -1.5, 1.0])
    strength = strength - strength.mean()
    pairs = list(itertools.combinations(range(6), 2))
    shares = [float(torch.sigmoid(strength[i] - strength[j])) for i, j in pairs]
    found = _fit(pairs, shares, 6, n_bootstrap=20)
    assert torch.allclose(found.elo, (strength * ELO).double(), atol=0.5)
    # Exact shares agree in every resample.
    assert torch.allclose(found.low, found.high, atol=1.0)


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    generator = torch.Generator().manual_seed(0)
    strength = torch.linspace(-1.0, 1.0, 8)
    pairs = list(itertools.combinations(range(8), 2)) * 2
    logits = torch.tensor([float(strength[i] - strength[j]) for i, j in pairs])
    held = 0
    for seed in range(10):
        noisy = logits + 0.5 * torch.randn(len(pairs), generator=generator)
        found = _fit(pairs, torch.sigmoid(noisy).tolist(), 8, n_bootstrap=60, seed=seed)
        truth = ELO * strength
        held += int(((found.low <= truth) & (truth <= found.high)).sum())
    assert 60 <= held <= 80  # of 80, at 95%; shrinkage of noisy shares costs a little


def test_every_ordered_comparison_is_there_when_none_is_left_out():
    pairs = balanced_pairs(8, None, seed=1)
    assert len({frozenset(pair) for pair in pairs}) == len(pairs) == 28


def test_whole_rounds_use_every_item_equally_often():
    pairs = balanced_pairs(64, 96, seed=3)
    counts = collections.Counter(item for pair in pairs for item in pair)
    assert set(counts.values()) == {3}
    assert len({frozenset(pair) for pair in pairs}) == 96
    assert pairs == balanced_pairs(64, 96, seed=3)
    assert pairs != balanced_pairs(64, 96, seed=4)


def reached(pairs):
    """Items that comparisons lead to from the first item."""
    found, new = {0}, {0}
    while new:
        new = {j for pair in pairs for i, j in (pair, pair[::-1]) if i in new} - found
        found |= new
    return found


@pytest.mark.parametrize("n_pairs", [63, 64, 96])
def test_pairs_that_can_connect_all_items_do_under_every_seed(n_pairs):
    for seed in range(60):
        assert len(reached(balanced_pairs(64, n_pairs, seed))) == 64


def test_fewer_pairs_than_could_connect_all_items_are_drawn_as_they_come():
    assert len(balanced_pairs(64, 3, seed=0)) == 3


def test_items_that_are_never_compared_are_refused():
    with pytest.raises(InvalidInput, match="never compared"):
        _fit([(0, 1), (2, 3)], [0.5, 0.5], 4)


def test_an_odd_number_of_items_is_refused():
    with pytest.raises(InvalidInput, match="even number"):
        balanced_pairs(5, None, seed=0)
