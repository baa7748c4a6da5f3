"""A `HookedTransformer` of TransformerLens 3.9 is read like any other model.

TransformerLens 4 has no such class, so these tests need an environment of their own:

    pip install -e ".[dev]" "transformer-lens<4"
    python -m pytest tests/hooks/test_hooked_transformer.py
"""

import copy
import warnings
from typing import Any

import pytest
import torch

import hooks
from hooks import FromToken, Last, Span, block_attention
from hooks.doctor import examine
from hooks.errors import InvalidInput, ModelError
from hooks.tokens.encoding import pad

transformer_lens: Any = pytest.importorskip("transformer_lens")
try:
    HookedTransformer = transformer_lens.HookedTransformer
except ImportError:
    pytest.skip("TransformerLens 4 has no HookedTransformer", allow_module_level=True)

TEXTS = [
    "The old man sat by the window and watched the rain fall on the empty street.",
    "Nobody came.",
    "She ran down the hill laughing.",
]
LAYERS = [0, 1, 2]


@pytest.fixture(scope="module", params=["standard", "rotary"])
def hooked(request, tiny_folder):
    """Tiny random models: learned positions and LayerNorm, or rotary positions and RMSNorm."""
    from transformers import AutoTokenizer

    config = transformer_lens.HookedTransformerConfig(
        n_layers=3,
        d_model=32,
        n_ctx=128,
        n_heads=4,
        d_head=8,
        d_mlp=64,
        act_fn="gelu",
        d_vocab=320,
        normalization_type="LN" if request.param == "standard" else "RMS",
        positional_embedding_type=request.param,
        rotary_dim=8 if request.param == "rotary" else None,
        init_weights=True,
        initializer_range=0.2,
        seed=0,
        device="cpu",
    )
    state = torch.get_rng_state()
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder("llama"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the class announces its end
        model = HookedTransformer(config, tokenizer=tokenizer)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter), alpha=0.2)
    torch.set_rng_state(state)
    return model.eval()


@pytest.fixture(scope="module")
def model(hooked):
    return hooks.load(hooked)


