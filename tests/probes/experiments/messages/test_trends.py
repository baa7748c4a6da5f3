"""Trends with a number: planted ones are trends, a drift of the stream and the numbers are not."""

import pytest
import torch
from scipy import stats

from hooks import InvalidInput
from probes.experiments.messages.trends import judge, spearman

N_TEMPLATES, N_EMOTIONS, STEPS, WIDTH = 12, 20, 10, 30
TEMPLATES = [t for t in range(N_TEMPLATES) for _ in range(2)]
SIGNS = [1, -1] * N_TEMPLATES


def drawn(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def own_of(seed):
    """Two different emotions for each template."""
    generator = torch.Generator().manual_seed(seed)
    pairs = [torch.randperm(N_EMOTIONS, generator=generator)[:2] for _ in range(N_TEMPLATES)]
    return torch.cat(pairs)


def judged(seed, *, drift=0.0, effect=0.0, in_numbers=0.0, n_permutations=199):
    """Messages whose residual drifts with the number, and moves along the expected emotions'."""
    vectors, own = drawn(seed, N_EMOTIONS, WIDTH), own_of(seed)
    dealt = drawn(seed + 1, 99, N_EMOTIONS, WIDTH)
    steps = torch.linspace(-1, 1, STEPS)[:, None]
    away = drift * drawn(seed + 2, N_TEMPLATES, 1, WIDTH)[TEMPLATES]
    toward = (torch.tensor(SIGNS)[:, None] * vectors[own]).unflatten(0, (N_TEMPLATES, 2)).sum(1)
    toward = toward[TEMPLATES][:, None]
    noise = drawn(seed + 3, 2, N_TEMPLATES, STEPS, WIDTH)[:, TEMPLATES]
    messages = noise[0] + steps * (away + effect * toward)
    sentences = noise[1] + steps * in_numbers * toward
    return judge(
        torch.einsum("esd,ad->eas", messages, vectors),
        torch.einsum("esd,ad->eas", sentences, vectors),
        torch.einsum("esd,ned->nes", messages, dealt[:, own]),
        own,
        SIGNS,
        TEMPLATES,
        n_permutations=n_permutations,
        seed=seed,
    )


def test_planted_trends_are_found_and_the_neutral_sentences_are_not():
    trends = judged(0, effect=1.0)
    assert trends.n_expected >= 22
    assert trends.renamed.p == pytest.approx(1 / 200)
    assert trends.shuffled.p == pytest.approx(1 / 100)
    assert trends.p_flips == pytest.approx(1 / 4096)
    assert trends.largest_p == (trends.shuffled.p, 99)
    assert trends.gain.low > 0.3
    assert trends.renamed.count == pytest.approx(12, abs=2)


def test_a_trend_that_the_numbers_alone_have_too_gains_nothing():
    trends = judged(1, effect=1.0, in_numbers=1.0)
    assert trends.renamed.p < 0.05
    assert trends.n_control_expected >= 20
    assert not trends.gain.above_zero


@pytest.mark.parametrize("drift", [0.0, 2.0])
def test_a_drift_in_any_direction_is_called_a_trend_no_more_often_than_p_says(drift):
    """Numbers in another order would call a third of these a trend."""
    runs = [judged(100 * seed, drift=drift, n_permutations=99) for seed in range(100)]
    for p in ("renamed", "shuffled"):
        assert sum(getattr(each, p).p <= 0.05 for each in runs) / len(runs) <= 0.11
    assert sum(each.p_flips <= 0.05 for each in runs) / len(runs) <= 0.11
    assert sum(each.largest_p[0] <= 0.05 for each in runs) / len(runs) <= 0.08
    held = sum(each.estimate.low <= 0 <= each.estimate.high for each in runs) / len(runs)
    assert held >= 0.88


def test_with_a_drift_numbers_in_another_order_are_no_null():
    scrambled = 0
    for seed in range(40):
        vectors, own = drawn(seed, N_EMOTIONS, WIDTH), own_of(seed)
        steps = torch.linspace(-1, 1, STEPS)[:, None]
        away = 2.0 * drawn(seed + 500, N_TEMPLATES, 1, WIDTH)[TEMPLATES]
        messages = drawn(seed + 900, N_TEMPLATES, STEPS, WIDTH)[TEMPLATES] + steps * away
        scores = torch.einsum("esd,ed->es", messages, vectors[own])
        mean = float((torch.tensor(SIGNS) * spearman(scores)).mean())
        null = []
        for _ in range(99):
            order = [torch.randperm(STEPS) for _ in range(N_TEMPLATES)]
            dealt = torch.stack([row[order[t]] for row, t in zip(scores, TEMPLATES, strict=True)])
            null.append(float((torch.tensor(SIGNS) * spearman(dealt)).mean()))
        scrambled += (1 + sum(each >= mean for each in null)) / 100 <= 0.05
    assert scrambled / 40 > 0.15


def test_the_rank_correlation_is_scipys():
    scores = drawn(3, 12, 10).round(decimals=1)  # with ties
    expected = [stats.spearmanr(row, range(10)).statistic for row in scores.tolist()]
    assert spearman(scores).tolist() == pytest.approx(expected)
    assert spearman(torch.ones(1, 5)).tolist() == [0.0]


def test_two_numbers_make_no_trend():
    none = torch.zeros(1, 1, 2)
    with pytest.raises(InvalidInput, match="three numbers"):
        judge(none, none, none, torch.tensor([0]), [1], [0], n_permutations=9, seed=0)
