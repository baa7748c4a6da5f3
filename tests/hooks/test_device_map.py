"""A model placed by a device map reads and writes what the plain one does, as far as a CPU can."""

import pytest
import torch

import hooks

TEXTS = ["The old man sat by the window.", "Nobody came."]


@pytest.mark.parametrize("device_map", ["cpu", "auto", {"": "cpu"}], ids=str)
@pytest.mark.parametrize("backend", ["huggingface", "transformerlens"])
def test_a_device_map_changes_no_number(tiny_folder, device_map, backend):
    options = {"backend": backend, "dtype": "float32", "device": "cpu"}
    plain = hooks.load(tiny_folder("llama"), **options)
    placed = hooks.load(tiny_folder("llama"), device_map=device_map, **options)
    assert {parameter.device.type for parameter in placed.hf.parameters()} == {"cpu"}
    read, expected = (hooks.pooled_resid_post(model, TEXTS) for model in (placed, plain))
    assert torch.allclose(read.mean, expected.mean, atol=1e-5)
    settings = {"max_new_tokens": 6, "seed": 1}
    assert placed.generate(TEXTS, **settings) == plain.generate(TEXTS, **settings)
