"""Own effects: exact where they were planted, none in noise, valence to the axis of valence."""

import pytest
import torch

from hooks import InvalidInput
from probes.analysis.statistics import double_centered
from probes.experiments.expression.own_endings import (
    SteeredEndings,
    compare_own,
    mean_effect,
    own_effects,
)

N = 12


def noise(seed, n=N, sd=1.0):
    drawn = torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return sd * drawn


def damage(seed, n=N):
    """What each vector does to all endings, and what all vectors do to each ending."""
    generator = torch.Generator().manual_seed(seed)
    return -5 * torch.rand(n, 1, generator=generator) + torch.randn(1, n, generator=generator)


def compared(changes, **controls):
    return compare_own(changes, controls, n_permutations=500, seed=0)


def test_the_own_effect_is_what_own_endings_rise_by_whatever_happens_to_all():
    planted = torch.diag(torch.linspace(0.1, 0.4, N, dtype=torch.float64))
    effects = own_effects(planted + damage(0))
    assert float(effects.mean()) == pytest.approx(0.25, abs=1e-6)
    assert effects.argmax() == N - 1
    assert double_centered(planted + damage(0)).sum(dim=0).abs().max() < 1e-6


def test_what_was_planted_is_first_and_beats_noise():
    planted = 0.3 * torch.eye(N) + damage(1) + noise(1, sd=0.05)
    rival = SteeredEndings(noise(2, sd=0.05) + damage(2), range(N), N)
    effects = compared(planted, noise=rival)
    assert effects.own.low < 0.3 < effects.own.high
    assert effects.own.above_zero
    assert (effects.first, effects.mean_rank) == (1.0, 0.0)
    assert effects.p == pytest.approx(1 / 501)
    [beside] = effects.controls
    assert beside.excess.above_zero
    assert beside.excess.value == pytest.approx(effects.own.value - beside.own.value)
    assert effects.to_all == pytest.approx(float(planted.double().mean()))


def test_noise_is_hardly_ever_more_than_noise():
    n_trials, covered, significant, first = 300, 0, 0, 0.0
    for seed in range(n_trials):
        effects = compare_own(noise(seed), {}, n_permutations=99, seed=seed)
        covered += effects.own.low <= 0 <= effects.own.high
        significant += effects.p <= 0.05
        first += effects.first / n_trials
    # 95% and 5%, give or take three standard errors of 300 trials.
    assert 0.91 <= covered / n_trials <= 0.99
    assert significant / n_trials <= 0.09
    assert 0.05 < first < 0.12


def test_an_interval_of_few_emotions_is_wide_enough_for_the_means_taken_out():
    covered = 0
    for seed in range(400):
        estimate = mean_effect(own_effects(noise(seed, n=4)))
        covered += estimate.low <= 0 <= estimate.high
    assert 0.92 <= covered / 400 <= 0.98


def test_a_pure_effect_of_valence_is_won_by_the_axis_of_valence():
    side = torch.tensor([1.0] * 5 + [-1.0] * 7)
    valence = 0.2 * side[:, None] * side
    axis = SteeredEndings(valence + damage(3) + noise(3, sd=0.02), range(N), 2)
    effects = compared(valence + damage(4) + noise(4, sd=0.02), axis=axis)
    assert effects.own.above_zero
    assert effects.p < 0.05
    [beside] = effects.controls
    assert beside.own.above_zero
    assert not beside.excess.above_zero
    assert abs(beside.excess.value) < 0.05
    # Own endings are among those of the own side, and no more.
    assert effects.first < 0.5


def test_what_is_more_than_valence_is_more_than_its_axis():
    side = torch.tensor([1.0] * 6 + [-1.0] * 6)
    valence = 0.2 * side[:, None] * side
    axis = SteeredEndings(valence + noise(5, sd=0.02), range(N), 2)
    effects = compared(valence + 0.1 * torch.eye(N) + noise(6, sd=0.02), axis=axis)
    [beside] = effects.controls
    assert beside.excess.low < 0.1 < beside.excess.high
    assert beside.excess.above_zero


def test_a_control_of_some_emotions_is_compared_on_these_and_their_endings():
    changes, rows = 0.5 * torch.eye(6) + noise(7, n=6, sd=0.01), [0, 2, 3, 5]
    control = SteeredEndings(changes[rows], rows, 2)
    few = SteeredEndings(changes[:2], [0, 1], 2)
    [beside] = compared(changes, some=control, few=few).controls
    assert beside.name == "some"
    assert beside.excess.value == pytest.approx(0.0, abs=1e-9)
    assert [value is None for value in beside.by_emotion] == [row not in rows for row in range(6)]


def test_two_emotions_are_refused():
    with pytest.raises(InvalidInput, match="expected 3 emotions or more"):
        own_effects(torch.zeros(2, 2))
