"""One direction: the cosine that two ways would have without noise, topics in common or not."""

import pytest
import torch

from probes.experiments.expression.one_direction import compare_ways
from probes.experiments.expression.ways import Way

N, WIDTH = 40, 200


def draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def made(seed, own, units, *, noise=2.0, cells=0.0):
    n = len(units)
    rows = own + 2 * draw(seed, n, 1, WIDTH) + noise * draw(seed + 1, n, N, WIDTH) + cells
    emotion, unit = torch.arange(N).repeat(n), torch.arange(n).repeat_interleave(N)
    return Way.of(rows.flatten(0, 1), emotion, unit, torch.tensor(units), N)


def mixed(alike, seed):
    common, own = draw(50, N, WIDTH), draw(seed, N, WIDTH)
    return alike**0.5 * common + (1 - alike) ** 0.5 * own


def compared(first, second):
    pair = compare_ways(("said", "shown"), first, second, 30, 0)
    assert pair is not None
    return pair


@pytest.mark.parametrize("alike", [0.0, 0.5, 1.0])
def test_the_cosine_without_noise_is_that_of_the_directions(alike):
    first = made(0, mixed(alike, 60), range(8))
    second = made(10, mixed(alike, 61), range(8, 16))
    pair = compared(first, second)
    low, high = pair.without_noise.ends
    assert pair.without_noise.value == pytest.approx(alike, abs=0.06)
    assert low < alike + 0.03 and high > alike - 0.03
    # 8 units: a signal of 1 beside a noise of 4 / 8.
    assert pair.reliability == pytest.approx((2 / 3, 2 / 3), abs=0.04)
    assert pair.cosine == pytest.approx(2 / 3 * alike, abs=0.05)


def test_what_stories_share_with_what_they_carry_topic_by_topic_is_no_direction():
    plots = 3 * draw(70, 8, N, WIDTH)
    first = made(0, mixed(0, 60), range(8), cells=plots)
    second = made(10, mixed(0, 61), range(8), cells=plots)
    assert compared(first, second).without_noise.value == pytest.approx(0, abs=0.12)
    assert compared(first, second).cosine > 0.3


def test_emotions_with_one_direction_come_before_those_with_two():
    own = torch.cat([mixed(1, 60)[: N // 2], mixed(0, 60)[N // 2 :]])
    other = torch.cat([mixed(1, 61)[: N // 2], mixed(0, 61)[N // 2 :]])
    pair = compared(made(0, own, range(8)), made(10, other, range(8, 16)))
    ordered = pair.ordered([f"{n:02}" for n in range(N)])
    assert {name for name, _ in ordered[: N // 2]} == {f"{n:02}" for n in range(N // 2)}


def test_emotions_without_reliable_vectors_are_not_compared():
    nothing = made(0, torch.zeros(N, WIDTH), range(8))
    pair = compare_ways(("said", "shown"), nothing, made(10, mixed(1, 60), range(8, 16)), 30, 0)
    assert pair is None or pair.by_emotion.count(None) > 0.9 * N


def test_one_unit_has_no_halves():
    one = made(0, mixed(1, 60), [0])
    assert compare_ways(("said", "shown"), one, made(10, mixed(1, 60), [1, 2]), 30, 0) is None
