"""Bradley-Terry: closed form, recovery of known strengths, balanced schedules."""

import collections
import itertools
import math

import pytest
import torch

from hooks import InvalidInput
from probes.experiments.preferences.bradley_terry import ELO, balanced_pairs, fit


def _fit(pairs, share, n):
    return fit(pairs, torch.tensor(share), n)


def test_two_items_have_the_log_odds_of_their_one_comparison():
    strengths = _fit([(0, 1)], [0.8], 2)
    assert float(strengths.elo[0] - strengths.elo[1]) == pytest.approx(
        ELO * math.log(4.0), rel=1e-4
    )


def test_known_strengths_are_recovered_from_exact_shares():
    strength = torch.tensor([2.0, -1.0, 0.5, 0.0, -1.5, 1.0])
    strength = strength - strength.mean()
    pairs = list(itertools.combinations(range(6), 2))
    shares = [float(torch.sigmoid(strength[i] - strength[j])) for i, j in pairs]
    strengths = _fit(pairs, shares, 6)
    assert torch.allclose(strengths.elo, (strength * ELO).double(), atol=0.5)
    # Strengths explain exact shares wholly: nothing is uncertain.
    assert torch.allclose(strengths.low, strengths.high, atol=1.0)


@pytest.mark.parametrize(
    ("n_items", "n_pairs"),
    [(64, 192), (64, 96), (8, None)],
    ids=["the demo's", "as few as a config may ask for", "all pairs"],
)
def test_intervals_hold_the_truth_as_often_as_they_say(n_items, n_pairs):
    generator = torch.Generator().manual_seed(0)
    held = total = 0
    for seed in range(200 // n_items + 5):
        strength = 0.6 * torch.randn(n_items, generator=generator)
        strength = strength - strength.mean()
        pairs = balanced_pairs(n_items, n_pairs, seed)
        logits = torch.tensor([float(strength[i] - strength[j]) for i, j in pairs])
        noisy = logits + 0.4 * torch.randn(len(pairs), generator=generator)
        strengths = _fit(pairs, torch.sigmoid(noisy).tolist(), n_items)
        held += int(((strengths.low <= ELO * strength) & (ELO * strength <= strengths.high)).sum())
        total += n_items
    assert 0.91 <= held / total <= 0.999


def test_a_fit_that_leaves_nothing_over_knows_no_interval():
    strengths = _fit([(0, 1), (1, 2), (2, 3)], [0.8, 0.3, 0.5], 4)
    assert strengths.elo.isfinite().all()
    assert strengths.high.isinf().all()


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
    items, new = {0}, {0}
    while new:
        new = {j for pair in pairs for i, j in (pair, pair[::-1]) if i in new} - items
        items |= new
    return items


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
