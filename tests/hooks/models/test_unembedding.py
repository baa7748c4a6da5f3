"""Residuals become the model's own logits, whatever it does after its blocks."""

import threading

import pytest
import torch
from torch import nn
from transformers import LlamaForCausalLM

import hooks
from hooks.errors import ModelError
from hooks.models.miniature import tiny_model as miniature
from hooks.models.structure import find_structure, first_tensor
from hooks.models.unembedding import Unembedding

IDS = torch.tensor([[5, 9, 7, 30, 12, 4]])


def last_residual_and_logits(hf) -> tuple[torch.Tensor, torch.Tensor]:
    """Run a model as it is; what its last block gives [position d_model], and its logits."""
    last = []
    block = find_structure(hf).blocks[-1]
    handle = block.register_forward_hook(lambda _m, _i, output: last.append(first_tensor(output)))
    with torch.no_grad():
        logits = hf(input_ids=IDS).logits[0]
    handle.remove()
    return last[0][0], logits


@pytest.mark.parametrize(
    "kind",
    [
        "falcon_h1",  # lm_head_multiplier
        "hyperclovax",  # multiplies by logits_scaling
        "granite",  # divides by it
        "cohere",  # logit_scale
        "minicpm3",  # divides the stream
        "inkling_text",  # divides the stream, and cuts the vocabulary's padding off
        "modernbert-decoder",  # a dense layer of its own before the unembedding
        "recurrent_gemma",  # logits_soft_cap
        "openai-gpt",  # no final norm
        "opt",  # a projection
    ],
)
def test_logits_are_the_models_own_whatever_comes_after_the_blocks(kind):
    hf = miniature(kind)
    residual, logits = last_residual_and_logits(hf)
    got = Unembedding(hf, find_structure(hf))(residual)
    assert got.dtype == torch.float32
    assert (got - logits).abs().max() < 1e-5 * logits.abs().max()


class TestOnTheSide:
    """Passes of the unembedding concern nobody who watches or steers the model."""

    def test_neither_steering_nor_hooks_see_them(self, tiny_model):
        model = tiny_model("gemma2", "huggingface")
        residual = torch.randn(3, model.d_model, generator=torch.Generator().manual_seed(0))
        plain, seen = model.unembed(residual), []
        _ = model.conventions  # trying them takes passes
        handle = model.bulk.structure.blocks[-1].register_forward_hook(lambda *_: seen.append(1))
        direction = torch.ones(model.d_model)
        with hooks.steer(model, direction, layers=[model.n_layers - 1], strength=50.0) as record:
            steered = model.unembed(residual)
        handle.remove()
        assert torch.equal(steered, plain)
        assert (seen, record.n_passes) == ([], 0)

    def test_threads_do_not_mix_their_residuals(self, tiny_model):
        model = tiny_model("llama", "huggingface")
        generator = torch.Generator().manual_seed(0)
        rows = torch.randn(16, 7, model.d_model, generator=generator)
        expected = [model.unembed(each) for each in rows]
        wrong = []

        def ask(place: int) -> None:
            for _ in range(20):
                if not torch.equal(model.unembed(rows[place]), expected[place]):
                    wrong.append(place)

        threads = [threading.Thread(target=ask, args=(place,)) for place in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []

    def test_gradients_are_those_of_norm_and_matrix(self, tiny_hf_model):
        hf = tiny_hf_model("llama")
        unembedding = Unembedding(hf, find_structure(hf))
        residual = torch.randn(2, 32, generator=torch.Generator().manual_seed(0))
        ours, plain = (residual.clone().requires_grad_() for _ in range(2))
        unembedding(ours)[:, 7].sum().backward()
        hf.lm_head(hf.model.norm(plain))[:, 7].sum().backward()
        assert ours.grad is not None and plain.grad is not None
        assert torch.allclose(ours.grad, plain.grad, atol=1e-6)

    def test_weights_are_shared(self, tiny_hf_model):
        hf = tiny_hf_model("llama")
        unembedding = Unembedding(hf, find_structure(hf))
        residual, _ = last_residual_and_logits(hf)
        before = unembedding(residual)
        with torch.no_grad():
            hf.lm_head.weight *= 2
        assert torch.allclose(unembedding(residual), 2 * before, atol=1e-5)


class SkippingLlama(LlamaForCausalLM):
    """Its logits also see the tokens, past all blocks."""

    def __init__(self, config) -> None:
        super().__init__(config)
        self.skip = nn.Embedding(config.vocab_size, config.vocab_size)

    def forward(self, input_ids=None, **kwargs):
        output = super().forward(input_ids=input_ids, **kwargs)
        output.logits = output.logits + self.skip(input_ids)
        return output


class TestRefusal:
    def test_logits_of_more_than_the_last_block(self, tiny_hf_model):
        hf = SkippingLlama(tiny_hf_model("llama").config).eval()
        unembedding = Unembedding(hf, find_structure(hf))
        assert unembedding.difference > 0.1
        with pytest.raises(ModelError, match="does not decide its logits"):
            unembedding(torch.zeros(1, 32))

    def test_a_nan_is_told_as_such(self, tiny_hf_model):
        hf = tiny_hf_model("llama")
        with torch.no_grad():
            hf.model.norm.weight[0] = float("nan")
        with pytest.raises(ModelError, match=r"not numbers \(NaN\).*another dtype"):
            Unembedding(hf, find_structure(hf))(torch.zeros(1, 32))
