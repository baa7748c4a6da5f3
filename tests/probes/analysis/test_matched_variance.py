"""Random directions like given ones: the same variance along samples, and cosines like theirs."""

import pytest
import torch

from hooks.errors import InvalidInput
from probes.analysis.matched_variance import Spectrum, draw_alike
from probes.vectors.normalize import normalize

D = 24


@pytest.fixture
def samples():
    generator = torch.Generator().manual_seed(0)
    turn = torch.linalg.qr(torch.randn(D, D, generator=generator))[0]
    return torch.randn(500, D, generator=generator) * torch.logspace(-2, 2, D) @ turn + 3.0


def _drawn(n, seed=1):
    return torch.randn(n, D, generator=torch.Generator().manual_seed(seed))


def test_the_variance_is_that_of_the_samples_projections(samples):
    directions = _drawn(4)
    projected = samples.double() @ normalize(directions.double()).T
    torch.testing.assert_close(Spectrum.of(samples).variance(directions), projected.var(dim=0))


def test_directions_get_the_variance_that_is_asked_for(samples):
    wanted = torch.tensor([0.01, 1.0, 50.0, 2000.0, 6000.0], dtype=torch.float64)
    spectrum = Spectrum.of(samples)
    tilted = spectrum.tilted(_drawn(5), wanted)
    torch.testing.assert_close(spectrum.variance(tilted), wanted, rtol=1e-4, atol=0)
    torch.testing.assert_close(tilted.norm(dim=1), torch.ones(5, dtype=torch.float64))


def test_a_direction_that_has_its_variance_stays_as_it_is(samples):
    spectrum, directions = Spectrum.of(samples), normalize(_drawn(3).double())
    tilted = spectrum.tilted(directions, spectrum.variance(directions))
    torch.testing.assert_close(tilted, directions, atol=1e-5, rtol=0)


def test_more_variance_than_there_is_gives_the_most(samples):
    spectrum = Spectrum.of(samples)
    tilted = spectrum.tilted(_drawn(2), torch.full((2,), 1e9, dtype=torch.float64))
    assert (spectrum.variance(tilted) > 0.9 * spectrum.values.max()).all()


def test_fewer_samples_than_dimensions_will_do(samples):
    spectrum = Spectrum.of(samples[:5])
    wanted = spectrum.values.max().repeat(2) / 3
    variance = spectrum.variance(spectrum.tilted(_drawn(2), wanted))
    torch.testing.assert_close(variance, wanted, rtol=1e-3, atol=0)


def test_sets_are_as_close_to_each_other_as_the_directions_and_lie_elsewhere():
    directions = _drawn(2) @ torch.randn(D, D, generator=torch.Generator().manual_seed(2))
    directions = torch.stack([directions[0], directions[0] + 0.5 * directions[1], directions[1]])
    generator, unit = torch.Generator().manual_seed(3), normalize(directions.double())
    sets = [normalize(draw_alike(torch.eye(D), directions, generator)) for _ in range(400)]
    mean = torch.stack([each @ each.T for each in sets]).mean(dim=0)
    torch.testing.assert_close(mean, unit @ unit.T, atol=0.06, rtol=0)
    own = torch.stack([(each * unit).sum(dim=1) for each in sets])
    assert own.mean(dim=0).abs().max() < 0.05


def test_rows_have_the_covariance_of_the_pool():
    pool = _drawn(6) * torch.logspace(-1, 1, D)
    generator = torch.Generator().manual_seed(4)
    rows = torch.cat([draw_alike(pool, torch.eye(D)[:2], generator) for _ in range(3000)])
    expected = (pool.T @ pool).double()
    assert (rows.T @ rows / len(rows) - expected).norm() < 0.1 * expected.norm()


def test_one_sample_has_no_covariance():
    with pytest.raises(InvalidInput, match="two samples, got 1"):
        Spectrum.of(torch.ones(1, D))
