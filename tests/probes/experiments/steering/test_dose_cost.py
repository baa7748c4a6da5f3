"""What a dose costs, and the largest one within a budget."""

import pytest
import torch
from tiny_models import tiny_model, tiny_tokenizer

import hooks
from hooks import InvalidInput
from hooks.reading.scoring import next_tokens
from probes.experiments.steering.dose_cost import Budget, Cost, SteeringCost, on_texts, usable_dose

TEXTS = [
    "The old man sat by the window and watched the rain fall on the empty street.",
    "They waited at the station until the last train had gone, and nobody came.",
]
NORMS = 10.0


@pytest.fixture(scope="module")
def model():
    return hooks.load(tiny_model("llama"), tokenizer=tiny_tokenizer(), backend="huggingface")


@pytest.fixture(scope="module")
def gauge(model):
    return SteeringCost(model, TEXTS)


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
    positions = hooks.Spaced(8, 24)
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
    search = gauge.largest(vector, budget, layers=[2], residual_norm=NORMS)
    assert search.cost.within(budget)
    assert not search.capped
    more = gauge.cost(vector, search.cost.dose * 1.2, layers=[2], residual_norm=NORMS)
    assert not more.within(budget)


def test_a_search_that_the_budget_does_not_end_says_so(gauge, vector):
    search = gauge.largest(vector, Budget(1e9, 1e9), layers=[2], residual_norm=NORMS)
    assert search.capped
    assert search.cost.dose == 1.6


def test_a_clamp_that_costs_less_at_a_larger_dose_is_searched_beyond_the_first_past(model):
    gauge = SteeringCost(model, TEXTS)
    stream = hooks.resid_post(model, TEXTS[0], layers=[2]).resid[0]
    direction = stream.mean(dim=0)
    usual = float((stream @ (direction / direction.norm())).mean())
    how = {"layers": [2], "residual_norm": usual, "operation": "clamp"}
    # At a dose of one the stream is set to about what it is anyway; small doses remove it.
    costs = {dose: gauge.cost(direction, dose, **how).kl for dose in (0.05, 0.8, 1.6)}
    assert costs[0.8] < costs[0.05]
    budget = Budget(max_kl=(costs[0.8] + costs[0.05]) / 2, max_perplexity_ratio=1e9)
    search = gauge.largest(direction, budget, **how)
    assert search.cost.dose >= 0.8
    assert search.cost.within(budget)


def test_directions_that_take_turns_cost_what_each_costs_on_its_texts(model, vector):
    gauge = SteeringCost(model, TEXTS)
    both = torch.stack([vector, -vector.roll(3)])
    mean = gauge.mean_cost(both, 0.3, layers=[2], residual_norm=10.0)
    apart = [
        SteeringCost(model, [text]).cost(direction, 0.3, layers=[2], residual_norm=NORMS)
        for text, direction in zip(TEXTS, both, strict=True)
    ]
    ends = sorted(cost.kl for cost in apart)
    assert ends[0] < mean.kl < ends[1]
    assert mean.kl == pytest.approx(sum(ends) / 2, rel=0.1)
    assert mean.kl_interval[0] <= mean.kl <= mean.kl_interval[1]
    assert apart[0].kl_interval is None, "one text has no interval"
    low, high = mean.perplexity_interval
    assert low <= mean.perplexity_ratio <= high


def test_only_the_tokens_that_stand_for_the_prompt_are_steered(gauge, vector):
    how = {"layers": [0], "residual_norm": NORMS}
    full = gauge.cost(vector, 0.5, **how)
    prompt, _ = on_texts("prompt")
    last, words = on_texts("last")
    assert words.startswith("1 token before")
    costs = [gauge.cost(vector, 0.5, positions=it, **how).kl for it in (last, prompt)]
    assert 0 < costs[0] < costs[1] < full.kl
    assert on_texts("generated")[0] == on_texts("all")[0] == "all"


def test_a_budget_that_nothing_fits_is_refused(gauge, vector):
    with pytest.raises(InvalidInput, match="raise validation.max_kl"):
        gauge.largest(vector, Budget(1e-12, 2.0), layers=[2], residual_norm=NORMS)


def test_the_usable_range_ends_before_the_first_dose_past_the_budget():
    budget = Budget(1.0, 2.0)
    costs = [Cost(0.1, 0.2, 1.1), Cost(0.2, 0.9, 2.5), Cost(0.3, 0.5, 1.5)]
    assert usable_dose(costs, budget) == 0.1
    assert usable_dose(costs[1:], budget) is None
