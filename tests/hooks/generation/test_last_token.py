"""The end of a prompt: the very last token, batched or one by one."""

import pytest
import torch

import hooks
from hooks.generation.last_token import at_end, batch_at_end

TEXTS = [
    "She ran down the hill and the rain fell on the empty street.",
    "She ran down the hill and nobody came.",
    "She ran down the hill and the old man laughed, his hands were shaking, nobody came.",
]


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "gemma3", "qwen3_5"])
def test_every_way_of_reading_gives_the_residual_of_the_last_token(tiny_model, architecture):
    model = tiny_model(architecture, backend="huggingface")
    prompts = [model.encode(text) for text in TEXTS]
    layers = [1, model.n_layers - 1]
    expected = torch.stack([hooks.resid_post(model, text, layers).resid[:, -1] for text in TEXTS])
    for residuals in (
        at_end(model, prompts, layers),
        at_end(model, prompts, layers, batch_tokens=1),
        batch_at_end(model, prompts, layers),
    ):
        assert torch.allclose(residuals, expected, atol=1e-4 * float(expected.abs().max()))


def test_the_last_token_counts_even_when_it_is_special(tiny_model):
    model = tiny_model("llama", backend="huggingface")
    prompt = [*model.encode(TEXTS[0]), model.tokenizer.eos_token_id]
    whole = model.hf(torch.tensor([prompt]), output_hidden_states=True).hidden_states[1][0, -1]
    assert torch.allclose(at_end(model, [prompt], [0])[0, 0], whole, atol=1e-5)


def test_steering_is_obeyed(tiny_model):
    model = tiny_model("llama", backend="huggingface")
    prompts = [model.encode(text) for text in TEXTS]
    vector = torch.randn(model.d_model, generator=torch.Generator().manual_seed(0))
    plain = at_end(model, prompts, [2])
    with hooks.steer(model, vector, layers=[2], strength=3.0):
        steered = at_end(model, prompts, [2])
    assert torch.allclose(steered - plain, 3.0 * vector / vector.norm() + 0 * plain, atol=1e-5)


@pytest.mark.parametrize("prompts", [[], [[]], [[1] * 600]])
def test_prompts_that_cannot_be_read_are_refused(tiny_model, prompts):
    with pytest.raises(hooks.InvalidInput):
        at_end(tiny_model("llama", backend="huggingface"), prompts, [0])
