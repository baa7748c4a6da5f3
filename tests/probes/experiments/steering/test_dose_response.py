"""Dose-response of a finished run: curves at each layer, the budget, and what is refused."""

import pytest

from hooks import InvalidInput
from probes.experiments import find_experiment
from probes.experiments.steering.dose_response import swept_layers
from probes.runs.materials import Materials
from probes.runs.models import Models
from probes.runs.reporting import Silent


@pytest.fixture
def measured(finished):
    def run(**settings):
        made = finished.run(validation__sweep_doses=[0.05, 0.4], **settings)
        return find_experiment("steering-dose-response").measure(
            Materials(made, Models(made.config), Silent())
        )

    return run


def test_every_layer_has_a_curve_and_a_usable_range_that_the_budget_decides(measured):
    wide = measured(validation__max_kl=1e6, validation__max_perplexity_ratio=1e6).to_json()
    assert [entry["usable"] for entry in wide["layers"]] == [0.4] * len(wide["layers"])
    tight = measured(validation__max_kl=1e-9).to_json()
    assert [entry["usable"] for entry in tight["layers"]] == [None] * len(tight["layers"])
    for entry in wide["layers"]:
        low, high = entry["doses"]
        assert low["kl"] < high["kl"]
        assert low["own_interval"][0] <= low["own"] <= low["own_interval"][1]
    assert wide["target_layer"] in [entry["layer"] for entry in wide["layers"]]
    assert "none of the doses tried" in tight["rows"][0][1]
    figure = find_experiment("steering-dose-response").figures(wide)["dose_response"]
    assert figure.mark == 0.4
    assert find_experiment("steering-dose-response").figures(tight)["dose_response"].mark is None


def test_layers_are_the_target_and_its_surroundings_unless_asked_for():
    assert swept_layers(range(18), 12, 18, None) == [9, 12, 15]
    assert swept_layers([12], 12, 18, None) == [12]
    assert swept_layers(range(18), 12, 18, [7, 3]) == [3, 7]
    with pytest.raises(InvalidInput, match="no vectors at layer 5"):
        swept_layers([1, 2], 2, 18, [5])
