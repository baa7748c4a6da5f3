"""Likeness of two sets of vectors, against closed forms and planted truths."""

import pytest
import torch
from scipy.spatial import procrustes as scipy_procrustes
from scipy.stats import kstest, spearmanr

from hooks import DataError, InvalidInput
from probes.analysis import similarity
from probes.vectors.normalize import normalize

MEASURES = [similarity.rsa, similarity.cka, similarity.procrustes]


def random(n=16, d=40, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rotation(d, seed=1):
    return torch.linalg.qr(random(d, d, seed)).Q


def test_a_rotated_copy_is_the_same():
    first = random()
    second = first @ rotation(40) * 3
    values = [measure(first, second, n_resamples=50, seed=0) for measure in MEASURES]
    assert [comparison.value for comparison in values] == pytest.approx([1, 1, 0], abs=1e-6)
    assert all(comparison.p == pytest.approx(1 / 51) for comparison in values)
    cosine = similarity.mean_cosine(first, second, n_resamples=50, seed=0)
    assert abs(cosine.value) < 0.2  # another basis: this one must not see the likeness
    assert similarity.mean_cosine(first, first, n_resamples=50, seed=0).value == pytest.approx(1)


def test_other_numbers_of_dimensions_can_be_compared():
    first = random(d=12)
    wide = torch.cat([first, torch.zeros(16, 20, dtype=torch.float64)], dim=1) @ rotation(32)
    values = [measure(first, wide, n_resamples=20, seed=0).value for measure in MEASURES]
    assert values == pytest.approx([1, 1, 0], abs=1e-6)
    with pytest.raises(InvalidInput, match="one basis"):
        similarity.mean_cosine(first, wide, seed=0)


@pytest.mark.parametrize("measure", [*MEASURES, similarity.mean_cosine])
def test_unrelated_vectors_are_near_the_null_and_its_p_values_are_uniform(measure):
    comparisons = [
        measure(random(seed=2 * k), random(seed=2 * k + 1), n_resamples=60, seed=k)
        for k in range(40)
    ]
    assert kstest([one.p for one in comparisons], "uniform").pvalue > 0.01
    gaps = torch.tensor([one.value - one.null_mean for one in comparisons])
    assert abs(gaps.mean()) < 0.06


def test_unrelated_vectors_have_no_cka_though_dimensions_outnumber_emotions():
    values = [
        similarity.cka(random(12, 600, 2 * k), random(12, 600, 2 * k + 1), n_resamples=1, seed=0)
        for k in range(20)
    ]
    assert abs(sum(one.value for one in values)) / 20 < 0.1


def test_rsa_and_procrustes_agree_with_scipy():
    first, second = random(seed=3), random(seed=3) + random(seed=4)
    row, column = torch.triu_indices(16, 16, offset=1)
    one, two = normalize(first), normalize(second)
    expected = spearmanr((one @ one.T)[row, column], (two @ two.T)[row, column]).statistic
    assert similarity.rsa(first, second, n_resamples=1, seed=0).value == pytest.approx(expected)
    disparity = scipy_procrustes(one.numpy(), two.numpy())[2]
    comparison = similarity.procrustes(first, second, n_resamples=1, seed=0)
    assert comparison.value == pytest.approx(disparity)


def test_the_interval_covers_what_more_emotions_would_show():
    """A planted mean cosine: shared part 3, own part 4 of length, so 9 / (9 + 16)."""
    covered = 0
    for k in range(60):
        shared, own, other = (normalize(random(20, 400, 3 * k + j)) for j in range(3))
        first, second = 3 * shared + 4 * own, 3 * shared + 4 * other
        comparison = similarity.mean_cosine(first, second, n_resamples=100, seed=k)
        covered += comparison.low <= 9 / 25 <= comparison.high
    assert 50 <= covered <= 60


def test_partly_alike_is_between_and_the_null_does_not_reach_it():
    first, second = random(seed=5), random(seed=5) + 0.7 * random(seed=6)
    for measure in MEASURES:
        comparison = measure(first, second, n_resamples=100, seed=0)
        assert comparison.low < comparison.value < comparison.high
        assert comparison.p < 0.02
        outside = comparison.value > comparison.null_bound
        assert outside != (measure is similarity.procrustes)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(InvalidInput, match="at least 8 shared"):
        similarity.rsa(random(5), random(5), seed=0)
    broken = random()
    broken[2] = float("nan")
    with pytest.raises(DataError, match="finite"):
        similarity.cka(broken, random(), seed=0)


def test_each_emotion_has_its_own_cosine():
    first = random()
    second = first.clone()
    second[3] = -second[3]
    cosines = similarity.own_cosines(first, second)
    assert cosines[3] == pytest.approx(-1)
    assert cosines[[0, 1, 2, *range(4, 16)]].tolist() == pytest.approx([1] * 15)


def test_layers_are_compared_each_with_each():
    first = torch.stack([random(seed=1), random(seed=2)])
    second = torch.stack([first[1] @ rotation(40), first[0], random(seed=3)])
    table = similarity.rsa_by_layer(first, second)
    assert table.shape == (2, 3)
    assert [table[0, 1], table[1, 0]] == pytest.approx([1, 1])
    assert table[0, 2] == pytest.approx(
        similarity.rsa(first[0], second[2], n_resamples=1, seed=0).value
    )
