"""A model placed by a device map reads and writes what the plain one does, as far as a CPU can.

Half of it on the disk is the nearest that one CPU comes to a model on several GPUs: a map of many
entries, weights that are not where the embedding is, and hooks that bring them there.
"""

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


@pytest.mark.parametrize("backend", ["huggingface", "transformerlens"])
def test_blocks_on_the_disk_change_no_number_and_no_fingerprint(tiny_folder, backend):
    options = {"backend": backend, "dtype": "float32", "device": "cpu"}
    plain = hooks.load(tiny_folder("llama"), **options)
    others = ["embed_tokens", "rotary_emb", "norm", "layers.0", "layers.3"]
    places = {f"model.{name}": "cpu" for name in others} | {"lm_head": "cpu"}
    places |= {"model.layers.1": "disk", "model.layers.2": "disk"}
    placed = hooks.load(tiny_folder("llama"), device_map=places, **options)
    assert {parameter.device.type for parameter in placed.hf.parameters()} == {"cpu", "meta"}
    read, expected = (hooks.pooled_resid_post(model, TEXTS) for model in (placed, plain))
    assert torch.allclose(read.mean, expected.mean, atol=1e-5)
    settings = {"max_new_tokens": 6, "seed": 1}
    assert placed.generate(TEXTS, **settings) == plain.generate(TEXTS, **settings)
    assert placed.fingerprint == plain.fingerprint
