"""Judging a battery: a planted diagonal is battery, noise is not, valence alone is not enough."""

import pytest
import torch
from scipy import stats

from hooks import InvalidInput
from probes.experiments.messages.scenario_matrix import judge, permute_in_groups

OWN = list(range(8))
SIDES = [1, 1, 1, 1, -1, -1, -1, -1]


def _judge(cosine, sides=SIDES, own=OWN, n_permutations=500, seed=0):
    return judge(cosine, own, sides, n_permutations=n_permutations, n_bootstrap=2000, seed=seed)


def _noise(seed, n=8, columns=8):
    return torch.randn(n, columns, generator=torch.Generator().manual_seed(seed))


def test_a_planted_diagonal_is_found():
    battery = _judge(_noise(0, columns=20) + 10 * torch.eye(8, 20))
    assert battery.p < 0.01
    assert battery.p_within is not None
    assert battery.p_within < 0.01
    assert battery.top_1 == 8
    assert battery.mean_rank == 1.0
    assert battery.chance_rank == 10.5
    assert battery.contrast_interval[0] > 5
    assert 5 < battery.own_interval[0] <= battery.own <= battery.own_interval[1]


def test_knowing_only_pleasant_from_unpleasant_fails_within_sides():
    sides = torch.tensor(SIDES).float()
    alone = torch.outer(sides, sides) + 0.1 * _noise(1)
    battery = _judge(alone)
    assert battery.p < 0.05
    assert battery.p_within is not None
    assert battery.p_within > 0.05


def test_rows_and_columns_that_are_high_as_a_whole_change_nothing():
    noise = _noise(2)
    plain = _judge(noise)
    moved = _judge(noise + 50 * torch.arange(8.0) + 30 * torch.arange(8.0)[:, None])
    assert moved.p == plain.p
    assert moved.contrast == pytest.approx(plain.contrast, abs=1e-3)
    assert moved.contrast_interval == pytest.approx(plain.contrast_interval, abs=1e-3)


def test_p_values_of_noise_are_uniform():
    p = [_judge(_noise(seed), n_permutations=199, seed=seed).p for seed in range(300)]
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_dealing_within_groups_never_mixes_them():
    dealt = permute_in_groups([0, 1, 0, 1, 1], 200, seed=0)
    groups = torch.tensor([0, 1, 0, 1, 1])
    assert (groups[dealt] == groups).all()
    assert (dealt.sort(dim=1).values == torch.arange(5)).all()
    assert len({tuple(row) for row in dealt.tolist()}) == 2 * 6


def test_two_messages_of_one_emotion_are_refused():
    with pytest.raises(InvalidInput, match="each of its own emotion"):
        _judge(_noise(0)[:2], own=[0, 0], sides=[1, 1])
