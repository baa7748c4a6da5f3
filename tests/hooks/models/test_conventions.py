"""How a model may be called is found by trying, and what fails is gone around."""

from typing import Any

import pytest
import torch

import hooks
from hooks.errors import InvalidInput
from hooks.models.conventions import Conventions, accepted, find_conventions
from hooks.models.miniature import tiny_model as miniature
from hooks.models.miniature import tiny_tokenizer as bpe
from hooks.models.structure import find_structure

TEXTS = ["He opened the letter and read it twice.", "It rained.", "Nobody had opened the shop."]


def conventions_of(hf: Any) -> Conventions:
    return find_conventions(hf, find_structure(hf))


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "gemma3", "qwen3_5"])
def test_most_models_take_everything(tiny_hf_model, architecture):
    assert conventions_of(tiny_hf_model(architecture)) == Conventions()


def test_a_cache_of_its_own_is_named():
    reason = conventions_of(miniature("minimax")).why_no_cache
    assert reason is not None
    assert "MiniMax uses cache of its own" in reason


def test_a_model_that_forgets_what_is_cached_is_noticed(tiny_hf_model):
    hf = tiny_hf_model("llama")
    hf.model.register_forward_pre_hook(
        lambda _module, args, named: (args, {**named, "past_key_values": None}), with_kwargs=True
    )
    assert "its logits differ" in (conventions_of(hf).why_no_cache or "")


def test_positions_that_begin_elsewhere_are_not_given():
    """Of camembert's learned positions the first ones are padding's."""
    assert not conventions_of(miniature("camembert")).takes_positions


def test_arguments_are_those_that_a_forward_takes(tiny_hf_model):
    named = {"attention_mask": 1, "pictures": 2}
    assert accepted(torch.nn.Linear(2, 2), named) == {}
    assert accepted(tiny_hf_model("gpt2"), named) == named  # it takes any


@pytest.fixture(scope="module")
def bart():
    return hooks.load(miniature("bart"), tokenizer=bpe(TEXTS), backend="huggingface")


class TestPaddingThatCounts:
    """Bart counts positions from the row's first token, be it padding."""

    def test_it_is_noticed(self, bart):
        assert bart.conventions == Conventions(pads_left=False)

    def test_texts_written_together_are_those_written_alone(self, bart):
        settings = {"max_new_tokens": 6, "temperature": 0.0}
        alone = [bart.generate([text], **settings)[0] for text in TEXTS]
        assert bart.generate(TEXTS, **settings) == alone
        ids = torch.tensor([[*bart.encode(TEXTS[1]), *alone[1].tokens]])
        with torch.no_grad():
            logits = bart.hf(ids, use_cache=False).logits[0]
        n_prompt = ids.shape[1] - len(alone[1].tokens)
        assert logits[n_prompt - 1 : -1].argmax(dim=1).tolist() == alone[1].tokens

    def test_reading_it_from_the_left_is_refused(self, bart):
        right = hooks.pooled_resid_post(bart, TEXTS)
        alone = [hooks.pooled_resid_post(bart, [text]).mean for text in TEXTS]
        torch.testing.assert_close(right.mean, torch.cat(alone), atol=1e-5, rtol=1e-5)
        with pytest.raises(InvalidInput, match="padding_side: .* counts padding on the left"):
            hooks.pooled_resid_post(bart, TEXTS, padding_side="left")
