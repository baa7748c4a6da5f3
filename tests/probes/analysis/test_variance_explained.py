"""Shares of variance: as least squares has them, with p-values that are uniform when nothing is."""

import numpy as np
import pytest
import torch
from scipy import stats

from hooks.errors import InvalidInput
from probes.analysis.factor_shifts import within
from probes.analysis.variance_explained import adjusted_r2, variance_explained

QUICK = {"n_resamples": 50, "n_permutations": 39, "seed": 0}
EMOTION = torch.arange(4).repeat(60)
TOPIC = torch.arange(60).repeat_interleave(4) // 6


def drawn(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def adjusted(y, columns) -> float:
    """Adjusted R2 beyond the emotions' means, by dummies and plain least squares."""
    emotions = np.eye(4)[EMOTION]

    def rest(design):
        return float(((y - design @ np.linalg.lstsq(design, y, rcond=None)[0]) ** 2).sum())

    design = np.column_stack([emotions, columns])
    free = len(y) - np.linalg.matrix_rank(design)
    return 1 - rest(design) / rest(emotions) * (len(y) - 4) / free


def test_shares_are_those_of_least_squares_with_dummies():
    x, other = drawn(1, 240), drawn(2, 240)
    y = 0.5 * x + 0.1 * TOPIC + drawn(3, 240) + 5.0 * EMOTION
    shares = variance_explained(
        y, {"x": x[:, None], "other": other[:, None]}, EMOTION, TOPIC, **QUICK
    )
    topics = np.eye(10)[TOPIC]
    full = adjusted(y.numpy(), np.column_stack([topics, x, other]))
    assert shares["x"].value == pytest.approx(adjusted(y.numpy(), x.numpy()))
    assert shares["topic"].value == pytest.approx(adjusted(y.numpy(), topics))
    without_x = adjusted(y.numpy(), np.column_stack([topics, other]))
    assert shares["x"].beyond == pytest.approx(full - without_x, abs=1e-3)
    without_topic = adjusted(y.numpy(), np.column_stack([x, other]))
    assert shares["topic"].beyond == pytest.approx(full - without_topic, abs=1e-3)
    assert shares["x"].low < shares["x"].value < shares["x"].high


@pytest.mark.slow
def test_p_values_of_what_says_nothing_are_uniform():
    p = {"topic": [], "x": []}
    for seed in range(150):
        y, x = drawn(2 * seed, 240), drawn(2 * seed + 1, 240, 1)
        options = {**QUICK, "n_resamples": 2, "seed": seed}
        shares = variance_explained(y, {"x": x}, EMOTION, TOPIC, **options)
        for name, values in p.items():
            values.append(shares[name].p)
    steps = np.random.default_rng(0).uniform(0, 1 / 40, 150)
    for values in p.values():
        assert stats.kstest(np.array(values) - steps, "uniform").pvalue > 0.01


@pytest.mark.slow
def test_what_goes_with_topics_by_chance_is_not_taken_for_an_effect():
    small = []
    for seed in range(60):
        by_topic = drawn(2 * seed, 10)[TOPIC]
        x = drawn(2 * seed + 1, 10)[TOPIC] + 0.3 * drawn(1000 + seed, 240)
        y = 3.0 * by_topic + drawn(2000 + seed, 240)
        shares = variance_explained(y, {"x": x[:, None]}, EMOTION, TOPIC, **{**QUICK, "seed": seed})
        small.append(shares["x"].p <= 0.05)
    assert np.mean(small) < 0.15


def test_all_levels_of_a_category_may_be_given():
    level = torch.randint(3, (240,), generator=torch.Generator().manual_seed(0))
    columns = torch.nn.functional.one_hot(level, 3).double()
    y = columns[:, 1] + 0.1 * drawn(1, 240)
    shares = variance_explained(y, {"level": columns}, EMOTION, TOPIC, **QUICK)
    assert shares["level"].value == pytest.approx(adjusted(y.numpy(), columns.numpy()))


def test_a_factor_that_does_not_vary_within_emotions_has_no_share():
    shares = variance_explained(
        drawn(1, 240), {"same": 7.0 * EMOTION[:, None]}, EMOTION, TOPIC, **QUICK
    )
    assert shares["same"] is None


def test_more_factors_than_stories_are_refused():
    with pytest.raises(InvalidInput, match="more stories"):
        variance_explained(drawn(1, 8), {}, torch.arange(4).repeat(2), torch.arange(8), **QUICK)


def test_one_group_alone_has_the_share_of_plain_regression():
    x = drawn(1, 30, 1)
    y = x[:, 0] + drawn(2, 30)
    r = float(np.corrcoef(x[:, 0], y)[0, 1])
    assert adjusted_r2(y, x) == pytest.approx(1 - (1 - r**2) * 29 / 28)
    assert adjusted_r2(y, torch.ones(30, 1)) is None


def test_within_takes_each_groups_mean_off():
    inside = within(drawn(1, 240, 2), EMOTION)
    assert torch.stack([inside[e == EMOTION].mean(dim=0) for e in range(4)]).abs().max() < 1e-12
