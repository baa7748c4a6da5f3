"""Scores of next tokens are the model's own."""

import pytest
import torch
from tiny_models import tiny_model, tiny_tokenizer

import hooks
from hooks import InvalidInput
from hooks.reading.scoring import continuation_tokens, next_tokens

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
