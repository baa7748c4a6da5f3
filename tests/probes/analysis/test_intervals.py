"""Intervals: around their number, and as often over the truth as they say."""

import pytest
import torch
from scipy import stats

from hooks.errors import DataError, InvalidInput
from probes.analysis import held_out
from probes.analysis.findings import Estimate
from probes.analysis.geometry import adjusted_rand_index, kmeans_labels
from probes.analysis.intervals import (
    binomial_interval,
    estimate_from_spread,
    mean_of_draws,
    mean_over,
    mean_over_crossed,
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


@pytest.mark.slow
def test_agreement_of_clusters_lies_in_its_interval_which_holds_what_other_topics_give(experiments):
    average = sum(value for value, _ in experiments) / len(experiments)
    estimates = [estimate_from_spread(value, drawn, N_TOPICS) for value, drawn in experiments]
    assert all(each.low <= each.value <= each.high for each in estimates)
    assert sum(each.low <= average <= each.high for each in estimates) / len(estimates) >= 0.87


@pytest.mark.slow
def test_topics_drawn_again_agree_less_than_all_so_where_they_lie_is_no_interval(experiments):
    where = [(value, *map(float, percentile_interval(drawn))) for value, drawn in experiments]
    assert sum(low <= value <= high for value, low, high in where) / len(where) < 0.85


@pytest.mark.slow
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


def coverage(truth, ends):
    return sum(low <= truth <= high for low, high in ends) / len(ends)


@pytest.mark.slow
@pytest.mark.parametrize("n", [6, 8, 12, 24])
class TestFewUnits:
    """2,000 samples each: the standard error of a coverage of 95% is half a point."""

    def values(self, n, *more):
        generator = torch.Generator().manual_seed(n)
        return torch.randn(2000, n, *more, generator=generator, dtype=torch.float64)

    def test_means_over_units_cover_and_percentiles_do_not(self, n):
        samples = self.values(n)
        assert 0.93 <= coverage(0, [mean_over(each).ends for each in samples]) <= 0.97
        draws = resample(n, 300, seed=0)
        low, high = percentile_interval(samples[:, draws].mean(dim=2).T)
        by_percentile = float(((low <= 0) & (high >= 0)).double().mean())
        assert by_percentile < {6: 0.88, 8: 0.91, 12: 0.935, 24: 0.95}[n]

    def test_rows_of_a_unit_count_as_one(self, n):
        own, unit = self.values(n), torch.arange(n).repeat_interleave(5)
        rows = own[:, unit] + 0.5 * self.values(5 * n)
        assert 0.93 <= coverage(0, [mean_over(each, unit).ends for each in rows]) <= 0.97

    def test_units_of_other_sizes(self, n):
        unit = torch.cat([torch.arange(n), *[torch.arange(n // 2)] * 3])
        rows = self.values(n)[:, unit] + self.values(len(unit))
        assert 0.92 <= coverage(0, [mean_over(each, unit).ends for each in rows]) <= 0.97

    def test_shares_cover(self, n):
        generator = torch.Generator().manual_seed(n)
        right = (torch.rand(2000, n, 24, generator=generator) < 0.2).double()
        unit = torch.arange(n).repeat_interleave(24)
        ends = [mean_over(each.flatten(), unit, within=(0.0, 1.0)).ends for each in right]
        assert 0.92 <= coverage(0.2, ends) <= 0.97

    @pytest.mark.parametrize("others", [(8,), (50,), (8, 4)])
    def test_crossed_units_cover(self, n, others):
        table = self.values(n, *others)[:600]
        generator = torch.Generator().manual_seed(1)
        for axis, size in enumerate((n, *others), start=1):
            shape = [600, *[1] * (1 + len(others))]
            shape[axis] = size
            table = table + torch.randn(*shape, generator=generator, dtype=torch.float64)
        ends = [mean_over_crossed(each).ends for each in table]
        assert 0.92 <= coverage(0, ends) <= 0.98


def test_a_mean_over_rows_is_students_interval():
    values = normal(12)
    estimate = mean_over(values)
    expected = stats.t.interval(0.95, 11, float(values.mean()), stats.sem(values.numpy()))
    assert estimate.ends == pytest.approx(expected)
    assert mean_over_crossed(values).ends == pytest.approx(expected)
    assert mean_over_crossed(values[:, None]).ends == pytest.approx(expected)


def test_one_unit_has_no_interval_and_nan_is_refused():
    alone = mean_over(torch.tensor([0.25, 0.75]), torch.tensor([3, 3]))
    assert alone == Estimate(0.5)
    assert mean_over_crossed(torch.ones(1, 1)) == Estimate(1.0)
    for mean in (mean_over, mean_over_crossed):
        with pytest.raises(DataError, match="NaN"):
            mean(torch.tensor([0.0, float("nan")]))


def test_refits_add_a_quarter_of_their_variance_and_ends_are_cut():
    values, again = normal(8), torch.tensor([0.0, 2.0], dtype=torch.float64)
    plain, wide = mean_over(values), mean_over(values, refits=again)
    half, wider = ((each.high - each.low) / 2 / stats.t.ppf(0.975, 7) for each in (plain, wide))
    assert wider**2 == pytest.approx(half**2 + 2.0 / 4)
    assert mean_over(values, within=(-0.1, 0.1)).ends[1] == max(0.1, plain.value)


@pytest.mark.slow
@pytest.mark.parametrize("n_topics", [6, 24])
def test_accuracies_of_vectors_learned_from_the_same_topics_cover(n_topics):
    """150 sets of stories, all drawn anew; the truth is their mean accuracy."""
    emotion = torch.arange(10).repeat(2 * n_topics)
    topic = torch.arange(n_topics).repeat_interleave(20)
    folds = held_out.topic_folds(n_topics, 6, 0)
    of = held_out.Design(emotion, topic, torch.ones_like(topic), folds, 10)
    generator = torch.Generator().manual_seed(0)
    own = 0.4 * torch.randn(10, 24, generator=generator)
    values, with_refits, without = [], [], []
    for seed in range(150):
        cells = 0.7 * torch.randn(n_topics, 10, 24, generator=generator)
        noise = torch.randn(len(emotion), 24, generator=generator)
        rows = held_out.centered(own[emotion] + cells[topic, emotion] + noise)

        def hits(weight, rows=rows):
            scored = held_out.held_out_scores(rows, of, [torch.zeros(0, 24)] * 6, weight)
            return (held_out.rank_of(scored, emotion) == 0).double()

        first = hits(torch.ones(n_topics))
        weights = held_out.topics_drawn_again(of, 15, seed)
        refits = torch.stack([hits(weight).mean() for weight in weights])
        values.append(float(first.mean()))
        with_refits.append(mean_over(first, topic, refits=refits).ends)
        without.append(mean_over(first, topic).ends)
    truth = sum(values) / len(values)
    assert 0.925 <= coverage(truth, with_refits) <= 0.985
    assert coverage(truth, without) < coverage(truth, with_refits)


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
