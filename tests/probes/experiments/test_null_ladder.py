"""Null ladder: what the model adds is a gain, what its words hold already is none."""

import pytest
import torch

from probes.experiments import find_experiment
from probes.experiments.embedded_stories import embedded_stories, name_embeddings
from probes.folds import Folds

EXPERIMENT = find_experiment("null-ladder")


@pytest.fixture(scope="module")
def real(finished_original):
    """A run whose activations are the tiny model's own, so that the subject matches."""
    from planted_runs import materials

    return materials(
        finished_original, validation__n_refits=6, validation__n_bootstrap=50, validation__n_folds=3
    )


@pytest.fixture(scope="module")
def found(real):
    return EXPERIMENT.measure(real)


def test_the_rungs_are_in_order_and_each_has_an_accuracy_with_an_interval(found):
    names = [rung["name"].split(" (")[0] for rung in found.values["rungs"]]
    assert names == [
        "random directions",
        "shuffled labels",
        "name embedding",
        "input embeddings",
        "early layer",
        "analyzed layer",
    ]
    for rung in found.values["rungs"]:
        accuracy = rung["accuracy"]
        assert accuracy["low"] <= accuracy["value"] <= accuracy["high"]


def test_the_gain_is_the_first_row_and_the_difference_of_its_rungs(found):
    label, value = found.rows[0]
    assert label == "GAIN OVER INPUT EMBEDDINGS"
    rungs = {
        rung["name"].split(" (")[0]: rung["accuracy"]["value"] for rung in found.values["rungs"]
    }
    gain = found.values["gain"]["accuracy"]
    assert gain["value"] == pytest.approx(rungs["analyzed layer"] - rungs["input embeddings"])
    assert gain["low"] <= gain["value"] <= gain["high"]
    assert f"{gain['value']:+.2f}" in value


def test_a_gain_that_may_be_none_is_a_limit(found):
    gain = found.values["gain"]["accuracy"]
    assert (gain["low"] <= 0) == any("accuracy" in limit for limit in found.limits)


def test_embedded_stories_owe_nothing_to_the_order_of_words(real):
    model = real.subject()
    rows, _ = embedded_stories(real, model, Folds(real, 3))
    assert rows.shape == (len(real.stories(0).emotion), model.d_model)
    assert rows.mean(dim=0).abs().max() < 1e-5


def test_names_are_their_own_tokens_centered(real):
    model = real.subject()
    names = name_embeddings(model, ["angry", "sad", "angry"])
    torch.testing.assert_close(names[0], names[2])
    assert names.sum(dim=0).abs().max() < 1e-5


def test_the_figure_has_a_bar_for_every_rung_and_statistic(found):
    [figure] = EXPERIMENT.figures(found.to_json()).values()
    assert "accuracy: input embeddings" in figure.categories
    assert all(len(name) <= 27 for name in figure.categories)
