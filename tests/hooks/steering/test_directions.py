"""A direction and a coefficient for each layer: of the layer that was meant, finite, or refused."""

import math

import pytest
import torch

from hooks import InvalidInput
from hooks.steering.directions import check_steered_layers, coefficients, unit_vectors

N_LAYERS, D_MODEL = 4, 3
ROWS = torch.arange(12.0).reshape(N_LAYERS, D_MODEL) + 1


def units(vector, layers):
    return unit_vectors(vector, layers, n_layers=N_LAYERS, d_model=D_MODEL)


def amounts(layers=(1, 2), operation="add", **settings):
    settings = {"dose": None, "residual_norm": None, "strength": None, "split": False} | settings
    return coefficients(operation, layers, n_layers=N_LAYERS, **settings)


def test_one_direction_is_for_every_layer_and_its_length_does_not_matter():
    by_layer = units(5 * ROWS[0], [3, 1])
    assert list(by_layer) == [3, 1]
    assert all(torch.allclose(unit, ROWS[0] / ROWS[0].norm()) for unit in by_layer.values())


@pytest.mark.parametrize("vector", [ROWS, {2: ROWS[2], 1: ROWS[1]}], ids=["rows", "mapping"])
def test_each_layer_takes_the_direction_of_that_layer(vector):
    by_layer = units(vector, [1, 2])
    for layer in (1, 2):
        assert torch.allclose(by_layer[layer], ROWS[layer] / ROWS[layer].norm())


def test_rows_that_do_not_say_their_layers_are_refused_also_when_their_number_fits():
    """Vectors made at layers 2 and 3 would steer layers 0 and 1."""
    with pytest.raises(InvalidInput, match="got 2, .* take vectors.by_layer"):
        units(ROWS[2:], [0, 1])
    with pytest.raises(InvalidInput, match="residual_norm: .* got 2"):
        amounts((0, 1), dose=0.1, residual_norm=torch.ones(2))


def test_a_layer_without_a_direction_is_refused_with_those_there_are():
    with pytest.raises(InvalidInput, match=r"nothing for layer 0; there is something for \[1, 2\]"):
        units({1: ROWS[1], 2: ROWS[2]}, [0])


@pytest.mark.parametrize(
    ("vector", "says"),
    [
        (torch.zeros(D_MODEL), "zero or not finite"),
        (torch.tensor([1.0, math.nan, 0.0]), "zero or not finite"),
        (torch.tensor([1.0, -math.inf, 0.0]), "zero or not finite"),
        ({1: ROWS[1], 2: ROWS[2] * math.nan}, "layer 2 it is zero or not finite"),
        (torch.ones(D_MODEL + 1), "another model"),
        ({1: ROWS[1], 2: torch.ones(D_MODEL + 1)}, "another model"),
    ],
)
def test_what_is_no_direction_of_this_model_is_refused(vector, says):
    with pytest.raises(InvalidInput, match=says):
        units(vector, [1, 2])


@pytest.mark.parametrize("norms", [torch.tensor([1.0, 2.0, 3.0, 4.0]), {1: 2.0, 2: 3.0}])
def test_a_dose_is_a_fraction_of_each_layers_norm(norms):
    assert amounts(dose=0.5, residual_norm=norms) == {1: 1.0, 2: 1.5}
    assert amounts(dose=0.5, residual_norm=norms, split=True) == {1: 0.5, 2: 0.75}
    assert amounts(dose=0.5, residual_norm=8.0) == {1: 4.0, 2: 4.0}
    assert amounts(strength=-3.0) == {1: -3.0, 2: -3.0}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_refused(bad):
    for settings in (
        {"strength": bad},
        {"dose": bad, "residual_norm": 2.0},
        {"dose": 0.1, "residual_norm": bad},
        {"dose": 0.0, "residual_norm": {1: 2.0, 2: bad}},
        {"dose": 0.1, "residual_norm": torch.tensor([1.0, 1.0, bad, 1.0])},
    ):
        with pytest.raises(InvalidInput, match="expected a finite number"):
            amounts(**settings)


@pytest.mark.parametrize("norm", [0.0, -1.0])
def test_a_norm_that_is_no_length_is_refused(norm):
    with pytest.raises(InvalidInput, match="above 0"):
        amounts(dose=0.1, residual_norm=norm)


@pytest.mark.parametrize("layers", [[], [1, 1], [4], [-1]])
def test_layers_without_meaning_are_refused(layers):
    with pytest.raises(InvalidInput, match="layer"):
        check_steered_layers(layers, N_LAYERS)
