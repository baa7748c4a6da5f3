"""Blocks, final norm and unembedding are found by structure, whatever they are called."""

from typing import Any

import pytest
import torch
from torch import nn
from transformers import BertConfig, BertLMHeadModel, PretrainedConfig, PreTrainedModel

from hooks.errors import ModelError
from hooks.models.structure import find_structure

NAMES = {
    "gpt2": ("transformer", "transformer.h", "transformer.ln_f"),
    "llama": ("model", "model.layers", "model.norm"),
    "gemma3": ("model", "model.layers", "model.norm"),
    "gemma4": ("model", "model.layers", "model.norm"),
    "phi3": ("model", "model.layers", "model.norm"),
    "olmo2": ("model", "model.layers", "model.norm"),
    "qwen3_5": ("model", "model.layers", "model.norm"),
    "gemma4-multimodal": (
        "model.language_model",
        "model.language_model.layers",
        "model.language_model.norm",
    ),
}


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(8, 8)

    def forward(self, x):
        return (x + self.mix(x),)


class Strange(PreTrainedModel):
    """A decoder with names of its own, behind no `get_decoder`, and with a list that misleads."""

    config_class = PretrainedConfig
    blocks_in_a_list = True
    norms = True

    def __init__(self, config):
        super().__init__(config)
        self.words = nn.Embedding(16, 8)
        stack = [Block() for _ in range(config.num_hidden_layers)]
        self.tower = nn.ModuleList(stack) if self.blocks_in_a_list else nn.Sequential(*stack)
        self.decoys = nn.ModuleList([nn.LayerNorm(8) for _ in range(config.num_hidden_layers + 1)])
        self.last_norm = nn.LayerNorm(8)
        self.out = nn.Linear(8, 16)

    def get_input_embeddings(self):
        return self.words

    def get_output_embeddings(self):
        return self.out

    def forward(self, input_ids, use_cache=False):
        x = self.decoys[0](self.words(input_ids))
        for block in self.tower:
            (x,) = block(x)
        return self.out(self.last_norm(x) if self.norms else x + 0)


class NoList(Strange):
    blocks_in_a_list = False


class NoNorm(Strange):
    norms = False


def build(kind: type[Strange]) -> Strange:
    settings: dict[str, Any] = {"num_hidden_layers": 3, "vocab_size": 16}
    return kind(PretrainedConfig(**settings)).eval()


@pytest.mark.parametrize("architecture", NAMES)
def test_every_part_is_found(tiny_hf_model, architecture):
    hf = tiny_hf_model(architecture)
    structure = find_structure(hf)
    trunk, blocks, norm = (hf.get_submodule(name) for name in NAMES[architecture])
    assert structure.trunk is trunk
    assert structure.blocks is blocks
    assert structure.final_norm is norm
    assert structure.head is hf.get_output_embeddings()


def test_names_do_not_matter():
    hf = build(Strange)
    structure = find_structure(hf)
    assert structure.blocks is hf.tower
    assert structure.final_norm is hf.last_norm


def test_looking_leaves_no_hook(tiny_hf_model):
    hf = tiny_hf_model("llama")
    find_structure(hf)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in hf.modules())


def test_random_state_and_weights_stay(tiny_hf_model):
    hf = tiny_hf_model("gpt2")
    weights = [parameter.clone() for parameter in hf.parameters()]
    state = torch.get_rng_state()
    find_structure(hf)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(weights, hf.parameters(), strict=True))


@pytest.mark.parametrize(
    ("kind", "message"), [(NoList, "decoder blocks"), (NoNorm, "no final norm")]
)
def test_a_model_that_does_not_fit_is_refused(kind, message):
    with pytest.raises(ModelError, match=message):
        find_structure(build(kind))


def test_a_trunk_that_does_not_read_token_ids_is_refused():
    config = BertConfig(
        vocab_size=32,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        is_decoder=True,
    )
    with pytest.raises(ModelError, match="BertEncoder raised TypeError"):
        find_structure(BertLMHeadModel(config).eval())
