"""Slopes of agreement: exact where planted, beside controls that can win, and none in noise."""

import pytest
import torch

from probes.analysis.findings import Estimate
from probes.experiments.steering.claim_slopes import (
    ALONE,
    AXIS,
    OTHERS,
    ClaimChanges,
    judge,
    turned,
)

NAMES = ["happy", "loving", "angry"]
WITH_AXIS = ["happy", "angry"]
DOSES = [0.05, 0.1, 0.2]
N_PAIRS, N_RANDOM = 24, 60


def _changes(false, true=None, alone=None, axes=(0.0, 0.0), noise=0.1, seed=0):
    """Changes along planted slopes of emotions, axes and random directions; pairs are noisy."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(N_RANDOM, generator=generator) * 0.3
    n = len(NAMES) + len(WITH_AXIS) + N_RANDOM
    means = torch.stack([
        torch.cat([torch.tensor([*side, *axes]), drawn]) for side in (true or false, false)
    ])  # fmt: skip
    slopes = means.T.reshape(n, 1, 2, 1) + noise * torch.randn(
        n, 2, 2, N_PAIRS, generator=generator
    )
    of_question = torch.zeros(n, 2, N_PAIRS)
    of_question[: len(NAMES)] = torch.tensor(alone or [0.0] * len(NAMES)).reshape(-1, 1, 1)
    dose = torch.tensor(DOSES) / 0.1
    scaled = (torch.einsum("d,...->d...", dose, each) for each in (slopes, of_question))
    return ClaimChanges(DOSES, *scaled), slopes


def _judged(*args, **kwargs):
    return judge(_changes(*args, **kwargs)[0], NAMES, WITH_AXIS, ["agree", "true"])


def test_slopes_are_those_that_were_planted():
    changes, slopes = _changes([1.0, 0.5, -1.0])
    measured = changes.slopes(changes.claims)
    torch.testing.assert_close(measured, slopes.double(), atol=1e-5, rtol=0)
    judged = judge(changes, NAMES, WITH_AXIS, ["agree", "true"])
    assert judged["happy"].false.value == pytest.approx(1.0, abs=0.1)
    assert judged["angry"].false.value == pytest.approx(-1.0, abs=0.1)
    for name, it in judged.items():
        row = NAMES.index(name)
        assert it.curve[1].value == pytest.approx(float(slopes[row, :, 1].mean()), abs=1e-4)
        assert it.curve[2].value == pytest.approx(2 * it.curve[1].value, abs=1e-4)
        assert it.by_wording["agree"].value == pytest.approx(
            float(slopes[row, 0, 1].mean()), abs=1e-4
        )


def test_what_moves_farther_than_random_directions_is_seen_in_both_directions():
    judged = _judged([1.5, 1.4, -1.5])
    for it in judged.values():
        assert it.moved and it.q_false < 0.05
        assert it.exceeds(ALONE)
        assert not it.q_discrimination < 0.05
    assert judged["happy"].exceeds(AXIS) and judged["angry"].exceeds(AXIS)


def test_random_directions_move_nothing():
    moved = 0
    for seed in range(20):
        generator = torch.Generator().manual_seed(100 + seed)
        own = (torch.randn(3, generator=generator) * 0.3).tolist()
        moved += any(it.moved for it in _judged(own, seed=seed).values())
    assert moved <= 3


def test_what_is_done_to_the_question_alone_is_not_exceeded():
    judged = _judged([1.5, 1.5, -1.5], alone=[1.5, 0.5, -1.6])
    assert not judged["happy"].exceeds(ALONE)
    assert judged["loving"].exceeds(ALONE)
    assert not judged["angry"].exceeds(ALONE)
    reached = {it.name: it.reached.value for it in judged["angry"].controls}
    assert reached[ALONE] == pytest.approx(-1.6)


def test_the_valence_axis_and_the_others_of_a_side_can_win():
    judged = _judged([1.0, 1.5, -1.0], axes=(1.2, -0.2))
    assert not judged["happy"].exceeds(AXIS) and judged["angry"].exceeds(AXIS)
    assert not judged["happy"].exceeds(OTHERS) and judged["loving"].exceeds(OTHERS)
    assert [it.name for it in judged["angry"].controls] == [ALONE, AXIS]
    assert [it.name for it in judged["loving"].controls] == [ALONE, OTHERS]


def test_what_falls_is_turned_to_be_judged():
    falls = Estimate(-1.5, -2.0, -1.0)
    assert turned(falls) == Estimate(1.5, 1.0, 2.0)
    assert turned(turned(falls)) == turned(falls)
    assert all(it.above_zero for it in _judged([1.5, 1.4, -1.5])["angry"].margins())


def test_true_claims_that_fall_alone_are_less_discrimination():
    judged = _judged([0.0, 0.0, 0.0], true=[-1.5, 0.0, 0.0], noise=0.2)
    happy = judged["happy"]
    assert happy.discrimination.value == pytest.approx(-1.5, abs=0.2)
    assert happy.true.value == pytest.approx(-1.5, abs=0.2)
    assert happy.q_discrimination < 0.05
    assert not happy.moved
