"""Trends with a number: planted ones are trends, those of the numbers alone are not credited."""

import pytest
import torch
from scipy import stats

from hooks import InvalidInput
from probes.experiments.messages.trends import judge, spearman

SIGNS = [1, -1] * 6
TEMPLATES = [t for t in range(6) for _ in range(2)]


def _noise(seed, n=12, steps=10):
    return torch.randn(n, steps, generator=torch.Generator().manual_seed(seed))


def _judge(scores, control, n_permutations=300, seed=0):
    return judge(
        scores,
        control,
        SIGNS,
        TEMPLATES,
        n_permutations=n_permutations,
        n_bootstrap=2000,
        seed=seed,
    )


def _rising():
    return torch.tensor(SIGNS)[:, None] * torch.arange(10.0)


def test_planted_trends_are_found_and_the_neutral_sentences_are_not():
    trends = _judge(_noise(0) + _rising(), _noise(1))
    assert trends.n_expected == 12
    assert trends.p < 0.01
    assert trends.p_count < 0.01
    assert trends.gain_interval[0] > 0.5
    assert abs(trends.scrambled_count - 6) < 0.5


def test_a_trend_that_the_numbers_alone_have_too_gains_nothing():
    both = _noise(2) + _rising()
    trends = _judge(both, both)
    assert trends.n_expected == trends.n_control_expected == 12
    assert trends.gain == 0.0
    assert trends.gain_interval == (0.0, 0.0)


def test_the_rank_correlation_is_scipys():
    scores = _noise(3).round(decimals=1)  # with ties
    expected = [stats.spearmanr(row, range(10)).statistic for row in scores.tolist()]
    assert spearman(scores).tolist() == pytest.approx(expected)
    assert spearman(torch.ones(1, 5)).tolist() == [0.0]


def test_p_values_of_noise_are_uniform():
    p = [_judge(_noise(seed), _noise(seed), 99, seed).p for seed in range(200)]
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_two_numbers_make_no_trend():
    with pytest.raises(InvalidInput, match="three numbers"):
        _judge(_noise(0, steps=2), _noise(0, steps=2))
