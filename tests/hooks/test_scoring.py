"""Scores of next tokens are the model's own."""

import pytest
import torch
from tiny_models import tiny_model, tiny_tokenizer

import hooks
from hooks import InvalidInput
from hooks.scoring import next_tokens

TEXTS = ["She ran down the hill.", "The old man sat by the window and watched the rain fall."]


@pytest.fixture(scope="module")
def model():
    return hooks.load(tiny_model("gemma2"), tokenizer=tiny_tokenizer(), backend="huggingface")


def test_log_probabilities_and_loss_are_those_of_the_model_itself(model):
    found = next_tokens(model, TEXTS)
    start, losses = 0, []
    for number, text in enumerate(TEXTS):
        ids = torch.tensor([model.encode(text)])
        with torch.no_grad():
            expected = model.hf(ids).logits[0].log_softmax(dim=-1)[1:-1]  # content with a next one
        rows = found.log_probs[found.text == number]
        assert torch.allclose(rows, expected, atol=1e-4)
        assert found.next_ids[found.text == number].tolist() == ids[0, 2:].tolist()
        losses += (-expected.gather(1, ids[0, 2:, None]))[:, 0].tolist()
        start += len(rows)
    assert found.loss == pytest.approx(sum(losses) / len(losses), abs=1e-4)


def test_only_the_tokens_asked_for_are_scored(model):
    found = next_tokens(model, TEXTS, hooks.Span(2, 5))
    assert len(found.next_ids) == 6
    everything = next_tokens(model, TEXTS[1:])
    assert torch.allclose(found.log_probs[found.text == 1], everything.log_probs[2:5], atol=1e-4)


def test_a_text_without_a_next_token_is_refused(model):
    with pytest.raises(InvalidInput, match="no token that has a next one"):
        next_tokens(model, ["She"], hooks.Span(50, 60))
    with pytest.raises(InvalidInput, match="empty"):
        next_tokens(model, [])
