"""Attention knock-out: nothing passes where it is blocked, and nothing changes where it is not."""

import pytest
import torch
from einops import rearrange
from tiny_models import tiny_model, tiny_tokenizer

import hooks
from hooks import FromToken, InvalidInput, Last, ModelError, Span, TextSpan, block_attention

TEXTS = ["She ran down the hill.", "The old man sat by the window and watched the rain fall."]


def _load(architecture, backend="huggingface"):
    return hooks.load(tiny_model(architecture), tokenizer=tiny_tokenizer(), backend=backend)


@pytest.fixture(scope="module", params=["huggingface", "transformerlens"])
def model(request):
    return _load("llama", request.param)


def _last(model, text, layers=None, through="reader"):
    return hooks.resid_post(model, text, layers, through=through).resid


def _two_pasts(model):
    """Token ids of two texts of one length that differ in their second and third token alone."""
    ids = model.encode(TEXTS[1])
    return ids, [ids[0], ids[2], ids[1], *ids[3:]]


@pytest.mark.parametrize("through", ["bulk", "reader"])
def test_nothing_passes_from_blocked_tokens(model, through):
    """With all of the past blocked at every layer, what follows is the same after any past."""
    past = _two_pasts(model)
    plain = [_last(model, ids, through=through)[:, 3:] for ids in past]
    with block_attention(model, queries=FromToken(2), keys=Span(0, 2)) as record:
        blocked = [_last(model, ids, through=through)[:, 3:] for ids in past]
    assert not torch.allclose(*plain)
    assert torch.equal(*blocked)
    assert record.n_passes == 2
    assert record.n_pairs == 2 * 2 * (len(past[0]) - 3)


def test_zero_blocked_pairs_are_the_model_itself(model):
    """A rule may pick tokens that no query comes after."""
    text = TEXTS[1]
    plain = _last(model, text)
    with block_attention(model, queries=Span(0, 1), keys=Last(1)) as record:
        blocked = _last(model, text)
    assert record.n_pairs == 0
    assert torch.equal(plain, blocked)


def test_blocked_layers_are_those_asked_for(model):
    text, last = TEXTS[1], model.n_layers - 1
    plain = _last(model, text)
    with block_attention(model, queries=Last(2), keys=Span(0, 3), layers=[last]):
        blocked = _last(model, text)
    assert torch.equal(plain[:last], blocked[:last])
    assert not torch.allclose(plain[last], blocked[last])
    assert torch.equal(plain[last, :-2], blocked[last, :-2])


def test_a_batch_gives_what_its_texts_give_alone(model):
    texts, n = TEXTS, 3
    keys = [Span(0, 2), Span(1, 4)]
    with block_attention(model, queries=Last(n), keys=keys):
        together = hooks.pooled_resid_post(model, texts, Last(n))
        left = hooks.pooled_resid_post(model, texts, Last(n), padding_side="left")
    for row, (text, key) in enumerate(zip(texts, keys, strict=True)):
        with block_attention(model, queries=Last(n), keys=[key]):
            alone = hooks.pooled_resid_post(model, [text], Last(n))
        torch.testing.assert_close(together.mean[row], alone.mean[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together.mean, left.mean, rtol=1e-4, atol=1e-5)


def test_it_is_the_model_under_a_mask_of_its_own():
    """A causal mask without the pairs, given to the plain model, computes the same."""
    model = _load("llama")
    ids = torch.tensor([model.encode(TEXTS[1])])
    seen = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).tril()
    seen[-2:, 2:5] = False  # content tokens 1 to 3, after the one that begins a text
    mask = rearrange(seen, "query key -> 1 1 query key")
    read = []
    tree = model.bulk
    with tree.hooked({model.n_layers - 1: lambda residual, _layer: read.append(residual[0])}):
        model.hf(input_ids=ids, attention_mask=mask, use_cache=False)
    with block_attention(model, queries=Last(2), keys=Span(1, 4)):
        blocked = _last(model, TEXTS[1], [model.n_layers - 1], "bulk")
    torch.testing.assert_close(read[0], blocked[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", ["gpt2", "gemma3", "gemma4", "helium", "mistral", "phi3"])
def test_other_architectures_forget_what_is_blocked(architecture):
    model = _load(architecture)
    with block_attention(model, queries=FromToken(2), keys=Span(0, 2)):
        blocked = [_last(model, ids, through="bulk")[:, 3:] for ids in _two_pasts(model)]
    assert torch.equal(*blocked)


def test_the_first_token_goes_with_the_next_where_none_begins_texts():
    """Without a special first token, what the first word says is blocked as well."""
    model = hooks.load(tiny_model("llama"), tokenizer=tiny_tokenizer(bos="none"))
    ids = model.encode(TEXTS[1])
    past = [ids, [ids[1], ids[0], *ids[2:]]]
    with block_attention(model, queries=FromToken(1), keys=Span(0, 1)):
        blocked = [_last(model, each, through="bulk")[:, 2:] for each in past]
    assert torch.equal(*blocked)


def test_texts_can_be_named_by_their_words(model):
    text = TEXTS[1]
    queries, keys = TextSpan("the rain fall."), TextSpan("old man")
    with block_attention(model, queries=queries, keys=keys) as record:
        blocked = _last(model, text)
    assert record.n_pairs > 0
    assert not torch.allclose(blocked[:, -1], _last(model, text)[:, -1])


def test_a_recurrent_model_is_refused():
    with (
        pytest.raises(ModelError, match="cannot be blocked"),
        block_attention(_load("qwen3_5"), queries=Last(1), keys=Span(0, 1)),
    ):
        pass


def test_writing_from_a_cache_is_refused(model):
    with (
        pytest.raises(InvalidInput, match="cached"),
        block_attention(model, queries=Last(1), keys=Span(0, 1)),
    ):
        model.generate(["She ran"], max_new_tokens=3, temperature=0.0)


def test_a_layer_the_model_lacks_is_refused(model):
    with (
        pytest.raises(InvalidInput, match="out of range"),
        block_attention(model, queries=Last(1), keys=Span(0, 1), layers=[99]),
    ):
        pass


def test_nothing_stays_behind(model):
    text = TEXTS[0]
    plain = _last(model, text)
    with pytest.raises(RuntimeError), block_attention(model, queries=Last(2), keys=Span(0, 2)):
        raise RuntimeError
    assert torch.equal(plain, _last(model, text))
