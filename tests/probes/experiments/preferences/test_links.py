"""Reading and pushing preferences: planted links are found, noise is not."""

import pytest
import torch
from scipy import stats

from probes.experiments.preferences.bradley_terry import ELO
from probes.experiments.preferences.links import coupling, links
from probes.experiments.preferences.preferences import orders_agree


def _noise(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _links(probe, elo, change, n_permutations=200, seed=0):
    return links(probe, elo, change, n_permutations=n_permutations, seed=seed)


def test_a_vector_that_lies_along_elo_is_found_among_others():
    elo = _noise(0, 40)
    probe = _noise(1, 10, 40)
    probe[3] = elo + 0.5 * _noise(2, 40)
    found = _links(probe, elo, _noise(3, 10, 6))
    assert found[3].p_corrected < 0.01
    assert found[3].low > 0.6
    assert all(link.p_corrected > 0.01 for place, link in enumerate(found) if place != 3)


def test_pushes_are_mean_log_odds_in_elo_points():
    change = torch.tensor([[0.1, 0.3], [-0.2, -0.2]])
    found = _links(_noise(0, 2, 8), _noise(1, 8), change)
    assert found[0].push == pytest.approx(0.2 * ELO, rel=1e-5)
    assert found[1].push == pytest.approx(-0.2 * ELO, rel=1e-5)
    assert found[1].push_low == pytest.approx(found[1].push_high)


def test_coupling_finds_directions_that_push_where_they_read():
    elo = _noise(0, 64)
    weight = torch.linspace(-1, 1, 12)
    probe = weight[:, None] * elo + 0.3 * _noise(1, 12, 64)
    change = weight[:, None] + 0.2 * _noise(2, 12, 8)
    found = coupling(_links(probe, elo, change), n_permutations=500, seed=0)
    assert found is not None
    assert found.r > 0.8
    assert found.p < 0.01


def test_coupling_of_noise_has_uniform_p_values():
    p = []
    for seed in range(60):
        noise = _links(_noise(seed, 10, 16), _noise(seed + 500, 16), _noise(seed + 900, 10, 4), 5)
        found = coupling(noise, n_permutations=199, seed=seed)
        assert found is not None
        p.append(found.p)
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_three_directions_have_no_coupling():
    found = _links(_noise(0, 3, 8), _noise(1, 8), _noise(2, 3, 4))
    assert coupling(found, n_permutations=10, seed=0) is None


def answers(*, activity: float, letter: float, seed: int, n_pairs: int = 400):
    """Log-odds for the first of each pair of a model that follows activities, or letters."""
    liked = activity * _noise(seed, n_pairs)
    lean = letter + 0.5 * _noise(seed + 1, 2, n_pairs)
    return torch.stack([liked + lean[0], liked - lean[1]])


def test_a_model_that_leans_to_a_letter_has_less_than_an_even_chance_of_the_same_choice():
    found = orders_agree(answers(activity=0.0, letter=0.7, seed=0), n_permutations=200, seed=0)
    assert found["same_choice_by_chance"] < 0.3
    assert found["same_choice"] == pytest.approx(found["same_choice_by_chance"], abs=0.05)
    assert found["same_choice_p"] > 0.05
    assert found["says_a"] == pytest.approx(0.7, abs=0.1)


def test_preferences_below_a_lean_are_seen_although_half_of_the_choices_differ():
    found = orders_agree(answers(activity=0.7, letter=0.7, seed=4), n_permutations=200, seed=0)
    assert found["same_choice"] < 0.6
    assert found["same_choice_p"] < 0.01


def test_the_chance_of_the_same_choice_is_what_dealing_gives():
    given = answers(activity=0.3, letter=0.4, seed=7)
    found = orders_agree(given, n_permutations=5, seed=0)
    as_a, as_b = given > 0
    dealt = [
        float((as_a == as_b[_noise(seed, 400).argsort()]).double().mean()) for seed in range(200)
    ]
    assert found["same_choice_by_chance"] == pytest.approx(sum(dealt) / 200, abs=0.01)
