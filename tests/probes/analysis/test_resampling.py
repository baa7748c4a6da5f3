"""Draws follow the seed, permutations keep to their groups, and p-values count the data."""

import pytest
import torch
from scipy import stats

from hooks import DataError, InvalidInput
from probes.analysis.resampling import (
    permutation_p_value,
    permute_within,
    resample,
    sign_flip_p_value,
    topic_counts,
)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


GROUPS = torch.tensor([2, 0, 1, 0, 2, 2, 0])
LABELS = torch.tensor([10, 11, 12, 13, 14, 15, 16])


class TestPermutations:
    def test_no_label_leaves_its_group_and_none_is_lost(self):
        permuted = permute_within(LABELS, GROUPS, 50, seed=1)
        for group in range(3):
            members = group == GROUPS
            expected = LABELS[members].expand(50, -1)
            assert torch.equal(permuted[:, members].sort(dim=1).values, expected)

    def test_every_order_of_a_group_is_as_likely(self):
        permuted = permute_within(LABELS, GROUPS, 6000, seed=0)[:, GROUPS == 0]
        _, counts = permuted.unique(dim=0, return_counts=True)
        assert len(counts) == 6
        assert (counts - 1000).abs().max() < 120

    def test_without_groups_all_rows_are_exchangeable(self):
        whole = permute_within(LABELS, None, 20, seed=3)
        assert torch.equal(whole, permute_within(LABELS, torch.zeros(7).long(), 20, seed=3))
        assert torch.equal(whole.sort(dim=1).values, LABELS.expand(20, -1))

    def test_values_of_any_kind_are_permuted_as_their_rows_are(self):
        values = torch.randn(7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        rows = permute_within(torch.arange(7), GROUPS, 5, seed=2)
        assert torch.equal(permute_within(values, GROUPS, 5, seed=2), values[rows])

    def test_the_seed_decides_and_a_generator_goes_on(self):
        assert torch.equal(
            permute_within(LABELS, GROUPS, 5, seed=2), permute_within(LABELS, GROUPS, 5, seed=2)
        )
        generator = torch.Generator().manual_seed(2)
        first, second = (permute_within(LABELS, None, 5, generator) for _ in range(2))
        assert torch.equal(first, permute_within(LABELS, None, 5, 2))
        assert not torch.equal(first, second)

    def test_the_draws_are_those_of_sorted_random_keys(self):
        keys = torch.rand(4, 7, generator=torch.Generator().manual_seed(5))
        assert torch.equal(
            permute_within(LABELS, None, 4, 5, keys=torch.float32), LABELS[keys.argsort(dim=1)]
        )

    def test_nothing_to_permute_is_refused(self):
        with pytest.raises(InvalidInput, match="one permutation, got 7 and 0"):
            permute_within(LABELS, None, 0, seed=0)


class TestResampling:
    def test_indices_cover_the_units_and_follow_the_seed(self):
        draws = resample(5, 200, seed=1)
        assert draws.shape == (200, 5)
        assert draws.unique().tolist() == [0, 1, 2, 3, 4]
        assert torch.equal(draws, resample(5, 200, seed=1))
        assert not torch.equal(draws, resample(5, 200, seed=2))

    def test_no_unit_is_refused(self):
        with pytest.raises(InvalidInput, match="one unit and one resample, got 0"):
            resample(0, 10, seed=0)

    def test_topics_are_drawn_as_often_as_there_are_and_empty_ones_never(self):
        counts = topic_counts(torch.tensor([0, 3, 3, 1]), 50, seed=0)
        assert counts.shape == (50, 4)
        assert (counts.sum(dim=1) == 3).all()
        assert (counts[:, 2] == 0).all()


class TestPermutationPValue:
    null = torch.tensor([-2.0, -1.0, 0.0, 1.0])

    @pytest.mark.parametrize(
        ("alternative", "p"), [("greater", 2 / 5), ("less", 1.0), ("two-sided", 4 / 5)]
    )
    def test_counts_the_observed_order_and_ties(self, alternative, p):
        assert permutation_p_value(1.0, self.null, alternative) == pytest.approx(p)

    def test_is_never_zero(self):
        assert permutation_p_value(9.0, self.null, "greater") == pytest.approx(1 / 5)
        assert permutation_p_value(-9.0, self.null, "two-sided") == pytest.approx(2 / 5)

    def test_tie_up_to_rounding_is_a_tie(self):
        null = torch.tensor([0.1 + 0.2], dtype=torch.float64)
        assert permutation_p_value(0.3, null, "less") == 1.0
        assert permutation_p_value(0.1 + 0.2, null - 1e-16, "greater") == 1.0

    @pytest.mark.parametrize("alternative", ["greater", "less"])
    def test_null_data_give_uniform_p_values(self, alternative):
        p = []
        for dataset in range(200):
            draws = noise(100, seed=dataset)
            p.append(permutation_p_value(float(draws[0]), draws[1:], alternative))
        assert stats.kstest(p, "uniform").pvalue > 0.01

    def test_empty_null_and_nan_are_refused(self):
        with pytest.raises(InvalidInput, match="at least one permutation"):
            permutation_p_value(1.0, torch.zeros(0), "greater")
        with pytest.raises(DataError, match="NaN"):
            permutation_p_value(float("nan"), self.null, "greater")


class TestSignFlips:
    def test_few_units_are_flipped_in_all_ways(self):
        p, n = sign_flip_p_value(torch.tensor([1.0, 2.0, 4.0]), seed=0)
        assert (p, n) == (1 / 8, 7)
        # Sums of +-1, +-2, +-4 that reach -1 + 2 + 4: itself and 7.
        assert sign_flip_p_value(torch.tensor([-1.0, 2.0, 4.0]), seed=0)[0] == 2 / 8

    def test_many_units_are_flipped_in_drawn_ways_that_follow_the_seed(self):
        values = noise(20)
        p, n = sign_flip_p_value(values, seed=1)
        assert (p, n) == sign_flip_p_value(values, seed=1)
        assert n == 2**14
        assert p == pytest.approx(stats.norm.sf(float(values.sum() / values.norm())), abs=0.02)

    def test_no_unit_is_refused(self):
        with pytest.raises(InvalidInput, match="at least one permutation"):
            sign_flip_p_value(torch.zeros(0), seed=0)
