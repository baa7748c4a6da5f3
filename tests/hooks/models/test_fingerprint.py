"""A fingerprint is of the weights: the same wherever they lie, another when one of them moves."""

import torch
from torch import nn

from hooks.models.fingerprint import fingerprint_of


def two_layers(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))


def test_equal_weights_have_equal_fingerprints_and_others_another():
    assert fingerprint_of(two_layers()) == fingerprint_of(two_layers())
    assert fingerprint_of(two_layers()) != fingerprint_of(two_layers(1))
    assert len(fingerprint_of(two_layers())) == 16


def test_a_change_of_one_weight_shows():
    module = two_layers()
    before = fingerprint_of(module)
    with torch.no_grad():
        module[1].bias[0] += 0.5
    assert fingerprint_of(module) != before


def test_weights_loaded_in_bfloat16_are_the_same_weights():
    module = two_layers()
    rounded = two_layers().bfloat16()
    assert fingerprint_of(module) == fingerprint_of(rounded)


def test_the_same_numbers_in_another_shape_are_another_model():
    one, other = nn.Linear(2, 6, bias=False), nn.Linear(3, 4, bias=False)
    with torch.no_grad():
        other.weight.copy_(one.weight.reshape(4, 3))
    assert fingerprint_of(one) != fingerprint_of(other)
