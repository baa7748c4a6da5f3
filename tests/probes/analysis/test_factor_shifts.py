"""Shifts of factors: what adds up to nothing over emotions is found, nothing is invented."""

import pytest
import torch
from torch.nn.functional import one_hot

from probes.analysis import held_out
from probes.analysis.factor_shifts import factor_shifts, on_own, within
from probes.analysis.variance_explained import TOPIC, variance_explained

N_EMOTIONS, N_TOPICS, D = 24, 12, 64


def planted(seed, per_cell, *, topic=0.0, length=0.0):
    """Held-out scores of stories whose topics and lengths add vectors of their own."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator)

    emotion = torch.arange(N_EMOTIONS).repeat_interleave(per_cell).repeat(N_TOPICS)
    of = torch.arange(N_TOPICS).repeat_interleave(N_EMOTIONS * per_cell)
    n_tokens = draw(len(of))
    rows = draw(N_EMOTIONS, D)[emotion] + topic * draw(N_TOPICS, D)[of] + draw(len(of), D)
    rows = held_out.centered(rows + length * n_tokens[:, None] * draw(D))
    design = held_out.Design(
        emotion, of, torch.ones_like(of), held_out.topic_folds(N_TOPICS, 6, 0), N_EMOTIONS
    )
    scored = held_out.held_out_scores(rows, design, [torch.zeros(0, D)] * 6)
    return scored.double(), emotion, of, {"length": n_tokens[:, None].double()}


def shares(seed, per_cell, n_permutations=99, *, with_shift=True, **more):
    scored, emotion, topic, factors = planted(seed, per_cell, **more)
    return variance_explained(
        on_own(scored, emotion),
        factors,
        emotion,
        topic,
        shift=(lambda of: on_own(factor_shifts(scored, of, emotion), emotion))
        if with_shift
        else None,
        n_resamples=10,
        n_permutations=n_permutations,
        seed=seed,
    )


@pytest.mark.parametrize("per_cell", [1, 2])
@pytest.mark.parametrize(
    ("planted_in", "least"),
    [({"topic": 1.0}, 0.4), ({"topic": 2.0}, 0.7), ({"length": 0.5}, 0.1), ({"length": 1.0}, 0.35)],
)
def test_a_vector_that_a_factor_adds_to_all_stories_is_found_though_its_sum_is_nothing(
    per_cell, planted_in, least
):
    [name] = planted_in
    pooled = shares(0, per_cell, with_shift=False, **planted_in)[name]
    assert abs(pooled.value) < 0.05
    share = shares(0, per_cell, **planted_in)[name]
    assert share.value > least
    assert share.p == pytest.approx(0.01)
    assert share.low < share.value < share.high


@pytest.mark.slow
@pytest.mark.parametrize("per_cell", [1, 2])
def test_nothing_is_invented(per_cell):
    n, values, small = 40, {TOPIC: [], "length": []}, {TOPIC: 0, "length": 0}
    for seed in range(100, 100 + n):
        for name, share in shares(seed, per_cell, n_permutations=19).items():
            values[name].append(share.value)
            small[name] += share.p <= 0.05
    for name, each in values.items():
        assert sum(each) / n == pytest.approx(0.0, abs=0.015)
        assert small[name] / n <= 0.15


def test_a_shift_is_what_the_other_emotions_rows_show():
    scored, emotion, topic, _ = planted(3, 1, topic=1.0)
    columns = one_hot(topic).double()
    shift, apart = factor_shifts(scored, columns, emotion), within(scored, emotion)
    others = (emotion != 5) & (topic == 2)
    own = (emotion == 5) & (topic == 2)
    torch.testing.assert_close(shift[own][0], apart[others].mean(dim=0))
    changed = scored.clone()
    changed[emotion == 5] += 100 * torch.randn_like(changed[emotion == 5])
    torch.testing.assert_close(factor_shifts(changed, columns, emotion)[own], shift[own])
