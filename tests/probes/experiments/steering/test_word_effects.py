"""Words as next tokens: which layers are swept, and what is read after a sentence."""

import pytest
import torch
from tiny_models import tiny_model, tiny_tokenizer
from torch.nn.functional import kl_div

import hooks
from hooks import InvalidInput
from probes.experiments.steering.word_effects import (
    first_tokens,
    last_residuals,
    log_probs,
    steered,
    swept_layers,
)


@pytest.fixture(scope="module")
def model():
    return hooks.load(tiny_model("llama"), tokenizer=tiny_tokenizer(), backend="huggingface")


def test_layers_are_the_target_and_its_surroundings_unless_asked_for():
    assert swept_layers(range(18), 12, 18, None) == [9, 12, 15]
    assert swept_layers([12], 12, 18, None) == [12]
    assert swept_layers(range(18), 12, 18, [7, 3]) == [3, 7]
    with pytest.raises(InvalidInput, match="no vectors at layer 5"):
        swept_layers([1, 2], 2, 18, [5])


def test_a_words_tokens_are_those_that_follow_a_sentence(model):
    [tokens] = first_tokens(model, ["rain"])
    assert model.tokenizer.decode(tokens) == " rain"


def test_unsteered_and_steered_are_the_models_own_next_token(model):
    text = "The old man felt"
    plain = log_probs(model, last_residuals(model, [text]))
    logits = model.hf(torch.tensor([model.encode(text)])).logits[0, -1]
    assert torch.allclose(plain[0], logits.log_softmax(dim=-1), atol=1e-4)
    directions = torch.randn(2, model.d_model, generator=torch.Generator().manual_seed(0))
    how = {"layers": [1], "residual_norm": 10.0, "replay": hooks.Replay(model)}
    words = torch.arange(model.d_vocab)
    unmoved = steered(model, directions, text, plain[0], words, dose=0.0, **how)
    assert torch.allclose(unmoved.changes, torch.zeros(2, model.d_vocab), atol=1e-4)
    assert torch.allclose(unmoved.divergence, torch.zeros(2), atol=1e-4)
    moved = steered(model, directions, text, plain[0], words, dose=0.5, **how)
    assert not torch.allclose(moved.changes[0], moved.changes[1], atol=1e-2)
    after = moved.changes.double() + plain.double()
    assert torch.allclose(after.exp().sum(dim=1), torch.ones(2).double(), atol=1e-4)
    divergence = kl_div(plain.double().expand(2, -1), after, reduction="none", log_target=True)
    assert torch.allclose(moved.divergence.double(), divergence.sum(dim=1), atol=1e-4)
    some = steered(model, directions, text, plain[0], words[[5, 3]], dose=0.5, **how)
    assert torch.allclose(some.changes, moved.changes[:, [5, 3]], atol=1e-5)
