"""Blocks and unembedding are found by structure, whatever they are called."""

from typing import Any

import pytest
import torch
from einops import rearrange
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel

import hooks
from hooks.errors import ModelError
from hooks.models.miniature import tiny_model as miniature
from hooks.models.miniature import tiny_tokenizer as bpe
from hooks.models.structure import find_structure

TEXT = "She ran down the hill, and nobody came."
NAMES = {
    "gpt2": ("transformer", "transformer.h"),
    "llama": ("model", "model.layers"),
    "gemma3": ("model", "model.layers"),
    "gemma4": ("model", "model.layers"),
    "phi3": ("model", "model.layers"),
    "olmo2": ("model", "model.layers"),
    "qwen3_5": ("model", "model.layers"),
    "gemma4-multimodal": ("model.language_model", "model.language_model.layers"),
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

    def __init__(self, config):
        super().__init__(config)
        self.words = nn.Embedding(16, 8)
        stack = [Block() for _ in range(config.num_hidden_layers)]
        self.tower = nn.ModuleList(stack) if self.blocks_in_a_list else nn.Sequential(*stack)
        self.decoys = nn.ModuleList([nn.LayerNorm(8) for _ in range(config.num_hidden_layers + 1)])
        self.out = nn.Linear(8, 16)

    def get_input_embeddings(self):
        return self.words

    def get_output_embeddings(self):
        return self.out

    def forward(self, input_ids, use_cache=False):
        x = self.decoys[0](self.words(input_ids))
        for block in self.tower:
            (x,) = block(x)
        return self.out(x)


class NoList(Strange):
    blocks_in_a_list = False


class TimeFirst(Strange):
    def forward(self, input_ids, use_cache=False):
        return super().forward(input_ids.T)


class Looping(Strange):
    def forward(self, input_ids, use_cache=False):
        super().forward(input_ids)
        return super().forward(input_ids)


class NeedsMore(Strange):
    def forward(self, input_ids, pictures, use_cache=False):
        return super().forward(input_ids)


def build(kind: type[Strange]) -> Strange:
    settings: dict[str, Any] = {"num_hidden_layers": 3, "vocab_size": 16, "hidden_size": 8}
    return kind(PretrainedConfig(**settings)).eval()


@pytest.mark.parametrize("architecture", NAMES)
def test_every_part_is_found(tiny_hf_model, architecture):
    hf = tiny_hf_model(architecture)
    structure = find_structure(hf)
    trunk, blocks = (hf.get_submodule(name) for name in NAMES[architecture])
    assert structure.trunk is trunk
    assert structure.blocks is blocks
    assert structure.head is hf.get_output_embeddings()


def test_names_do_not_matter():
    hf = build(Strange)
    structure = find_structure(hf)
    assert structure.blocks is hf.tower
    assert structure.trunk is hf


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
    ("kind", "message"),
    [
        (NoList, "a list of 3 decoder blocks"),
        (TimeFirst, r"of shape \(1, 12, 8\), and block 0 gives \(12, 1, 8\)"),
        (Looping, "to run once on a text, and block 0 ran 2 times"),
        (NeedsMore, "token ids alone, and it raised TypeError: .*'pictures'"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(kind, message):
    with pytest.raises(ModelError, match=f"^{kind.__name__}: expected .*{message}"):
        find_structure(build(kind))


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("hrm_text", "block 0 ran 6 times"),
        ("mllama", "block 3 ran 0 times"),
        ("xlnet", r"block 0 gives \(12, 1, 64\)"),
    ],
)
def test_blocks_that_give_no_stream_of_their_own_are_refused_in_words(kind, reason):
    with pytest.raises(ModelError, match=f"expected .* {reason}.* with one residual stream"):
        find_structure(miniature(kind))


class TestSeveralStreams:
    """Side by side they are one: read, steered and unembedded exactly."""

    @pytest.mark.parametrize(
        ("kind", "pattern"),
        [
            ("gemma3n_text", "stream 1 position width -> position (stream width)"),
            ("deepseek_v4", "1 position stream width -> position (stream width)"),
            ("qwen4_exp_text", "1 position width -> position width"),
        ],
    )
    def test_they_are_read_as_the_model_gives_them(self, kind, pattern):
        hf, given = miniature(kind), []
        model = hooks.load(hf, tokenizer=bpe([TEXT]), backend="huggingface")
        assert model.d_model == 4 * 64
        model.bulk.structure.blocks[1].register_forward_hook(
            lambda _module, _inputs, output: given.append(output)
        )
        read = hooks.resid_post(model, TEXT, layers=[1]).resid[0]
        assert torch.equal(read, rearrange(given[0], pattern))

    @pytest.mark.parametrize("kind", ["gemma3n_text", "deepseek_v4", "hy_v4", "qwen4_exp_text"])
    def test_steering_and_unembedding_are_exact(self, kind):
        model = hooks.load(miniature(kind), tokenizer=bpe([TEXT]), backend="huggingface")
        direction = torch.randn(model.d_model, generator=torch.Generator().manual_seed(0))
        plain = hooks.resid_post(model, TEXT, layers=[1, 3]).resid
        with hooks.steer(model, direction, layers=[1], strength=float(direction.norm())):
            steered = hooks.resid_post(model, TEXT, layers=[1, 3]).resid
            logits = model.hf(torch.tensor([model.encode(TEXT)]), use_cache=False).logits[0]
        torch.testing.assert_close(steered[0], plain[0] + direction, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(model.unembed(steered[1]), logits, atol=1e-4, rtol=1e-4)
        assert not torch.allclose(steered[1], plain[1], atol=0.1)

    def test_transformer_lens_does_not_drive_them(self):
        model = hooks.load(miniature("gemma3n_text"), tokenizer=bpe([TEXT]))
        assert model.hooked is None
        assert "several residual streams" in model.backend_reason


def test_blocks_that_the_config_counts_twice_are_counted_once():
    """LongCat's config counts both halves of each block."""
    hf = miniature("longcat_flash")
    assert hf.config.num_hidden_layers == 8
    assert find_structure(hf).blocks is hf.model.layers
    assert len(hf.model.layers) == 4


def test_blocks_are_not_those_of_another_tower():
    hf = miniature("git")
    assert find_structure(hf).blocks is hf.git.encoder.layer


def test_the_trunk_is_the_innermost_module_that_reads_token_ids():
    hf = miniature("bert")
    structure = find_structure(hf)
    assert structure.trunk is hf.bert
    assert structure.blocks is hf.bert.encoder.layer
