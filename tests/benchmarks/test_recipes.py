"""Every recipe of peers that is timed gives the pooled numbers of ours."""

import pytest
import torch

import hooks
from benchmarks.recipes import COMPILED, OURS, RECIPES

TEXTS = [
    "The old man sat by the window and watched the rain fall on the empty street.",
    "Nobody came.",
    "She ran down the hill laughing.",
]


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "gemma3"])
@pytest.mark.parametrize("recipe", [name for name in RECIPES if name not in (OURS, COMPILED)])
def test_a_recipe_gives_the_pooled_numbers_of_ours(tiny_folder, recipe, architecture):
    # A model of its own: what nnsight has traced keeps nnsight's forward functions.
    model = hooks.load(tiny_folder(architecture), dtype="float32", device="cpu")
    expected = RECIPES[OURS](model, TEXTS)
    assert torch.allclose(RECIPES[recipe](model, TEXTS), expected, rtol=1e-4, atol=1e-4)
