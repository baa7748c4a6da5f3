"""Scores of next tokens are the model's own."""

import pytest
import torch
from tiny_models import tiny_model, tiny_tokenizer

import hooks
from hooks import InvalidInput
from hooks.reading.scoring import continuation_tokens, mean_log_probs, next_tokens

TEXTS = ["She ran down the hill.", "The old man sat by the window and watched the rain fall."]


@pytest.fixture(scope="module")
def model():
    return hooks.load(tiny_model("gemma2"), tokenizer=tiny_tokenizer(), backend="huggingface")


def test_log_probabilities_and_loss_are_those_of_the_model_itself(model):
    scored = next_tokens(model, TEXTS)
    start, losses = 0, []
    for number, text in enumerate(TEXTS):
        ids = torch.tensor([model.encode(text)])
        with torch.no_grad():
            expected = model.hf(ids).logits[0].log_softmax(dim=-1)[1:-1]  # content with a next one
        rows = scored.log_probs[scored.text == number]
        assert torch.allclose(rows, expected, atol=1e-4)
        assert scored.next_ids[scored.text == number].tolist() == ids[0, 2:].tolist()
        losses += (-expected.gather(1, ids[0, 2:, None]))[:, 0].tolist()
        start += len(rows)
    assert scored.loss == pytest.approx(sum(losses) / len(losses), abs=1e-4)


def test_only_the_tokens_asked_for_are_scored(model):
    scored = next_tokens(model, TEXTS, hooks.Span(2, 5))
    assert len(scored.next_ids) == 6
    everything = next_tokens(model, TEXTS[1:])
    assert torch.allclose(scored.log_probs[scored.text == 1], everything.log_probs[2:5], atol=1e-4)


def test_a_text_without_a_next_token_is_refused(model):
    with pytest.raises(InvalidInput, match="no token that has a next one"):
        next_tokens(model, ["She"], hooks.Span(50, 60))
    with pytest.raises(InvalidInput, match="empty"):
        next_tokens(model, [])


@pytest.mark.parametrize("backend", ["huggingface", "transformerlens"])
def test_every_token_of_a_continuation_is_scored_special_ones_too(backend):
    model = hooks.load(tiny_model("llama"), tokenizer=tiny_tokenizer(), backend=backend)
    prompt, tokens = model.encode("She ran</s>"), model.encode("down<|end|> the hill")[1:]
    assert {prompt[-1], tokens[-1]} & model.special_ids == {prompt[-1]}
    assert set(tokens) & model.special_ids
    scored = continuation_tokens(model, prompt, tokens)
    with torch.no_grad():
        logits = model.hf(torch.tensor([[*prompt, *tokens]])).logits[0]
    expected = logits[len(prompt) - 1 : -1].log_softmax(dim=-1)
    assert scored.next_ids.tolist() == tokens
    assert torch.allclose(scored.log_probs, expected, atol=1e-4)


@pytest.mark.parametrize(("prompt", "tokens"), [([], [5]), ([5], [])])
def test_a_continuation_needs_a_prompt_and_a_token(model, prompt, tokens):
    with pytest.raises(InvalidInput, match="at least one token each"):
        continuation_tokens(model, prompt, tokens)


@pytest.mark.parametrize("backend", ["huggingface", "transformerlens"])
@pytest.mark.parametrize("steered", [False, True])
def test_continuations_of_a_prompt_are_scored_as_each_is_alone(backend, steered):
    model = hooks.load(tiny_model("gemma2"), tokenizer=tiny_tokenizer(), backend=backend)
    prompt = model.encode("The old man sat by the window.")
    continuations = [model.encode(text)[1:] for text in ("He watched the rain.", "No", TEXTS[0])]
    vector = torch.randn(model.d_model, generator=torch.Generator().manual_seed(1))
    how = {"layers": [1], "dose": 0.5 if steered else 0.0, "residual_norm": 5.0}
    with hooks.steer(model, vector, **how):
        together = mean_log_probs(model, prompt, continuations)
        alone = [-continuation_tokens(model, prompt, tokens).loss for tokens in continuations]
        after_one = mean_log_probs(model, prompt[:1], continuations[:1])
    assert together.tolist() == pytest.approx(alone, abs=1e-5)
    assert abs(float(after_one) - alone[0]) > 1e-3
    plain = mean_log_probs(model, prompt, continuations)
    assert torch.allclose(plain, together, atol=1e-6) != steered


def test_a_hook_that_wants_whole_prompts_gets_them(model):
    """A rule picks tokens of a whole prompt; of a part of it, it would pick others."""
    prompt, tokens = model.encode("The old man sat."), model.encode("He ran down the hill.")[1:]
    vector = torch.ones(model.d_model)
    vector[0] = -3.0
    how = {"layers": [1], "dose": 1.0, "residual_norm": 5.0, "positions": hooks.Span(1, 3)}
    with hooks.steer(model, vector, **how) as steering:
        [scored] = mean_log_probs(model, prompt, [tokens])
        assert steering.n_passes == 1
        alone = -continuation_tokens(model, prompt, tokens).loss
    assert float(scored) == pytest.approx(alone, abs=1e-5)


def test_a_prompt_for_all_needs_tokens_on_both_sides(model):
    for prompt, continuations in (([], [[5]]), ([5], []), ([5], [[5], []])):
        with pytest.raises(InvalidInput, match="at least one token each"):
            mean_log_probs(model, prompt, continuations)
