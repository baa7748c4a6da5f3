"""Dose-response of a finished run: curves at each layer, the budget, and what is refused."""

import pytest
import torch
from planted_runs import materials as materials_of

from probes.experiments import find_experiment
from probes.experiments.steering.word_effects import first_tokens


@pytest.fixture
def materials(finished):
    """``materials(setting=...)``: what the experiment is given, with two doses."""

    def make(doses=(0.05, 0.4), **settings):
        settings = {f"validation__{name}": value for name, value in settings.items()}
        return materials_of(finished, validation__sweep_doses=list(doses), **settings)

    return make


@pytest.fixture
def measured(materials):
    return lambda **settings: find_experiment("steering-dose-response").measure(
        materials(**settings)
    )


def test_every_layer_has_a_curve_and_a_usable_range_that_the_budget_decides(measured):
    wide = measured(max_kl=1e6, max_perplexity_ratio=1e6)
    assert [entry.usable for entry in wide.layers] == [0.4] * len(wide.layers)
    tight = measured(max_kl=1e-9)
    assert [entry.usable for entry in tight.layers] == [None] * len(tight.layers)
    for entry in wide.layers:
        low, high = entry.doses
        assert low.kl < high.kl
        assert low.own_interval[0] <= low.own <= low.own_interval[1]
    assert wide.target_layer in [entry.layer for entry in wide.layers]
    assert "none of the doses tried" in tight.findings()[0].line
    assert wide.findings()[0].number == "0.4"
    assert wide.figures()["dose_response"].mark == 0.4
    assert tight.figures()["dose_response"].mark is None
    assert any("try larger ones" in limit for limit in wide.limits())
    assert not any("try larger ones" in limit for limit in tight.limits())


class TestPlanted:
    """A tiny model has no emotions: here they are words."""

    BUDGET = {"max_kl": 1e6, "max_perplexity_ratio": 1e6}

    @pytest.fixture
    def measured(self, materials):
        def run(vectors_for):
            made = materials(doses=(0.1, 0.4), **self.BUDGET)
            made.vectors.vectors[:] = vectors_for(made)
            return find_experiment("steering-dose-response").measure(made)

        return run

    def test_planted_words_rise_with_the_dose_and_random_directions_do_not(self, measured):
        def columns(made):
            model = made.subject()
            ids = [tokens[0] for tokens in first_tokens(model, made.emotions)]
            columns = model.W_U.T[ids].float()
            return columns - columns.mean(dim=0)

        low, high = measured(columns).layers[-1].doses
        assert low.own_interval[0] > 0
        assert high.own > 2 * low.own
        assert abs(high.random) < high.own / 2

    def test_noise_raises_no_word_more_than_random_directions_do(self, measured):
        noise = torch.randn(3, 32, generator=torch.Generator().manual_seed(5))
        for entry in measured(lambda _made: noise).layers:
            assert abs(entry.doses[0].own - entry.doses[0].random) < 1.0
