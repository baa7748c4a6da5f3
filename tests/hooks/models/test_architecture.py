"""Sizes are read from the config alone and equal those of the loaded model."""

import json

import pytest
import torch
from transformers import DynamicCache

import hooks
from hooks.errors import ModelError
from hooks.models.architecture import describe


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "gemma3", "qwen3"])
def test_sizes_are_those_of_the_loaded_model(tiny_folder, architecture):
    model = hooks.load(tiny_folder(architecture), backend="huggingface", dtype="float32")
    sizes = describe(str(tiny_folder(architecture)))
    assert (sizes.n_layers, sizes.d_model, sizes.d_vocab) == (
        model.n_layers,
        model.d_model,
        model.d_vocab,
    )
    assert sizes.n_parameters == sum(p.numel() for p in model.hf.parameters())
    assert sizes.head_parameters == model.W_U.numel()
    blocks = [p for n, p in model.hf.named_parameters() if ".layers." in n or ".h." in n]
    assert sizes.block_parameters == sum(p.numel() for p in blocks if p.dim() > 1)
    assert sizes.reading_flops(2) == sizes.block_parameters  # half of the four layers
    assert sizes.writing_flops() == 2 * (sizes.block_parameters + sizes.head_parameters)


@pytest.mark.parametrize(
    ("architecture", "name"),
    [("gpt2", "h"), ("llama", "layers"), ("gemma4-multimodal", "language_model.layers")],
)
def test_blocks_have_the_name_that_transformers_gives_them(
    tiny_model, tiny_folder, architecture, name
):
    model = tiny_model(architecture, backend="huggingface")
    assert describe(str(tiny_folder(architecture))).blocks == name
    assert model.hf.base_model.get_submodule(name) is model.bulk.structure.blocks


@pytest.mark.parametrize("architecture", ["gpt2", "gemma4", "gemma4-multimodal"])
def test_a_text_model_is_of_one_kind_alone_or_inside_another(tiny_folder, architecture):
    kind = "gpt2" if architecture == "gpt2" else "gemma4_text"
    assert describe(str(tiny_folder(architecture))).kind == kind


@pytest.mark.parametrize("architecture", ["llama", "gemma4"])
def test_keys_and_values_of_a_token_are_counted(tiny_folder, architecture):
    model = hooks.load(tiny_folder(architecture), backend="huggingface", dtype="float32")
    cache = DynamicCache(config=model.hf.config)
    ids = model.encode("Nobody")  # shorter than the sliding window
    model.hf(input_ids=torch.tensor([ids]), past_key_values=cache, use_cache=True)
    stored = sum(layer.keys.numel() + layer.values.numel() for layer in cache.layers)
    assert describe(str(tiny_folder(architecture))).cache_numbers == stored / len(ids)


def test_no_weights_are_needed(tiny_folder, tmp_path):
    config = (tiny_folder("llama") / "config.json").read_bytes()
    (tmp_path / "config.json").write_bytes(config)
    assert describe(str(tmp_path)).n_parameters > 0


def test_a_model_without_a_config_is_refused_with_the_cure(tmp_path):
    with pytest.raises(ModelError, match=r"folder with config\.json"):
        describe(str(tmp_path))


@pytest.mark.parametrize(
    ("architecture", "expected"), [("gpt2", True), ("llama", True), ("gemma3", True)]
)
def test_whether_a_beginning_can_be_read_once_is_what_the_loaded_model_says(
    tiny_folder, architecture, expected
):
    model = hooks.load(tiny_folder(architecture), backend="huggingface", dtype="float32")
    assert describe(str(tiny_folder(architecture))).can_share is expected is model.bulk.can_go_on


def test_frequencies_that_follow_the_length_share_no_beginning(tiny_folder, tmp_path):
    config = json.loads((tiny_folder("llama") / "config.json").read_text())
    scaling = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10_000.0}
    config |= {"rope_scaling": scaling, "rope_parameters": scaling}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert not describe(str(tmp_path)).can_share
