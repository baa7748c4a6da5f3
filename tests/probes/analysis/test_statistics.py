import math

import numpy as np
import pytest
import torch
from scipy import stats

from hooks.errors import DataError, InvalidInput
from probes.analysis.statistics import (
    correlate,
    double_centered,
    partial_correlation,
    pearson,
    search_components,
    standard_ranks,
)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


class TestPearson:
    @pytest.mark.parametrize("n", [4, 10, 45])
    def test_agrees_with_scipy(self, n):
        x, y = noise(n), noise(n, seed=1) + 0.5 * noise(n)
        estimate, expected = pearson(x, y), stats.pearsonr(x.numpy(), y.numpy())
        interval = expected.confidence_interval(0.95)
        assert estimate.n == n
        assert (estimate.r, estimate.p) == pytest.approx(tuple(expected))
        assert (estimate.low, estimate.high) == pytest.approx((interval.low, interval.high))

    def test_perfect_correlation_has_a_closed_interval(self):
        estimate = pearson(torch.arange(5.0), -2 * torch.arange(5.0))
        assert (estimate.r, estimate.low, estimate.high) == pytest.approx((-1.0, -1.0, -1.0))
        assert estimate.p == pytest.approx(0.0, abs=1e-12)

    def test_three_samples_have_no_interval(self):
        estimate = pearson(torch.tensor([0.0, 1.0, 2.0]), torch.tensor([0.0, 1.0, 0.5]))
        assert estimate.r == pytest.approx(0.5)
        assert math.isnan(estimate.low)
        assert math.isnan(estimate.high)
        assert estimate.p == pytest.approx(2 / 3)

    def test_two_samples_are_too_few(self):
        with pytest.raises(InvalidInput, match="at least 3 samples"):
            pearson(noise(2), noise(2, seed=1))

    @pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
    def test_constant_series_is_an_error(self, value):
        with pytest.raises(DataError, match="Expected y to vary"):
            pearson(noise(5), torch.full((5,), value))

    def test_missing_rating_is_an_error(self):
        with pytest.raises(DataError, match="finite numbers in x"):
            pearson(torch.tensor([1.0, float("nan"), 2.0]), torch.arange(3.0))


class TestPartialCorrelation:
    def test_agrees_with_the_closed_form_for_one_control(self):
        x, y, z = noise(30), noise(30, seed=1), noise(30, seed=2)
        x, y = x + z, y - 2 * z + x
        xy, xz, yz = pearson(x, y).r, pearson(x, z).r, pearson(y, z).r
        expected = (xy - xz * yz) / math.sqrt((1 - xz**2) * (1 - yz**2))
        assert partial_correlation(x, y, z).r == pytest.approx(expected)

    def test_correlation_owed_to_the_control_disappears(self):
        valence = noise(400, seed=2)
        x, y = valence + 0.3 * noise(400), valence + 0.3 * noise(400, seed=1)
        assert pearson(x, y).r > 0.85
        estimate = partial_correlation(x, y, valence)
        assert abs(estimate.r) < 0.1
        assert estimate.low < 0 < estimate.high

    def test_controls_cost_degrees_of_freedom(self):
        x, y, controls = noise(20), noise(20, seed=1), noise(20, 3, seed=2)
        estimate = partial_correlation(x, y, controls)
        t = estimate.r * math.sqrt(15 / (1 - estimate.r**2))
        assert estimate.p == pytest.approx(2 * stats.t.sf(abs(t), 15))
        half = 1.959964 / math.sqrt(20 - 3 - 3)
        assert estimate.low == pytest.approx(math.tanh(math.atanh(estimate.r) - half))

    def test_series_that_repeats_the_control_is_an_error(self):
        z = noise(20)
        with pytest.raises(DataError, match="Expected x to vary beyond"):
            partial_correlation(3 * z + 1, noise(20, seed=1), z)

    def test_a_series_picked_from_several_has_a_wider_interval_and_a_larger_p(self):
        x, y, given = noise(24), noise(24) + noise(24, seed=1), noise(24, seed=2)
        alone, picked = (partial_correlation(x, y, given, n_searched=n) for n in (1, 4))
        assert picked.r == alone.r
        assert picked.p == pytest.approx(1 - (1 - alone.p) ** 4)
        assert picked.low < alone.low and picked.high > alone.high
        width = [math.atanh(each.high) - math.atanh(each.r) for each in (alone, picked)]
        assert width == pytest.approx([1.95996 / 20**0.5, 2.49061 / 20**0.5], abs=1e-4)

    @pytest.mark.slow
    def test_however_a_series_was_picked_the_truth_lies_in_its_interval(self):
        held = []
        for dataset in range(300):
            y, given = noise(24, seed=dataset), noise(24, seed=9000 + dataset)
            candidates = noise(24, 4, seed=5000 + dataset)
            picked = max(candidates.T, key=lambda x: abs(partial_correlation(x, y, given).r))
            estimate = partial_correlation(picked, y, given, n_searched=4)
            held.append(estimate.low <= 0 <= estimate.high)
        assert sum(held) / len(held) >= 0.92

    def test_too_few_samples_for_the_controls_are_refused(self):
        with pytest.raises(InvalidInput, match="at least 5 samples"):
            partial_correlation(noise(4), noise(4, seed=1), noise(4, 2, seed=2))


