"""Judging a battery: a planted diagonal is found, noise is not, valence alone is not enough."""

import pytest
import torch
from scipy import stats

from hooks import InvalidInput
from probes.experiments.messages.scenario_matrix import (
    judge,
    mean_place,
    permute_in_groups,
    places,
)

EMOTIONS = [f"emotion {n}" for n in range(20)]
OWN = [n for n in range(8) for _ in range(3)]
SIDES = {name: 1 if n < 4 else -1 for n, name in enumerate(EMOTIONS)}
DIAGONAL = torch.eye(20)[OWN]


def _judge(cosine, own=OWN, sides=SIDES, n_permutations=500, seed=0):
    return judge(cosine, own, EMOTIONS, sides, n_permutations=n_permutations, seed=seed)


def _noise(seed, n=24, columns=20):
    return torch.randn(n, columns, generator=torch.Generator().manual_seed(seed))


def test_a_planted_diagonal_is_found():
    battery = _judge(_noise(0) + 10 * DIAGONAL)
    assert battery.p < 0.01
    assert battery.p_within is not None
    assert battery.p_within < 0.01
    assert battery.top_1 == battery.n == 24
    assert battery.mean_rank.value == 1.0
    assert battery.chance_rank == 10.5
    assert battery.contrast.low > 5
    assert 5 < battery.own.low <= battery.own.value <= battery.own.high
    assert list(battery.by_emotion) == EMOTIONS[:8]
    # The own one alone of 20 lies so near: 1/20 for each of 8.
    assert all(each.q == pytest.approx(1 / 20) for each in battery.by_emotion.values())


def test_knowing_only_pleasant_from_unpleasant_fails_within_sides():
    sides = torch.tensor([SIDES[name] for name in EMOTIONS]).float()
    battery = _judge(torch.outer(sides[OWN], sides) + 0.1 * _noise(1))
    assert battery.p < 0.05
    assert battery.p_within is not None
    assert battery.p_within > 0.05
    assert min(each.q for each in battery.by_emotion.values()) > 0.05


def test_few_emotions_of_a_side_have_few_orders_and_the_floor_is_theirs():
    few = _judge(_noise(0, 6) + 10 * torch.eye(20)[[0, 0, 1, 1, 4, 4]], [0, 0, 1, 1, 4, 4])
    assert (few.n_within, few.n) == (1, 6)
    alone = _judge(_noise(0, 4), [0, 0, 4, 4])
    assert (alone.p_within, alone.n_within) == (None, 0)


def test_rows_and_columns_that_are_high_as_a_whole_change_nothing():
    noise = _noise(2)
    plain = _judge(noise)
    of_emotion = torch.tensor(OWN)[:, None]
    moved = _judge(noise + 50 * torch.arange(20.0) + 30 * of_emotion)
    assert moved.p == plain.p
    assert moved.contrast.value == pytest.approx(plain.contrast.value, abs=1e-3)
    assert moved.contrast.ends == pytest.approx(plain.contrast.ends, abs=1e-3)


def test_p_values_of_noise_are_uniform_and_intervals_hold_nothing_as_often_as_they_say():
    judged = [_judge(_noise(seed), n_permutations=199, seed=seed) for seed in range(300)]
    assert stats.kstest([each.p for each in judged], "uniform").pvalue > 0.01
    held = [each.contrast.low <= 0 <= each.contrast.high for each in judged]
    assert 0.92 <= sum(held) / len(held) <= 0.98


def test_messages_of_an_emotion_that_are_alike_count_as_one():
    """24 messages, but eight emotions: by message the interval would be half as wide."""
    judged = [
        _judge(_noise(seed, 8).repeat_interleave(3, 0), n_permutations=19) for seed in range(200)
    ]
    held = [each.contrast.low <= 0 <= each.contrast.high for each in judged]
    assert sum(held) / len(held) >= 0.92


def test_a_place_is_the_share_of_others_that_lie_farther_and_a_half_by_chance():
    assert places(_noise(0) + 10 * DIAGONAL, OWN).tolist() == [1.0] * 24
    assert places(torch.zeros(24, 20), OWN).tolist() == [0.5] * 24
    of_noise = [mean_place(places(_noise(seed), OWN), OWN) for seed in range(200)]
    assert sum(each.value for each in of_noise) / 200 == pytest.approx(0.5, abs=0.01)
    shifted = _noise(3) + 5 * torch.arange(20.0)
    torch.testing.assert_close(places(shifted, OWN), places(_noise(3), OWN))


def test_dealing_within_groups_never_mixes_them():
    dealt = permute_in_groups([0, 1, 0, 1, 1], 200, seed=0)
    groups = torch.tensor([0, 1, 0, 1, 1])
    assert (groups[dealt] == groups).all()
    assert (dealt.sort(dim=1).values == torch.arange(5)).all()
    assert len({tuple(row) for row in dealt.tolist()}) == 2 * 6


def test_messages_of_one_emotion_are_refused():
    with pytest.raises(InvalidInput, match="two or more emotions"):
        _judge(_noise(0)[:2], own=[0, 0])
