"""Tiny models of any architecture: small, random, the same for a seed."""

import pytest
import torch

from hooks.errors import ModelError
from hooks.models.miniature import architectures, tiny_model, tiny_tokenizer

SENTENCE = "The ferry was late, so they stood on the pier."


def test_every_causal_architecture_of_transformers_is_listed():
    listed = architectures()
    assert {"llama", "gemma3_text", "falcon_h1", "mamba"} <= set(listed)
    assert len(listed) == len(set(listed)) > 150


@pytest.mark.parametrize("kind", ["gpt2", "gemma3", "deepseek_v3", "mamba2"])
def test_models_are_small_and_decided_by_the_seed(kind):
    state = torch.get_rng_state()
    hf, again, other = tiny_model(kind), tiny_model(kind), tiny_model(kind, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert sum(parameter.numel() for parameter in hf.parameters()) < 2_000_000
    pairs = list(zip(hf.parameters(), again.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in pairs)
    assert not torch.equal(next(hf.parameters()), next(other.parameters()))
    assert {parameter.dtype for parameter in hf.parameters()} == {torch.float32}


@pytest.mark.parametrize("kind", ["musicgen", "no_such_architecture"])
def test_what_cannot_be_built_says_so(kind):
    with pytest.raises(ModelError, match=f"no tiny {kind} can be built: "):
        tiny_model(kind)


def test_the_tokenizer_writes_what_it_reads_and_begins_every_text():
    tokenizer = tiny_tokenizer([SENTENCE])
    ids = tokenizer(SENTENCE)["input_ids"]
    assert ids.count(tokenizer.bos_token_id) == 1
    assert ids[0] == tokenizer.bos_token_id
    assert tokenizer.decode(ids, skip_special_tokens=True) == SENTENCE
    assert (
        tokenizer.decode(tokenizer("\u00e9!")["input_ids"], skip_special_tokens=True) == "\u00e9!"
    )
    assert len(tokenizer) <= 320
