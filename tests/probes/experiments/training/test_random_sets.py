"""Sets of random directions are as alike as the vectors they stand for, and judge them fairly."""

import pytest
import torch

from probes.experiments.training.random_sets import random_sets

D, R = 60, 800


def drawn(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def alike_vectors(n, seed, spread=0.4):
    """Vectors around one direction and its opposite, as emotions are around valence."""
    sides = torch.tensor([1.0, -1.0]).repeat(n)[:n, None]
    return sides * drawn(1, D, seed=seed) + spread * drawn(n, D, seed=seed + 1)


def unit(rows):
    return rows / rows.norm(dim=1, keepdim=True)


VECTORS, RANDOM = alike_vectors(10, seed=1), drawn(R, D, seed=3)


def mixtures(sets, number):
    mixed = sets.mixing @ RANDOM[sets.members[number]]
    return unit(mixed), mixed.norm(dim=1)


def test_scores_are_those_along_the_mixtures_themselves():
    sets = random_sets(VECTORS.float(), RANDOM.float(), seed=0, n_sets=250)
    shift = drawn(D, seed=9)
    along = sets.along(unit(RANDOM) @ shift)
    assert along.shape == (250, 10)
    for number in (0, 120, 249):
        directions, lengths = mixtures(sets, number)
        torch.testing.assert_close(sets.lengths[number], lengths, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(along[number], directions @ shift, rtol=1e-4, atol=1e-4)


def test_directions_of_a_set_are_as_alike_as_the_vectors_on_average():
    sets = random_sets(VECTORS.float(), RANDOM.float(), seed=0, n_sets=300)
    directions = [mixtures(sets, number)[0] for number in range(300)]
    cosine = torch.stack([each @ each.T for each in directions])
    own = unit(VECTORS) @ unit(VECTORS).T
    torch.testing.assert_close(cosine.mean(dim=0), own, rtol=0, atol=0.05)
    assert cosine.std(dim=0).max() < 0.2


def test_each_direction_has_the_covariance_of_the_random_ones():
    loud = RANDOM.clone()
    loud[:, 0] *= 10
    sets = random_sets(VECTORS.float(), loud.float(), seed=0)
    along = sets.along(unit(loud)[:, 0])
    assert along.abs().mean() == pytest.approx(float(unit(loud)[:, 0].abs().mean()), rel=0.1)


def test_the_seed_decides():
    first, again, other = (
        random_sets(VECTORS.float(), RANDOM.float(), seed=it) for it in (0, 0, 1)
    )
    assert torch.equal(first.members, again.members)
    assert not torch.equal(first.members, other.members)
    assert all(len(row.unique()) == 10 for row in first.members[:20])


@pytest.mark.parametrize("scale", [1.0, 8.0])
def test_of_vectors_that_are_such_a_set_one_in_twenty_is_called_large(scale):
    """Whatever the shift, also where few dimensions are loud; the size alone says it more often."""
    loud = torch.ones(D, dtype=torch.float64)
    loud[:3] = scale
    random, shift = drawn(R, D, seed=5) * loud, drawn(D, seed=6)
    sizes = (unit(random) @ shift).square().mean().sqrt()
    large = larger = 0
    for seed in range(200):
        vectors = alike_vectors(12, seed=20 + 2 * seed) * loud
        sets = random_sets(vectors.float(), random.float(), seed=seed, n_sets=200)
        null = sets.along(unit(random) @ shift).square().mean(dim=1).sqrt()
        size = (unit(vectors) @ shift).square().mean().sqrt()
        large += float((null >= size).double().mean()) < 0.05
        larger += bool(size > 1.3 * sizes)
    assert large <= 22
    assert larger > 25
