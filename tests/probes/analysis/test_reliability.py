"""Reliability follows its closed forms, and vectors of noise have none."""

import math

import pytest
import torch

from probes.analysis.held_out import Design, sum_cells
from probes.analysis.reliability import (
    factor_needed,
    half_cosines,
    leave_one_out,
    spearman_brown,
    split_half,
)
from probes.vectors import denoising

N_EMOTIONS, N_TOPICS, D = 6, 16, 400


def cells(signal: float) -> denoising.CellSums:
    generator = torch.Generator().manual_seed(0)
    emotion = torch.arange(N_EMOTIONS).repeat(N_TOPICS)
    topic = torch.arange(N_TOPICS).repeat_interleave(N_EMOTIONS)
    own = torch.randn(N_EMOTIONS, D, generator=generator)
    rows = signal * own[emotion] + torch.randn(len(emotion), D, generator=generator)
    design = Design(emotion, topic, torch.ones_like(topic), topic % 2, N_EMOTIONS)
    return sum_cells(rows, design)


def measured(signal: float, size: int) -> tuple[float, float]:
    own, other = half_cosines(
        cells(signal), torch.zeros(0, D), list(range(N_TOPICS)), size, 20, seed=0
    )
    return float(own.nanmean()), float(other.nanmean())


@pytest.mark.parametrize("size", [1, 4, 8])
def test_cosine_of_disjoint_parts_is_signal_over_signal_and_noise(size):
    own, other = measured(0.5, size)
    assert own == pytest.approx(0.25 / (0.25 + 1 / size), abs=0.06)
    # Mean-centered vectors of different emotions repel each other by 1 / (n - 1).
    assert other == pytest.approx(-own / (N_EMOTIONS - 1), abs=0.03)


def test_one_topic_predicts_eight_by_spearman_brown():
    predicted = spearman_brown(measured(0.5, 1)[0], 8.0)
    assert predicted == pytest.approx(measured(0.5, 8)[0], abs=0.07)


def test_noise_has_no_reliability():
    assert abs(measured(0.0, 8)[0]) < 0.05


def test_what_is_needed_inverts_the_formula():
    assert spearman_brown(0.3, factor_needed(0.3, 0.9)) == pytest.approx(0.9)
    assert factor_needed(0.0, 0.9) == math.inf


def test_intervals_over_topics_hold_what_other_topics_would_give():
    d, n_topics = 16, 12
    own = torch.randn(N_EMOTIONS, d, generator=torch.Generator().manual_seed(5))
    emotion = torch.arange(N_EMOTIONS).repeat(n_topics)
    topic = torch.arange(n_topics).repeat_interleave(N_EMOTIONS)
    design = Design(emotion, topic, torch.ones_like(topic), topic % 2, N_EMOTIONS)
    nothing, topics = torch.zeros(0, d), list(range(n_topics))

    def drawn(seed):
        noise = torch.randn(len(emotion), d, generator=torch.Generator().manual_seed(seed))
        return sum_cells(0.5 * own[emotion] + noise, design)

    many = [half_cosines(drawn(1000 + n), nothing, topics, 6, 2, n)[0] for n in range(150)]
    truth = torch.cat(many).mean(dim=0)
    held, mean_held = [], []
    for seed in range(15):
        each, mean = split_half(drawn(seed), nothing, topics, 6, 6, seed)
        held += [one.low <= float(t) <= one.high for one, t in zip(each, truth, strict=True)]
        mean_held.append(mean.low <= float(truth.mean()) <= mean.high)
    assert sum(held) / len(held) >= 0.88
    assert sum(mean_held) >= 13


def test_an_emotion_missing_from_a_part_is_left_out_of_that_split():
    emotion = torch.tensor([0, 1, 2, 0, 1, 0, 1, 2])
    topic = torch.tensor([0, 0, 0, 1, 1, 2, 2, 2])
    design = Design(emotion, topic, torch.ones_like(topic), topic % 2, 3)
    rows = torch.randn(8, D, generator=torch.Generator().manual_seed(0))
    own, _ = half_cosines(sum_cells(rows, design), torch.zeros(0, D), [0, 1, 2], 1, 20, seed=0)
    assert own[:, 2].isnan().any()
    assert own[:, :2].isfinite().all()


def test_of_a_mean_the_jackknife_is_students_interval():
    values = torch.randn(12, generator=torch.Generator().manual_seed(0)).double()
    left_out = [(values.sum() - one) / 11 for one in values]
    interval = leave_one_out(float(values.mean()), [float(it) for it in left_out])
    low, high = interval.ends
    error = float(values.std()) / math.sqrt(12)
    assert (high - low) / 2 == pytest.approx(2.200985 * error, rel=1e-5)
    assert (high + low) / 2 == pytest.approx(float(values.mean()))


def test_two_that_can_be_left_out_give_no_interval():
    assert leave_one_out(0.5, [0.4, 0.6]).low is None
