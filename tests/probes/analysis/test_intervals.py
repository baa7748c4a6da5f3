"""Intervals: around their number, and as often over the truth as they say."""

import pytest
import torch

from hooks.errors import DataError, InvalidInput
from probes.analysis.geometry import adjusted_rand_index, kmeans_labels
from probes.analysis.intervals import (
    binomial_interval,
    estimate_from_draws,
    estimate_from_spread,
    mean_of_draws,
    percentile_interval,
    spread_interval,
)
from probes.analysis.resampling import resample

FAMILY = torch.arange(16) % 4
N_TOPICS = 10


def agreement_of(vectors):
    centered = (vectors - vectors.mean(dim=0)).float()
    return adjusted_rand_index(kmeans_labels(centered, 4, 0), FAMILY)


def stories(truth, generator):
    """What every topic shows of every emotion, [topic emotion d_model]."""
    noise = torch.randn(N_TOPICS, *truth.shape, generator=generator)
    return truth + 3.0 * noise


@pytest.fixture(scope="module")
def experiments():
    """Agreement in many repetitions on other topics, and in topics drawn again from each."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.randn(4, 16, generator=generator)[FAMILY]
    truth += 0.7 * torch.randn(16, 16, generator=generator)
    made = []
    for seed in range(40):
        rows = stories(truth, generator)
        again = [agreement_of(rows[draw].mean(0)) for draw in resample(N_TOPICS, 15, seed)]
        drawn = torch.tensor(again, dtype=torch.float64)
        made.append((agreement_of(rows.mean(dim=0)), drawn))
    return made


def test_agreement_of_clusters_lies_in_its_interval_which_holds_what_other_topics_give(experiments):
    average = sum(value for value, _ in experiments) / len(experiments)
    estimates = [estimate_from_spread(value, drawn, N_TOPICS) for value, drawn in experiments]
    assert all(each.low <= each.value <= each.high for each in estimates)
    assert sum(each.low <= average <= each.high for each in estimates) / len(estimates) >= 0.87


def test_topics_drawn_again_agree_less_than_all_so_where_they_lie_is_no_interval(experiments):
    where = [estimate_from_draws(value, drawn) for value, drawn in experiments]
    assert sum(each.low <= each.value <= each.high for each in where) / len(where) < 0.85


def test_a_difference_in_the_same_topics_lies_in_its_interval(experiments):
    for (one, first), (two, second) in zip(experiments, experiments[1:], strict=False):
        estimate = estimate_from_spread(one - two, first - second, N_TOPICS)
        assert estimate.low <= estimate.value <= estimate.high
    value, drawn = experiments[0]
    nothing = estimate_from_spread(0.0, drawn - drawn, N_TOPICS)
    assert (nothing.low, nothing.high) == (0.0, 0.0)


def test_the_interval_of_a_mean_is_students():
    data = torch.randn(12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    means = data[resample(12, 20000, seed=0)].mean(dim=1)
    estimate = estimate_from_spread(float(data.mean()), means, 12)
    half = 2.201 * float(data.std()) / 12**0.5
    assert estimate.high - estimate.value == pytest.approx(half, rel=0.02)
    assert estimate.value - estimate.low == pytest.approx(half, rel=0.02)


def test_ends_are_cut_at_what_the_number_can_be():
    drawn = torch.tensor([0.1, 0.9], dtype=torch.float64)
    estimate = estimate_from_spread(0.9, drawn, 5, least=-0.5, most=1.0)
    assert (estimate.low, estimate.high) == (-0.5, 1.0)
    rounded = estimate_from_spread(1.0 + 1e-15, drawn, 5, least=-1.0, most=1.0)
    assert rounded.high == rounded.value


def test_the_mean_of_draws_lies_in_the_central_part_of_them():
    draws = torch.ones(100, dtype=torch.float64)
    draws[0] = 0.5
    estimate = mean_of_draws(draws)
    assert estimate.low <= estimate.value <= estimate.high == 1.0
    assert estimate.value == pytest.approx(0.995)


def test_one_topic_has_no_spread():
    assert estimate_from_spread(0.5, torch.tensor([0.5, 0.5], dtype=torch.float64), 1) is None
    assert estimate_from_spread(0.5, torch.tensor([0.5], dtype=torch.float64), 9) is None
    with pytest.raises(InvalidInput, match="two units"):
        spread_interval(torch.tensor(0.0), torch.zeros(5), 1)
    with pytest.raises(InvalidInput, match="two resamples"):
        spread_interval(torch.tensor(0.0), torch.zeros(1), 5)
    with pytest.raises(DataError, match="NaN"):
        spread_interval(torch.tensor(0.0), torch.tensor([0.0, float("nan")]), 5)


def normal(n):
    return torch.randn(n, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


class TestPercentiles:
    def test_interval_of_a_bootstrapped_mean_matches_theory(self):
        data = normal(100)
        means = data[resample(100, 4000, seed=0)].mean(dim=1)
        low, high = percentile_interval(means)
        half = 1.96 * data.std(correction=0).item() / 10
        assert low.item() == pytest.approx(data.mean().item() - half, abs=0.02)
        assert high.item() == pytest.approx(data.mean().item() + half, abs=0.02)

    def test_interval_is_taken_per_statistic(self):
        values = torch.stack([torch.arange(101.0), -torch.arange(101.0)], dim=1)
        low, high = percentile_interval(values, level=0.8)
        torch.testing.assert_close(low, torch.tensor([10.0, -90.0]))
        torch.testing.assert_close(high, torch.tensor([90.0, -10.0]))

    def test_impossible_requests_are_refused(self):
        with pytest.raises(InvalidInput, match="level"):
            percentile_interval(normal(5), level=95.0)
        with pytest.raises(DataError, match="NaN"):
            percentile_interval(torch.tensor([1.0, float("nan")]))


class TestShares:
    def test_no_success_bounds_the_share_by_the_rule_of_three(self):
        low, high = binomial_interval(0, 100)
        assert low == 0.0
        assert high == pytest.approx(1 - 0.025 ** (1 / 100))

    def test_more_successes_than_trials_are_refused(self):
        with pytest.raises(InvalidInput, match="got 4 of 3"):
            binomial_interval(4, 3)
