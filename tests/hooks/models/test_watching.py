"""Steering acts on every architecture, whoever is called: once a pass, on the tokens chosen."""

import pytest
import torch
from tiny_models import decoder_blocks

import hooks
from hooks import InvalidInput
from hooks.models.watching import watching
from hooks.tokens.encoding import pad

TEXTS = ["The old man sat by the window and watched the rain fall.", "Nobody came."]
GREEDY = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
LAYER, STRENGTH = 1, 6.0


@pytest.fixture(params=["gemma4", "gemma4-multimodal", "gemma3", "gpt2", "qwen3"])
def model(request, tiny_model):
    return tiny_model(request.param)


@pytest.fixture
def vector(model):
    return torch.randn(model.d_model, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def ids(model):
    return torch.tensor([model.encode(TEXTS[0])])


def steered(model, vector, **settings):
    return hooks.steer(model, vector, layers=[LAYER], strength=STRENGTH, **settings)


def by_hand(hf, vector):
    """A hook of PyTorch's own that adds to every token; returns its handle."""

    def add(_module, _inputs, output):
        moved = STRENGTH * vector / vector.norm()
        if isinstance(output, tuple):
            return (output[0] + moved, *output[1:])
        return output + moved

    return decoder_blocks(hf)[LAYER].register_forward_hook(add)


@torch.no_grad()
def test_a_forward_pass_is_steered_as_by_hand(model, vector, ids):
    plain = model.hf(ids).logits
    handle = by_hand(model.hf, vector)
    expected = model.hf(ids).logits
    handle.remove()
    with steered(model, vector) as record:
        got = model.hf(ids).logits
    assert (record.n_passes, record.n_tokens) == (1, {LAYER: ids.shape[1]})
    assert torch.allclose(got, expected, atol=1e-5)
    assert (got - plain).abs().max() > 0.1
    assert torch.equal(model.hf(ids).logits, plain)


def test_generation_is_steered_as_by_hand(model, vector, ids):
    plain = model.hf.generate(ids, **GREEDY)[0, ids.shape[1] :].tolist()
    handle = by_hand(model.hf, vector)
    expected = model.hf.generate(ids, **GREEDY)[0, ids.shape[1] :].tolist()
    handle.remove()
    with steered(model, vector) as record:
        [written] = model.generate([ids[0].tolist()], max_new_tokens=6, temperature=0.0)
    assert written.tokens == expected[: len(written.tokens)] != plain[: len(written.tokens)]
    fed = len(written.tokens) - (not written.finished)
    assert record.n_tokens == {LAYER: ids.shape[1] + fed}


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_batch_is_steered_as_its_texts_one_by_one(model, vector, side):
    plain = hooks.pooled_resid_post(model, TEXTS).mean
    with steered(model, vector, positions=hooks.Last(2)):
        together = hooks.pooled_resid_post(model, TEXTS, padding_side=side).mean
        alone = torch.cat([hooks.pooled_resid_post(model, [text]).mean for text in TEXTS])
    assert (together - alone).abs().max() / alone.abs().max() < 1e-5
    assert (together - plain)[:, LAYER].abs().max() > 0.1


@pytest.mark.parametrize(
    "positions", ["all", "prompt", "generated", "last", hooks.Span(1, 4), hooks.TextSpan("rain")]
)
@pytest.mark.parametrize("tree", ["hf", "hooked"])
def test_a_library_writes_the_same_with_and_without_a_cache(model, vector, ids, positions, tree):
    library = getattr(model, tree)
    options, switch = dict(GREEDY), "use_cache"
    if tree == "hooked":
        options = {"max_new_tokens": 6, "do_sample": False, "stop_at_eos": False}
        options |= {"verbose": False, "return_type": "tokens"}
        switch = "use_past_kv_cache"
    written, changed = [], []
    for cache in (True, False):
        with steered(model, vector, positions=positions) as record:
            written.append(library.generate(ids, **options, **{switch: cache}).tolist())
        changed.append(record.n_tokens[LAYER])
    assert written[0] == written[1]
    # Without a cache, the prompt's tokens are computed six times, the first one drawn five times.
    n_prompt = changed[0] - (5 if positions in ("all", "generated") else 0)
    drawn = 5 + 4 + 3 + 2 + 1 if positions in ("all", "generated") else 0
    assert changed[1] == 6 * n_prompt + drawn


BY_PLACE = {
    ("llama", "hf"): lambda hf, ids, mask, cache: hf(ids, mask, None, cache),
    ("gpt2", "hf"): lambda hf, ids, mask, cache: hf(ids, cache, mask),
    ("llama", "hooked"): lambda bridge, ids, mask, cache: bridge(
        ids, "logits", False, None, None, mask, None, None, None, None, None, cache
    ),
}
by_place = pytest.mark.parametrize(("kind", "tree"), BY_PLACE)


@by_place
@torch.no_grad()
def test_padding_is_left_alone_also_where_the_mask_has_no_name(tiny_model, kind, tree):
    model = tiny_model(kind)
    library = getattr(model, tree)
    batch = pad([model.encode(text) for text in TEXTS], model.special_ids, side="left")
    mask = batch.attention_mask
    assert not mask.all()
    with steered(model, torch.arange(1.0, model.d_model + 1)) as record:
        got = BY_PLACE[kind, tree](library, batch.ids, mask, None)
        assert record.n_tokens == {LAYER: int(mask.sum())}
        named = library(batch.ids, attention_mask=mask)
    assert torch.equal(*(getattr(one, "logits", one)[mask.bool()] for one in (got, named)))


@by_place
@pytest.mark.parametrize("positions", ["prompt", "generated"])
@torch.no_grad()
def test_a_cache_without_a_name_is_continued(tiny_model, kind, tree, positions):
    model = tiny_model(kind)
    ids = torch.tensor([model.encode(TEXTS[0])])
    with steered(model, torch.ones(model.d_model), positions=positions) as record:
        cache = model.hf(ids[:, :-1], use_cache=True).past_key_values
        BY_PLACE[kind, tree](getattr(model, tree), ids[:, -1:], None, cache)
    expected = {"prompt": ids.shape[1] - 1, "generated": 1}
    assert record.n_tokens == {LAYER: expected[positions]}


class _Unnamed(torch.nn.Module):
    """Takes whatever comes, as wrappers of models do."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, *inputs, **named):
        return self.inner(*inputs, **named)


def test_arguments_that_nobody_can_name_are_refused_and_the_ids_are_not(tiny_model):
    hf, seen = tiny_model("llama").hf, []
    wrapper, ids = _Unnamed(hf), torch.tensor([[1, 2, 3]])
    mask = torch.tensor([[0, 1, 1]])
    with watching([wrapper, hf], seen.append):
        wrapper(ids, attention_mask=mask)
        with pytest.raises(InvalidInput, match="attention_mask and past_key_values by name"):
            wrapper(ids, mask)
    [inputs] = seen
    assert torch.equal(inputs.ids, ids)
    assert torch.equal(inputs.mask, mask)


def test_whichever_of_the_nested_modules_is_called_tells_once(model, ids):
    hf, seen = model.hf, []
    trunk = model.bulk.structure.trunk
    way = [module for module in hf.modules() if trunk in module.modules()]
    assert way[0] is hf
    assert way[-1] is trunk
    with model.bulk.watched(seen.append), torch.no_grad():
        for called, module in enumerate(way):
            module(input_ids=ids)
            assert len(seen) == called + 1
            assert torch.equal(seen[-1].ids, ids)
    assert not any("forward" in vars(module) for module in hf.modules())


def test_an_interrupt_inside_a_pass_does_not_deafen_the_watcher(tiny_model):
    model, seen = tiny_model("llama"), []
    ids = torch.tensor([[1, 2, 3]])

    def interrupt(*_):
        raise KeyboardInterrupt

    with watching([model.hf, model.hf.model], seen.append):
        handle = model.hf.lm_head.register_forward_hook(interrupt)
        with pytest.raises(KeyboardInterrupt):
            model.hf(ids)
        handle.remove()
        model.hf(ids)
    assert len(seen) == 2


def test_inputs_that_do_not_say_which_tokens_they_are_get_refused(tiny_model):
    model = tiny_model("llama")
    ids = torch.tensor([model.encode(TEXTS[0])])
    embeddings = model.hf.get_input_embeddings()(ids)
    with (
        steered(model, torch.ones(model.d_model)),
        pytest.raises(InvalidInput, match="expected token ids, got NoneType"),
    ):
        model.hf(inputs_embeds=embeddings)
    with (
        steered(model, torch.ones(model.d_model)),
        pytest.raises(InvalidInput, match="one number per token"),
    ):
        model.hf.generate(ids, **GREEDY, cache_implementation="static")
