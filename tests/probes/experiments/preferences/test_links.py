"""Reading and pushing preferences: planted links are linked, noise is not."""

import pytest
import torch
from scipy import stats

from probes.experiments.preferences.bradley_terry import ELO
from probes.experiments.preferences.links import coupling, links


def _noise(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _links(probe, elo, change, n_permutations=200, seed=0):
    return links(probe, elo, change, n_permutations=n_permutations, seed=seed)


def test_a_vector_that_lies_along_elo_is_found_among_others():
    elo = _noise(0, 40)
    probe = _noise(1, 10, 40)
    probe[3] = elo + 0.5 * _noise(2, 40)
    linked = _links(probe, elo, _noise(3, 10, 6))
    assert linked[3].p_corrected < 0.01
    assert linked[3].low > 0.6
    assert all(link.p_corrected > 0.01 for place, link in enumerate(linked) if place != 3)


def test_pushes_are_mean_log_odds_in_elo_points():
    change = torch.tensor([[0.1, 0.3], [-0.2, -0.2]])
    linked = _links(_noise(0, 2, 8), _noise(1, 8), change)
    assert linked[0].push == pytest.approx(0.2 * ELO, rel=1e-5)
    assert linked[1].push == pytest.approx(-0.2 * ELO, rel=1e-5)
    assert linked[1].push_low == pytest.approx(linked[1].push_high)


def test_directions_that_were_not_steered_with_are_read_and_not_coupled():
    elo, probe, change = _noise(1, 8), _noise(0, 6, 8), _noise(2, 4, 5)
    steered = [5, 0, 3, 2]
    options = {"n_permutations": 50, "seed": 0}
    linked = links(probe, elo, change, steered=steered, **options)
    alone = links(probe[steered], elo, change, **options)
    assert [linked[1].pushed, linked[4].pushed] == [None, None]
    for number, link in zip(steered, alone, strict=True):
        assert (linked[number].r, linked[number].pushed) == (link.r, link.pushed)
        # More directions were looked at.
        assert linked[number].p_corrected >= link.p_corrected
    joined = coupling(linked, n_permutations=50, seed=0)
    assert joined is not None and joined.n == 4
    assert joined.r == pytest.approx(coupling(alone, n_permutations=50, seed=0).r)


def test_coupling_finds_directions_that_push_where_they_read():
    elo = _noise(0, 64)
    weight = torch.linspace(-1, 1, 12)
    probe = weight[:, None] * elo + 0.3 * _noise(1, 12, 64)
    change = weight[:, None] + 0.2 * _noise(2, 12, 8)
    joined = coupling(_links(probe, elo, change), n_permutations=500, seed=0)
    assert joined is not None
    assert joined.r > 0.8
    assert joined.p < 0.01


def test_coupling_of_noise_has_uniform_p_values():
    p = []
    for seed in range(60):
        noise = _links(_noise(seed, 10, 16), _noise(seed + 500, 16), _noise(seed + 900, 10, 4), 5)
        joined = coupling(noise, n_permutations=199, seed=seed)
        assert joined is not None
        p.append(joined.p)
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_three_directions_have_no_coupling():
    linked = _links(_noise(0, 3, 8), _noise(1, 8), _noise(2, 3, 4))
    assert coupling(linked, n_permutations=10, seed=0) is None