class TestSearchComponents:
    def test_planted_component_is_found_wherever_it_is_and_aligned(self):
        target = noise(30)
        coordinates = noise(30, 8, seed=1)
        coordinates[:, 5] = -target + 0.2 * noise(30, seed=2)
        best = search_components(coordinates, target, seed=0)
        assert (best.component, best.layer, best.sign) == (5, None, -1)
        assert best.correlation == pytest.approx(-pearson(coordinates[:, 5], target).r)
        assert best.p_corrected == pytest.approx(1 / 2001)
        assert best.n_searched == 8

    def test_search_over_layers_tells_layer_and_component(self):
        target = noise(30)
        coordinates = noise(4, 30, 3, seed=1)
        coordinates[2, :, 1] = target + 0.2 * noise(30, seed=2)
        best = search_components(coordinates, target, n_permutations=99, seed=0)
        assert (best.layer, best.component, best.sign) == (2, 1, 1)
        assert best.n_searched == 12

    def test_the_interval_that_pays_for_the_search_keeps_clear_of_zero_as_often_as_p_says(self):
        outcomes = []
        for dataset in range(200):
            target, coordinates = noise(24, seed=dataset), noise(24, 5, seed=1000 + dataset)
            best = search_components(coordinates, target, n_permutations=400, seed=0)
            assert best.low <= best.correlation <= best.high
            outcomes.append((best.low > 0, best.p_corrected < 0.05))
        assert sum(clear for clear, _ in outcomes) / len(outcomes) < 0.1
        assert sum(clear == small for clear, small in outcomes) / len(outcomes) > 0.95

    def test_three_words_have_no_interval(self):
        best = search_components(noise(3, 2), noise(3, seed=1), n_permutations=9, seed=0)
        assert math.isnan(best.low) and math.isnan(best.high)

    def test_offset_and_scale_of_a_component_do_not_matter(self):
        target, coordinates = noise(12), noise(12, 4, seed=1)
        best = search_components(coordinates, target, seed=0)
        scaled = search_components(
            100 + coordinates * torch.tensor([1.0, 5.0, 0.1, 9.0]), target, seed=0
        )
        assert scaled.component == best.component
        assert scaled.p_corrected == best.p_corrected

    def test_same_seed_gives_the_same_p_value(self):
        target, coordinates = noise(12), noise(12, 4, seed=1)
        p = [search_components(coordinates, target, seed=s).p_corrected for s in (0, 0, 1)]
        assert p[0] == p[1] != p[2]

    def test_corrected_p_of_null_data_is_uniform_and_the_uncorrected_one_is_not(self):
        corrected, uncorrected = [], []
        for dataset in range(200):
            coordinates, target = noise(12, 8, seed=dataset), noise(12, seed=1000 + dataset)
            best = search_components(coordinates, target, n_permutations=99, seed=dataset)
            corrected.append(best.p_corrected)
            uncorrected.append(pearson(coordinates[:, best.component], target).p)
        assert stats.kstest(corrected, "uniform").pvalue > 0.01
        assert np.mean(np.array(corrected) <= 0.05) < 0.09
        assert np.mean(np.array(uncorrected) <= 0.05) > 0.25

    def test_constant_component_is_named(self):
        coordinates = noise(12, 4)
        coordinates[:, 2] = 1.0
        with pytest.raises(DataError, match="component 2"):
            search_components(coordinates, noise(12, seed=1), seed=0)

    def test_no_component_is_refused(self):
        with pytest.raises(InvalidInput, match="word, component"):
            search_components(noise(12, 0), noise(12), seed=0)


class TestRanks:
    def test_products_of_standard_ranks_are_scipys_rank_correlations(self):
        first, second = noise(3, 40).round(decimals=1), noise(3, 40, seed=1).round(decimals=1)
        ours = standard_ranks(first) @ standard_ranks(second).T
        both = stats.spearmanr(first.numpy(), second.numpy(), axis=1).statistic
        torch.testing.assert_close(ours, torch.from_numpy(both[:3, 3:]))

    def test_a_constant_series_has_no_rank_correlation(self):
        assert standard_ranks(torch.full((2, 5), 0.1)).isnan().all()


class TestCorrelate:
    def test_series_are_correlated_one_by_one(self):
        first, second = noise(4, 30), noise(4, 30, seed=1)
        expected = [pearson(x, y).r for x, y in zip(first, second, strict=True)]
        torch.testing.assert_close(correlate(first, second), torch.tensor(expected).double())

    def test_one_series_meets_every_other(self):
        many, one = noise(4, 30), noise(30, seed=1)
        expected = [pearson(row, one).r for row in many]
        torch.testing.assert_close(correlate(many, one), torch.tensor(expected).double())

    def test_a_constant_series_has_none(self):
        assert correlate(torch.zeros(5), noise(5)).isnan()


def test_what_rows_and_columns_add_is_taken_out_of_each_table_of_a_batch():
    tables = noise(3, 4, 5)
    added = noise(3, 4, 1, seed=1) + noise(3, 1, 5, seed=2)
    centered = double_centered(tables + added)
    assert torch.allclose(centered, double_centered(tables))
    assert torch.allclose(centered[1], double_centered(tables[1]))
    for axis in (1, 2):
        assert centered.sum(dim=axis).abs().max() < 1e-12