def run_with_cache(hooked, ids: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Residual stream [layer position d_model] and logits [position d_vocab], the plain way."""
    with torch.no_grad():
        logits, cache = hooked.run_with_cache(torch.tensor([ids]), prepend_bos=False)
    return torch.stack([cache["resid_post", layer][0] for layer in LAYERS]), logits[0]


def close(got: torch.Tensor, expected: torch.Tensor) -> bool:
    return bool((got - expected).abs().max() < 1e-5 * expected.abs().max())


def test_what_was_given_is_recorded(model, hooked):
    assert (model.hooked, model.hf, model.backend) == (hooked, None, "transformerlens")
    assert model.backend_reason == "a HookedTransformer was given"
    assert (model.n_layers, model.d_model, model.d_vocab, model.n_positions) == (3, 32, 320, 128)
    assert model.weight_processing == "none"
    assert model.dtype == torch.float32


def test_pooled_means_are_those_of_run_with_cache(model, hooked):
    pooled = hooks.pooled_resid_post(model, TEXTS, FromToken(2))
    for row, text in enumerate(TEXTS):
        ids = model.encode(text)
        residual, _ = run_with_cache(hooked, ids)
        content = [i for i, token in enumerate(ids) if token not in model.special_ids]
        assert pooled.n_tokens[row] == len(content) - 2
        assert close(pooled.mean[row], residual[:, content[2:]].mean(dim=1))
        assert close(pooled.norm[row], residual[:, content[2:]].norm(dim=-1).mean(dim=1))


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_padded_batch_equals_its_texts_one_by_one(model, side):
    batch = hooks.pooled_resid_post(model, TEXTS, FromToken(1), padding_side=side)
    single = [hooks.pooled_resid_post(model, [text], FromToken(1)).mean for text in TEXTS]
    assert close(batch.mean, torch.cat(single))


@pytest.mark.parametrize(
    ("positions", "window"), [(Span(1, 4), slice(1, 4)), (Last(2), slice(-2, None))]
)
def test_the_token_window_counts_content_tokens(model, hooked, positions, window):
    # The beginning and the marker in the middle are read and never counted.
    text = "They waited</s> at the station."
    ids = model.encode(text)
    assert ids[0] == 1
    content = [i for i, token in enumerate(ids) if token not in model.special_ids]
    assert len(content) == len(ids) - 2
    pooled = hooks.pooled_resid_post(model, [TEXTS[0], text, ""], positions)
    residual, _ = run_with_cache(hooked, ids)
    assert close(pooled.mean[1], residual[:, content[window]].mean(dim=1))
    assert pooled.n_tokens[2] == 0
    assert pooled.mean[2].isnan().all()


def test_every_token_of_one_text_is_read(model, hooked):
    read = hooks.resid_post(model, TEXTS[0], layers=[2, 0])
    residual, _ = run_with_cache(hooked, read.token_ids)
    assert close(read.resid, residual[[2, 0]])


def test_nothing_runs_after_the_last_layer_needed(model, hooked):
    seen = []
    names = [f"blocks.{layer}.hook_resid_post" for layer in LAYERS]
    named = [(name, lambda _residual, hook: seen.append(hook.name)) for name in names]
    with hooked.hooks(fwd_hooks=named):
        hooks.pooled_resid_post(model, TEXTS[:1], layers=[0, 1])
    assert seen == names[:2]


def test_unembed_turns_the_last_residual_into_the_models_own_logits(model, hooked):
    ids = model.encode(TEXTS[0])
    residual, logits = run_with_cache(hooked, ids)
    assert close(model.unembed(residual[-1]), logits)


def test_directions_get_nothing_from_the_biases(model):
    assert model.direction_logits(torch.zeros(1, 32)).abs().max() < 1e-6


@pytest.mark.parametrize("through", ["bulk", "reader"])
def test_nothing_stays_on_the_model_after_an_exception(model, hooked, through):
    before = hooks.pooled_resid_post(model, TEXTS).mean

    def spoil(residual, _layer):
        return residual * float("nan")

    def fail(_residual, _layer):
        raise RuntimeError("from inside the pass")

    tree = getattr(model, through)
    with pytest.raises(RuntimeError, match="inside the pass"), tree.hooked({0: spoil, 1: fail}):
        hooks.pooled_resid_post(model, TEXTS)
    assert not any(point.fwd_hooks for point in hooked.hook_dict.values())
    assert torch.equal(hooks.pooled_resid_post(model, TEXTS).mean, before)


def test_written_residuals_reach_the_next_block(model):
    plain = hooks.resid_post(model, TEXTS[0]).resid
    with model.reader.hooked({0: lambda residual, _layer: residual + 1}):
        written = hooks.resid_post(model, TEXTS[0]).resid
    assert close(written[0], plain[0] + 1)
    assert (written[1] - plain[1]).abs().max() > 0.1


@pytest.mark.parametrize("layer", [-1, 3])
def test_a_layer_the_model_does_not_have_is_refused(model, layer):
    with pytest.raises(InvalidInput, match="0 to 2"):
        hooks.pooled_resid_post(model, TEXTS, layers=[layer])


def test_a_text_longer_than_the_model_reads_is_refused(model):
    with pytest.raises(InvalidInput, match="at most 128"):
        hooks.resid_post(model, "x" * 200)


def test_generation_is_left_to_transformerlens(model):
    with pytest.raises(ModelError, match="model.hooked.generate"):
        model.generate(["The"], max_new_tokens=1)


def test_processed_weights_are_recorded(hooked):
    """Folding the norm changes the basis of nothing written by the blocks, but says so."""
    folded = copy.deepcopy(hooked)
    folded.load_and_process_state_dict(hooked.state_dict(), fold_ln=True)
    assert folded.cfg.normalization_type in ("LNPre", "RMSPre")
    assert hooks.load(folded).weight_processing == "folded"
    assert hooks.load(hooked).fingerprint != hooks.load(folded).fingerprint


def test_the_doctor_passes_it(model):
    diagnosis = examine(model)
    assert diagnosis.ok, diagnosis
    notices = {check.name for check in diagnosis.checks if check.passed is None}
    assert {"backends agree", "no generation", "short texts only"} <= notices


@pytest.mark.parametrize("positions", ["all", hooks.Last(), hooks.Span(1, 3)])
def test_steering_moves_the_chosen_tokens_by_its_strength_and_leaves_nothing(model, positions):
    vector = torch.ones(model.d_model)
    plain = hooks.resid_post(model, TEXTS[0], [1]).resid[0]
    with hooks.steer(model, vector, layers=[1], strength=2.0, positions=positions) as record:
        steered = hooks.resid_post(model, TEXTS[0], [1]).resid[0]
    moved = (steered - plain) @ (vector / vector.norm())
    if positions == "all":
        assert record.n_tokens[1] == len(plain)
    assert int((moved > 1e-3).sum()) == record.n_tokens[1] > 0
    assert close(moved[moved > 1e-3], torch.full((record.n_tokens[1],), 2.0))
    assert torch.equal(hooks.resid_post(model, TEXTS[0], [1]).resid[0], plain)


def test_each_token_is_steered_once_under_transformerlens_own_generation(model, hooked):
    ids = torch.tensor([model.encode(TEXTS[0])])
    n_prompt = ids.shape[1]
    counts = {"all": n_prompt + 4, "prompt": n_prompt, "generated": 4}
    for where, expected in counts.items():
        vector = torch.ones(model.d_model)
        with hooks.steer(model, vector, layers=[1], strength=1.0, positions=where) as record:
            hooked.generate(
                ids, max_new_tokens=5, do_sample=False, stop_at_eos=False, verbose=False
            )
        assert record.n_tokens == {1: expected}


@torch.no_grad()
def test_a_mask_and_a_cache_without_names_are_heard(model, hooked):
    vector = torch.ones(model.d_model)
    batch = pad([model.encode(text) for text in TEXTS], model.special_ids, side="left")
    unnamed = (None,) * 5
    with hooks.steer(model, vector, layers=[1], strength=2.0) as record:
        hooked(batch.ids, "logits", False, *unnamed, batch.attention_mask)
    assert record.n_tokens == {1: int(batch.attention_mask.sum())} != {1: batch.ids.numel()}

    ids = torch.tensor([model.encode(TEXTS[0])])
    cache = transformer_lens.TransformerLensKeyValueCache.init_cache(hooked.cfg, "cpu", 1)
    with hooks.steer(model, vector, layers=[1], strength=2.0, positions="prompt") as record:
        hooked(ids[:, :-1], "logits", False, *unnamed, None, None, cache)
        assert record.n_tokens == {1: ids.shape[1] - 1}
        hooked(ids[:, -1:], "logits", False, *unnamed, None, None, cache)
    assert record.n_tokens == {1: ids.shape[1] - 1}


def test_knocked_out_attention_passes_nothing_and_is_the_model_where_nothing_is_blocked(model):
    ids = model.encode(TEXTS[0])
    pasts = [ids, [ids[0], ids[2], ids[1], *ids[3:]]]

    def after(past):
        return hooks.resid_post(model, past, LAYERS).resid[:, 3:]

    plain = [after(past) for past in pasts]
    with block_attention(model, queries=FromToken(2), keys=Span(0, 2)) as record:
        blocked = [after(past) for past in pasts]
    assert not torch.allclose(*plain)
    assert torch.equal(*blocked)
    assert record.n_pairs == 2 * 2 * (len(ids) - 3)
    with block_attention(model, queries=Span(0, 1), keys=Last(1)) as record:
        assert torch.equal(after(ids), plain[0])
    assert record.n_pairs == 0
