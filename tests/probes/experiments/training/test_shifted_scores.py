"""Shifts along directions: planted ones have their size, and random directions can win."""

import pytest
import torch
from scipy.stats import false_discovery_control

from probes.experiments.training.random_sets import random_sets
from probes.experiments.training.shifted_scores import (
    Along,
    alike,
    correlate_means,
    draw_texts,
    project,
    set_shift,
)

D, N, E, R = 64, 40, 8, 2000
CENTER, NORM = 3.0 * torch.ones(D), 50.0
EMOTIONS = torch.eye(D)[:E] * 7.0


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


DRAWS = draw_texts(N, seed=1)
RANDOM = drawn(R, D, seed=2).float()
SETS = random_sets(EMOTIONS, RANDOM, seed=4)


def along(residual, random=RANDOM):
    return Along(*(project(residual, CENTER, NORM, it) for it in (EMOTIONS, random)))


def shift_by(added, noise=1.0, random=RANDOM, seed=3):
    """Shift of texts that get a vector and some noise, in units of the stream."""
    own = 20 * drawn(N, D, seed=seed).float()
    other = own + added + noise * drawn(N, D, seed=seed + 1).float()
    return along(other, random).less(along(own, random))


def test_a_score_is_how_far_a_residual_reaches_from_the_center_in_norms():
    residual = (CENTER + 2 * NORM * torch.eye(D)[3])[None]
    scores = along(residual).emotions[0]
    assert scores[3] == pytest.approx(2)
    assert scores.abs().sum() == pytest.approx(2)


def test_draws_are_means_over_texts_drawn_again():
    assert DRAWS.shape[1] == N
    torch.testing.assert_close(DRAWS.sum(dim=1), torch.ones(len(DRAWS), dtype=torch.float64))
    assert DRAWS.mean(dim=0).std() < 0.005
    assert torch.equal(DRAWS, draw_texts(N, seed=1))


def test_a_planted_shift_has_its_size_and_stands_out_alone():
    shift = set_shift(shift_by(0.3 * NORM * torch.eye(D)[2]), DRAWS, SETS)
    low, high = shift.shift[2].ends
    assert low < 0.3 < high
    assert high - low < 0.03
    assert [shift.moved(number) for number in range(E)] == [number == 2 for number in range(E)]
    assert shift.size.value == pytest.approx(0.3 / E**0.5, abs=0.01)
    assert shift.random_size.value == pytest.approx(0.3 / D**0.5, abs=0.01)
    assert shift.excess.above_zero
    assert shift.q[2] == pytest.approx(E / (R + 1))
    assert shift.p < 0.01


def test_noise_moves_no_emotion_beyond_random_directions():
    moved, above = 0, 0
    for seed in range(20):
        shift = set_shift(shift_by(0.0, seed=10 * seed), draw_texts(N, seed), SETS)
        moved += sum(map(shift.moved, range(E)))
        above += shift.excess.above_zero
    assert moved <= 2
    assert above <= 3


def test_random_directions_win_where_the_shift_lies_in_what_stories_vary_in():
    """What a control is for: emotions shift surely, and any direction of the stories more."""
    loud = torch.ones(D)
    loud[E] = 50.0
    random = RANDOM * loud
    added = 0.4 * torch.eye(D)[E] + 0.05 * torch.eye(D)[:E].sum(dim=0)
    shift = set_shift(
        shift_by(NORM * added, random=random), DRAWS, random_sets(EMOTIONS, random, seed=4)
    )
    assert all(it.low > 0 for it in shift.shift)
    assert not any(map(shift.moved, range(E)))
    assert shift.excess.high < 0


def test_q_is_the_share_of_random_directions_corrected_for_all_emotions():
    shift = shift_by(0.1 * NORM * torch.eye(D)[:3].sum(dim=0))
    mean, random = shift.emotions.mean(dim=0), shift.random.mean(dim=0)
    p = [(1 + int((random.abs() >= abs(it)).sum())) / (R + 1) for it in mean.tolist()]
    assert set_shift(shift, DRAWS, SETS).q == pytest.approx(false_discovery_control(p).tolist())
    inside = (random.abs() <= set_shift(shift, DRAWS, SETS).band).double().mean()
    assert inside == pytest.approx(0.95, abs=0.001)


def test_no_shift_is_zero_to_the_last_bit():
    own = along(20 * drawn(N, D).float())
    shift = set_shift(own.less(own), DRAWS, SETS)
    assert shift.is_zero
    assert shift.q == [1.0] * E
    assert shift.p == 1.0
    assert not set_shift(shift_by(0.0, noise=1e-3), DRAWS, SETS).is_zero
    assert alike(own.less(own), own, DRAWS, SETS) is None


def test_one_vector_added_to_everything_is_alike_along_any_direction():
    added = NORM * drawn(D, seed=8).float() / 8
    both = [shift_by(added, noise=0.1, seed=seed) for seed in (20, 30)]
    same = alike(*both, DRAWS, SETS)
    assert same.r.value > 0.99 and same.random.value > 0.99
    low, high = same.excess.ends
    assert low < 0.02 and high > -0.02
    assert same.p > 0.05


def test_what_is_alike_of_emotions_alone_exceeds_random_directions():
    emotions = torch.tensor([1.0, -1, 2, -2, 0.5, -0.5, 1.5, -1.5])
    parts = [torch.zeros(D), torch.zeros(D)]
    for seed, part in enumerate(parts):
        part[:E] = 0.1 * emotions
        part[E:] = 0.2 * drawn(D - E, seed=40 + seed).float()
    one, two = (shift_by(NORM * part, seed=50 + n) for n, part in enumerate(parts))
    same = alike(one, two, DRAWS, SETS)
    assert same.r.value > 0.95
    assert same.excess.above_zero
    assert same.p < 0.05
    assert correlate_means(one.emotions, two.emotions, DRAWS) == same.r


def test_intervals_of_r_hold_what_as_many_other_texts_give():
    """Noise of texts blurs r; the interval is around what such texts give on average."""
    emotions = drawn(E, seed=1)
    values, intervals = [], []
    for seed in range(60):
        one, two = (0.3 * emotions + 2 * drawn(N, E, seed=1000 * seed + part) for part in range(2))
        r = correlate_means(one, two, draw_texts(N, seed))
        values.append(r.value)
        intervals.append(r.ends)
    mean = sum(values) / len(values)
    held = sum(low <= mean <= high for low, high in intervals)
    assert held >= 52
