"""Orders of a pair: a lean to a letter is no preference, and preferences below a lean are seen."""

import pytest
import torch

from probes.experiments.preferences.orders import compare_orders


def _noise(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def answers(*, activity: float, letter: float, seed: int, n_pairs: int = 400):
    """Log-odds for the first of each pair of a model that follows activities, or letters."""
    liked = activity * _noise(seed, n_pairs)
    lean = letter + 0.5 * _noise(seed + 1, 2, n_pairs)
    return torch.stack([liked + lean[0], liked - lean[1]])


def test_a_model_that_leans_to_a_letter_has_less_than_an_even_chance_of_the_same_choice():
    agreement = compare_orders(
        answers(activity=0.0, letter=0.7, seed=0), n_permutations=200, seed=0
    )
    assert agreement.same_choice_by_chance < 0.3
    assert agreement.same_choice == pytest.approx(agreement.same_choice_by_chance, abs=0.05)
    assert agreement.same_choice_p > 0.05
    assert agreement.says_a == pytest.approx(0.7, abs=0.1)


def test_preferences_below_a_lean_are_seen_although_half_of_the_choices_differ():
    agreement = compare_orders(
        answers(activity=0.7, letter=0.7, seed=4), n_permutations=200, seed=0
    )
    assert agreement.same_choice < 0.6
    assert agreement.same_choice_p < 0.01


def test_the_chance_of_the_same_choice_is_what_dealing_gives():
    given = answers(activity=0.3, letter=0.4, seed=7)
    agreement = compare_orders(given, n_permutations=5, seed=0)
    as_a, as_b = given > 0
    dealt = [
        float((as_a == as_b[_noise(seed, 400).argsort()]).double().mean()) for seed in range(200)
    ]
    assert agreement.same_choice_by_chance == pytest.approx(sum(dealt) / 200, abs=0.01)


def test_agreement_beyond_chance_is_an_interval_above_zero():
    agree = compare_orders(answers(activity=1.0, letter=0.2, seed=1), n_permutations=5, seed=0)
    assert agree.beyond_chance and not agree.leans
    lean = compare_orders(answers(activity=0.0, letter=0.7, seed=2), n_permutations=5, seed=0)
    assert not lean.beyond_chance and lean.leans
    same = compare_orders(torch.ones(2, 5), n_permutations=5, seed=0)
    assert same.r is None and not same.beyond_chance
