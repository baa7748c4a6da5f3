"""What a dose costs, and the largest one within a budget."""

import pytest
import torch
from tiny_models import tiny_model, tiny_tokenizer

import hooks
from hooks import InvalidInput
from hooks.scoring import next_tokens
from probes.dosing import Budget, Cost, Gauge, mean_cost, usable_dose

TEXTS = [
    "The old man sat by the window and watched the rain fall on the empty street.",
    "They waited at the station until the last train had gone, and nobody came.",
]
NORMS = torch.tensor([10.0])


@pytest.fixture(scope="module")
def model():
    return hooks.load(tiny_model("llama"), tokenizer=tiny_tokenizer(), backend="huggingface")


@pytest.fixture(scope="module")
def gauge(model):
    return Gauge(model, TEXTS)


@pytest.fixture(scope="module")
def vector(model):
    return torch.randn(model.d_model, generator=torch.Generator().manual_seed(4))


def test_a_dose_of_nothing_costs_nothing_and_more_costs_more(gauge, vector):
    costs = [gauge.cost(vector, dose, layers=[2], residual_norm=NORMS) for dose in (0.0, 0.05, 0.5)]
    assert costs[0].kl == 0
    assert costs[0].perplexity_ratio == 1
    assert costs[0].kl < costs[1].kl < costs[2].kl


def test_kl_and_perplexity_are_those_of_the_steered_model(model, gauge, vector):
    cost = gauge.cost(vector, 0.2, layers=[2], residual_norm=NORMS)
    positions = hooks.Spaced(8, 8)
    plain = next_tokens(model, TEXTS, positions)
    with hooks.steer(model, vector, layers=[2], dose=0.2, residual_norm=10.0):
        steered = next_tokens(model, TEXTS, positions)
    kl = torch.nn.functional.kl_div(
        plain.log_probs, steered.log_probs, log_target=True, reduction="batchmean"
    )
    assert cost.kl == pytest.approx(float(kl), rel=1e-4)
    expected = float(torch.tensor(steered.loss - plain.loss).exp())
    assert cost.perplexity_ratio == pytest.approx(expected, rel=1e-4)


def test_the_largest_dose_is_within_the_budget_and_a_little_more_is_not(gauge, vector):
    # A random model's perplexity may fall under steering: the budget that binds is KL.
    budget = Budget(max_kl=0.05, max_perplexity_ratio=1e9)
    found = gauge.largest(vector, budget, layers=[2], residual_norm=NORMS)
    assert found.within(budget)
    more = gauge.cost(vector, found.dose * 1.2, layers=[2], residual_norm=NORMS)
    assert not more.within(budget)


def test_a_budget_that_nothing_fits_is_refused(gauge, vector):
    with pytest.raises(InvalidInput, match="raise validation.max_kl"):
        gauge.largest(vector, Budget(1e-12, 2.0), layers=[2], residual_norm=NORMS)


def test_the_usable_range_ends_before_the_first_dose_past_the_budget():
    budget = Budget(1.0, 2.0)
    costs = [Cost(0.1, 0.2, 1.1), Cost(0.2, 0.9, 2.5), Cost(0.3, 0.5, 1.5)]
    assert usable_dose(costs, budget) == 0.1
    assert usable_dose(costs[1:], budget) is None


def test_costs_are_averaged_as_losses():
    found = mean_cost([Cost(0.1, 1.0, 1.0), Cost(0.1, 3.0, 4.0)])
    assert (found.dose, found.kl) == (0.1, 2.0)
    assert found.perplexity_ratio == pytest.approx(2.0)
