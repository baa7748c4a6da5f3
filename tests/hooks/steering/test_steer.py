"""Steering: the algebra, what is touched and when, and that nothing stays behind."""

import contextlib

import pytest
import torch
from jaxtyping import TypeCheckError
from tiny_models import tiny_model, tiny_tokenizer

import hooks
from hooks import InvalidInput
from hooks.generation.last_token import at_end, next_token_logits
from hooks.generation.sampling import stop_ids
from hooks.steering import steer as steering

TEXTS = ["She ran down the hill.", "The old man sat by the window and watched the rain fall."]


@pytest.fixture(scope="module", params=["huggingface", "transformerlens"])
def model(request):
    return hooks.load(tiny_model("llama"), tokenizer=tiny_tokenizer(), backend=request.param)


@pytest.fixture
def vector(model):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(model.d_model, generator=generator)


def _residuals(seed=0, n=7, d=16):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)) * 10


def _unit(d=16):
    direction = torch.randn(d, generator=torch.Generator().manual_seed(5))
    return direction / direction.norm()


@contextlib.contextmanager
def _components(model, vector, layer):
    """What the next block gets along a vector, token by token, on either tree of a model."""
    seen: list[torch.Tensor] = []

    def look(residual, _layer):
        seen.append((residual @ (vector / vector.norm())).flatten())

    with contextlib.ExitStack() as stack:
        for tree in {id(model.bulk): model.bulk, id(model.reader): model.reader}.values():
            stack.enter_context(tree.hooked({layer: look}))
        yield seen


def test_projection_leaves_no_component():
    assert (steering.project(_residuals(), _unit()) @ _unit()).abs().max() <= 1e-5


def test_clamp_hits_its_target():
    changed = steering.clamp(_residuals(), _unit(), 3.5)
    assert (changed @ _unit() - 3.5).abs().max() <= 1e-4


def test_rotation_keeps_the_norm_and_turns_toward_the_direction():
    before, after = _residuals(), steering.rotate(_residuals(), _unit(), 4.0)
    assert torch.allclose(after.norm(dim=1), before.norm(dim=1), rtol=1e-5)
    assert ((after @ _unit()) > (before @ _unit())).all()


def test_add_moves_by_the_coefficient_along_the_direction_only():
    moved = steering.add(_residuals(), _unit(), 2.0) - _residuals()
    assert torch.allclose(moved, (2.0 * _unit()).expand_as(moved), atol=1e-5)


@pytest.mark.parametrize("through", ["bulk", "reader"])
@pytest.mark.parametrize("operation", ["project", "clamp", "rotate"])
def test_each_operation_does_to_the_stream_what_it_says(model, vector, operation, through):
    unit = vector / vector.norm()
    strength = {} if operation == "project" else {"strength": 3.5}

    def tokens():
        kept = hooks.pooled_resid_post(
            model, TEXTS, layers=[1], keep=hooks.FromToken(0), through=through
        )
        return kept.tokens[:, 0]

    before = tokens()
    with hooks.steer(model, vector, layers=[1], operation=operation, **strength):
        after = tokens()
    assert (after - before).abs().max() > 0.1
    if operation == "rotate":
        assert torch.allclose(after.norm(dim=1), before.norm(dim=1), rtol=1e-5)
        moved = before + 3.5 * unit
        assert (torch.cosine_similarity(after, moved, dim=1) > 1 - 1e-5).all()
    else:
        assert (after @ unit - (3.5 if operation == "clamp" else 0.0)).abs().max() < 1e-4
        across = (after - before) - ((after - before) @ unit)[:, None] * unit
        assert across.abs().max() < 1e-4  # nothing else moves


@pytest.mark.parametrize("operation", ["add", "rotate"])
def test_dose_zero_is_the_unsteered_model_bit_for_bit(model, vector, operation):
    plain = hooks.pooled_resid_post(model, TEXTS).mean
    with hooks.steer(model, vector, layers=[1], dose=0.0, residual_norm=10.0, operation=operation):
        assert torch.equal(hooks.pooled_resid_post(model, TEXTS).mean, plain)


@pytest.mark.parametrize("operation", ["add", "rotate"])
def test_dose_zero_selects_nothing_and_hangs_nothing_on_the_model(model, vector, operation):
    zero = {"layers": [1], "strength": 0.0, "operation": operation}
    with hooks.steer(model, vector, **zero, positions=hooks.Span(90, 95)) as record:
        hooks.resid_post(model, TEXTS[0])
        assert not any("forward" in vars(module) for module in model.hf.modules())
    assert (record.n_passes, record.n_tokens) == (0, {1: 0})


def test_clamping_to_dose_zero_is_projection(model, vector):
    plain = hooks.pooled_resid_post(model, TEXTS).mean
    with hooks.steer(model, vector, layers=[1], dose=0.0, residual_norm=9.0, operation="clamp"):
        clamped = hooks.pooled_resid_post(model, TEXTS).mean
    with hooks.steer(model, vector, layers=[1], operation="project"):
        assert torch.equal(hooks.pooled_resid_post(model, TEXTS).mean, clamped)
    assert (clamped - plain).abs().max() > 0.1


def test_requested_and_realized_dose_agree_at_every_layer(model, vector):
    norms = hooks.pooled_resid_post(model, TEXTS).norm.mean(dim=0)
    unit = vector / vector.norm()
    for layer in range(model.n_layers):
        plain = hooks.resid_post(model, TEXTS[1], [layer]).resid
        with hooks.steer(model, vector, layers=[layer], dose=0.2, residual_norm=norms):
            steered = hooks.resid_post(model, TEXTS[1], [layer]).resid
        realized = ((steered - plain) @ unit) / norms[layer]
        assert (realized - 0.2).abs().max() < 1e-3


def test_split_divides_the_dose_over_the_layers(model, vector):
    options = {"layers": [0, 1], "dose": 0.4, "residual_norm": 10.0}
    with hooks.steer(model, vector, **options) as whole:
        hooks.resid_post(model, TEXTS[0])
    with hooks.steer(model, vector, **options, split=True) as split:
        hooks.resid_post(model, TEXTS[0])
    assert whole.coefficients == {0: 4.0, 1: 4.0}
    assert split.coefficients == {0: 2.0, 1: 2.0}
    assert (whole.dose, whole.split, split.dose, split.split) == (0.4, False, 0.4, True)


def test_each_token_is_changed_once_in_prefill_and_once_in_decode(model, vector):
    prompts = [model.encode(text) for text in TEXTS]
    with hooks.steer(model, vector, layers=[1, 2], strength=0.5) as steering_:
        written = model.generate(TEXTS, max_new_tokens=6, temperature=0.0)
    # The last token drawn is never fed back.
    fed = sum(len(text.tokens) - (0 if text.finished else 1) for text in written)
    expected = sum(len(prompt) for prompt in prompts) + fed
    assert steering_.n_tokens == {1: expected, 2: expected}


@pytest.mark.parametrize("library", ["hf", "hooked"])
def test_each_token_is_changed_once_under_the_libraries_own_generation(model, vector, library):
    tree = getattr(model, library)
    if tree is None:
        pytest.skip("the Hugging Face backend has no TransformerLens model")
    ids = torch.tensor([model.encode(TEXTS[1])])
    options = {"max_new_tokens": 5, "do_sample": False}
    if library == "hooked":
        options |= {"stop_at_eos": False, "verbose": False, "return_type": "tokens"}
    else:
        options |= {"eos_token_id": None, "pad_token_id": 0}
    for where, expected in (("all", ids.shape[1] + 4), ("prompt", ids.shape[1]), ("generated", 4)):
        clamp = {"operation": "clamp", "strength": 50.0, "positions": where}
        with (
            hooks.steer(model, vector, layers=[1], **clamp) as record,
            _components(model, vector, layer=1) as seen,
        ):
            tree.generate(ids, **options)
        assert record.n_tokens == {1: expected}
        clamped = (torch.cat(seen) - 50.0).abs() < 1e-3
        assert clamped.tolist() == [where != "generated"] * ids.shape[1] + [where != "prompt"] * 4


def test_a_pass_without_a_mask_that_continues_a_cache_adds_tokens(model, vector):
    ids = torch.tensor([model.encode(TEXTS[0])])
    with hooks.steer(model, vector, layers=[1], strength=1.0, positions="generated") as record:
        cache = model.hf(ids[:, :-1], use_cache=True).past_key_values
        assert record.n_tokens == {1: 0}
        model.hf(ids[:, -1:], past_key_values=cache)
    assert record.n_tokens == {1: 1}


def test_prompt_and_generated_split_all_between_them(model, vector):
    counts = {}
    for where in ("all", "prompt", "generated"):
        clamp = {"operation": "clamp", "strength": 50.0, "positions": where}
        with (
            hooks.steer(model, vector, layers=[1], **clamp) as record,
            _components(model, vector, layer=1) as seen,
        ):
            # Seeds and forbidden ends make the lengths the same however the model is steered.
            ends = stop_ids(model.hf, model.tokenizer)
            model.generate(TEXTS, max_new_tokens=6, suppress=[ends] * len(TEXTS))
        counts[where] = record.n_tokens[1]
        assert int(((torch.cat(seen) - 50.0).abs() < 1e-3).sum()) == counts[where]
    assert counts["prompt"] == sum(len(model.encode(text)) for text in TEXTS)
    assert counts["generated"] > 0
    assert counts["all"] == counts["prompt"] + counts["generated"]


def test_steered_decoding_equals_steering_the_whole_text_at_once(model, vector):
    with hooks.steer(model, vector, layers=[1], strength=2.0):
        [written] = model.generate(TEXTS[:1], max_new_tokens=6, temperature=0.0)
        ids = model.encode(TEXTS[0]) + written.tokens
        logits = model.hf(torch.tensor([ids])).logits[0]
    start = len(model.encode(TEXTS[0])) - 1
    assert logits[start:-1].argmax(dim=1).tolist() == written.tokens


def test_a_batch_of_unequal_length_equals_its_texts_one_by_one(model, vector):
    with hooks.steer(model, vector, layers=[1], strength=3.0, positions=hooks.Last()):
        together = hooks.pooled_resid_post(model, TEXTS).mean
        left = hooks.pooled_resid_post(model, TEXTS, padding_side="left").mean
        alone = torch.cat([hooks.pooled_resid_post(model, [text]).mean for text in TEXTS])
    scale = alone.abs().max()
    assert (together - alone).abs().max() / scale < 1e-5
    assert (left - alone).abs().max() / scale < 1e-5


def test_a_span_changes_nothing_before_it(model, vector):
    plain = hooks.resid_post(model, TEXTS[1]).resid
    with hooks.steer(model, vector, layers=[1], strength=5.0, positions=hooks.Span(3, 5)) as record:
        steered = hooks.resid_post(model, TEXTS[1]).resid
    assert record.n_tokens[1] == 2
    changed = (steered - plain).abs().amax(dim=2)
    assert changed[0].max() == 0  # layers below are untouched
    # One BOS, then content tokens 0, 1, 2.
    assert changed[1, :4].max() == 0
    assert (changed[1, 4:6] > 0).all()
    assert changed[1, 6:].max() == 0
    assert (changed[2, 6:] > 0).any()  # later tokens attend to it


def test_last_prompt_token_is_steered_the_same_with_and_without_a_shared_prefix(model, vector):
    prompts = [TEXTS[1] + " And", TEXTS[1] + " But then"]
    with hooks.steer(model, vector, layers=[1], strength=5.0, positions=hooks.Last()) as record:
        together = model.generate(prompts, max_new_tokens=4, temperature=0.0)
        assert record.n_tokens[1] == 2
        alone = [model.generate([p], max_new_tokens=4, temperature=0.0)[0] for p in prompts]
    assert [text.tokens for text in together] == [text.tokens for text in alone]


def test_nested_contexts_add_up(model, vector):
    with hooks.steer(model, vector, layers=[1], strength=3.0):
        once = hooks.resid_post(model, TEXTS[0], [1]).resid
    with (
        hooks.steer(model, vector, layers=[1], strength=1.0),
        hooks.steer(model, vector, layers=[1], strength=2.0),
    ):
        twice = hooks.resid_post(model, TEXTS[0], [1]).resid
    assert torch.allclose(once, twice, atol=1e-5)


def test_several_vectors_act_at_once_each_at_its_own_layers(model, vector):
    other = vector.flip(0)
    plain = hooks.resid_post(model, TEXTS[0]).resid
    with (
        hooks.steer(model, vector, layers=[0], strength=2.0) as first,
        hooks.steer(model, other, layers=[2, 3], strength=3.0) as second,
    ):
        both = hooks.resid_post(model, TEXTS[0]).resid
        model.generate(TEXTS[:1], max_new_tokens=3)
    assert set(first.n_tokens) == {0}
    assert set(second.n_tokens) == {2, 3}
    assert first.n_tokens[0] == second.n_tokens[2] == second.n_tokens[3] > 0
    moved = (both - plain)[0]
    assert torch.allclose(moved, (2.0 * vector / vector.norm()).expand_as(moved), atol=1e-5)
    with hooks.steer(model, vector, layers=[0], strength=2.0):
        alone = hooks.resid_post(model, TEXTS[0], [2]).resid
    added = both[2] - alone[0]
    assert torch.allclose(added, (3.0 * other / other.norm()).expand_as(added), atol=1e-4)


def test_both_backends_steer_alike(vector):
    hf, lens = (
        hooks.load(tiny_model("llama"), tokenizer=tiny_tokenizer(), backend=backend)
        for backend in ("huggingface", "transformerlens")
    )
    assert type(hf.reader) is not type(lens.reader)
    plain = hooks.pooled_resid_post(hf, TEXTS).mean
    read = []
    for model, through in ((hf, "bulk"), (lens, "reader"), (lens, "bulk")):
        with hooks.steer(model, vector, layers=[0, 2], strength=2.0):
            read.append(hooks.pooled_resid_post(model, TEXTS, through=through).mean)
    for other in read[1:]:
        assert (read[0] - other).abs().max() / read[0].abs().max() < 1e-5
    assert (read[0] - plain).abs().max() > 0.1


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_hooks_are_gone_after_an_error(model, vector, error):
    plain, bulk = (
        hooks.resid_post(model, TEXTS[0]).resid,
        hooks.pooled_resid_post(model, TEXTS).mean,
    )

    def interrupt(*_):
        raise error("stop")

    handle = model.hf.get_output_embeddings().register_forward_hook(interrupt)
    try:
        with (
            pytest.raises(error),
            hooks.steer(model, vector, layers=[1], strength=5.0),
        ):
            model.generate(TEXTS, max_new_tokens=3)
    finally:
        handle.remove()
    assert torch.equal(hooks.resid_post(model, TEXTS[0]).resid, plain)
    assert torch.equal(hooks.pooled_resid_post(model, TEXTS).mean, bulk)


def test_a_quantized_model_steers(tmp_path, tiny_folder):
    pytest.importorskip("bitsandbytes")
    model = hooks.load(str(tiny_folder("wide llama")), quantize="4bit", backend="huggingface")
    vector = torch.ones(model.d_model)
    plain = hooks.resid_post(model, TEXTS[0], [1]).resid
    with hooks.steer(model, vector, layers=[1], strength=2.0):
        steered = hooks.resid_post(model, TEXTS[0], [1]).resid
    moved = (steered - plain) @ (vector / vector.norm())
    assert (moved - 2.0).abs().max() < 0.05
    prompt = model.encode(TEXTS[0])
    with hooks.steer(model, vector, layers=[1], strength=2.0) as record:
        [written] = model.generate([prompt], max_new_tokens=5, temperature=0.0)
    assert record.n_tokens[1] == len(prompt) + len(written.tokens) - (not written.finished)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"layers": [9], "strength": 1.0}, "out of range"),
        ({"layers": [], "strength": 1.0}, "at least one layer"),
        ({"layers": [1], "dose": 0.1}, "residual_norm"),
        ({"layers": [1]}, "either a dose"),
        ({"layers": [1], "dose": 0.1, "strength": 1.0}, "either a dose"),
        ({"layers": [1], "dose": 0.1, "operation": "project"}, "takes no dose"),
        ({"layers": [1], "strength": 1.0, "positions": "everywhere"}, "positions"),
    ],
)
def test_settings_without_meaning_are_refused(model, vector, options, says):
    refused = (InvalidInput, TypeCheckError)  # whichever looks first
    with pytest.raises(refused, match=says), hooks.steer(model, vector, **options):
        pass


def test_a_selection_that_matches_nothing_is_an_error(model, vector):
    with (
        pytest.raises(InvalidInput, match="matched no token"),
        hooks.steer(model, vector, layers=[1], strength=1.0, positions="generated"),
    ):
        hooks.resid_post(model, TEXTS[0])
    with (
        pytest.raises(InvalidInput, match="no content token of text 0"),
        hooks.steer(model, vector, layers=[1], strength=1.0, positions=hooks.Span(90, 95)),
    ):
        hooks.resid_post(model, TEXTS[0])


class TestSeveralTokensAtOnce:
    """A library that proposes tokens, or reads a prompt in pieces, writes what it would one by one.

    `model.hf.generate` without them is the reference: one token a pass, of one prompt's.
    """

    GREEDY = {"max_new_tokens": 24, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    PROMPT = "The rain fell on the street. The rain fell on the street. The rain fell on"

    @pytest.fixture
    def model(self, tiny_model):
        return tiny_model("llama", backend="huggingface")

    def written(self, model, vector, positions, **how):
        """What is written under steering, and how many tokens and passes that took."""
        ids = torch.tensor([model.encode(self.PROMPT)])
        options = {"strength": 6.0, "positions": positions}
        with hooks.steer(model, vector, layers=[1], **options) as record:
            ids = model.hf.generate(ids, **self.GREEDY, **how)
        return ids.tolist(), record.n_tokens[1], record.n_passes

    @pytest.mark.parametrize("positions", ["generated", "all", "prompt", "last", hooks.Span(1, 4)])
    @pytest.mark.parametrize("drafts", ["looked up", "by another model"])
    def test_all_that_is_proposed_is_steered(self, model, vector, tiny_hf_model, positions, drafts):
        plain, n_plain, n_passes = self.written(model, vector, positions)
        how = {"prompt_lookup_num_tokens": 4}
        if drafts == "by another model":
            how = {"assistant_model": tiny_hf_model("llama", seed=1)}
        steered, n_steered, n_fewer = self.written(model, vector, positions, **how)
        assert steered == plain
        if positions in ("all", "generated"):
            assert n_steered >= n_plain  # what was proposed in vain was steered too
            assert drafts != "looked up" or n_fewer < n_passes  # and some was not in vain
        else:
            assert n_steered == n_plain

    def test_a_model_that_nobody_steers_writes_something_else(self, model, vector):
        ids = torch.tensor([model.encode(self.PROMPT)])
        unsteered = model.hf.generate(ids, **self.GREEDY, prompt_lookup_num_tokens=4).tolist()
        assert self.written(model, vector, "generated", prompt_lookup_num_tokens=4)[0] != unsteered

    @pytest.mark.parametrize("positions", ["generated", "all", "prompt"])
    def test_a_prompt_is_one_also_in_pieces(self, model, vector, positions):
        n_prompt = len(model.encode(self.PROMPT))
        pieces = n_prompt - 1  # the last piece is a single token
        plain = self.written(model, vector, positions)
        assert self.written(model, vector, positions, prefill_chunk_size=pieces)[:2] == plain[:2]

    @pytest.mark.parametrize("given", ["the whole prompt", "the rest of it"])
    def test_and_so_is_one_whose_beginning_is_cached(self, model, vector, given):
        ids = torch.tensor([model.encode(self.PROMPT)])
        for positions, n_expected in (("prompt", ids.shape[1] - 5), ("generated", 23)):
            cache = model.hf(ids[:, :5], use_cache=True).past_key_values
            rest = ids if given == "the whole prompt" else ids[:, 5:]
            options = {"strength": 6.0, "positions": positions}
            with hooks.steer(model, vector, layers=[1], **options) as record:
                model.hf.generate(
                    inputs=rest,
                    attention_mask=torch.ones_like(ids),
                    past_key_values=cache,
                    **self.GREEDY,
                )
            assert record.n_tokens == {1: n_expected}

    def test_texts_mixed_in_one_row_are_refused(self, model, vector):
        with (
            pytest.raises(InvalidInput, match="continuous batching mixes texts in one row"),
            hooks.steer(model, vector, layers=[1], strength=6.0, positions="generated"),
        ):
            model.hf.generate_batch([model.encode(self.PROMPT)])


class TestNothingChanged:
    """A call under a dose in which no number changed is an error, whatever the reason."""

    @pytest.mark.parametrize("operation", ["add", "rotate"])
    def test_a_dose_that_is_lost_to_rounding(self, model, vector, operation):
        tiny = {"layers": [1, 2], "strength": 1e-12, "operation": operation}
        n_tokens = 2 * len(model.encode(TEXTS[0]))
        with (
            pytest.raises(
                InvalidInput, match=rf"expected {n_tokens} tokens to change in this.*1e-12"
            ),
            hooks.steer(model, vector, **tiny) as record,
        ):
            hooks.resid_post(model, TEXTS[0])
        assert sum(record.n_tokens.values()) == n_tokens

    def test_half_precision_loses_what_float32_keeps(self, vector):
        for dtype, kept in (("float32", True), ("bfloat16", False)):
            model = hooks.load(tiny_model("llama"), tokenizer=tiny_tokenizer(), dtype=dtype)
            model.hf.to(getattr(torch, dtype))
            with (
                contextlib.nullcontext() if kept else pytest.raises(InvalidInput, match="float32"),
                hooks.steer(model, vector, layers=[1], strength=1e-5),
            ):
                hooks.pooled_resid_post(model, TEXTS[:1], layers=[1])

    @pytest.mark.parametrize("calls", [["write", "read"], ["write", "read", "write"]])
    def test_every_call_of_a_context_is_looked_at(self, model, vector, calls):
        with (
            pytest.raises(InvalidInput, match="matched no token in call 2 of this context"),
            hooks.steer(model, vector, layers=[1], strength=1.0, positions="generated"),
        ):
            for call in calls:
                if call == "write":
                    model.generate(TEXTS[:1], max_new_tokens=3, suppress=[self.ends(model)])
                else:
                    hooks.resid_post(model, TEXTS[0])

    @staticmethod
    def ends(model):
        return stop_ids(model.hf, model.tokenizer)

    def test_a_component_that_is_there_already_is_no_error(self, model, vector):
        project = {"layers": [1], "operation": "project"}
        with hooks.steer(model, vector, **project), hooks.steer(model, vector, **project):
            hooks.resid_post(model, TEXTS[0])

    def test_a_call_that_ran_out_of_memory_and_is_repeated_is_none(
        self, tiny_hf_model, tiny_tokenizer, vector
    ):
        model = hooks.load(tiny_hf_model("llama"), tokenizer=tiny_tokenizer())
        failed = []

        def full(*_):
            if not failed:
                failed.append(True)
                raise torch.OutOfMemoryError("out of memory")

        handle = model.bulk.structure.blocks[0].register_forward_pre_hook(full)
        with hooks.steer(model, vector, layers=[1], strength=1.0) as record:
            model.generate(TEXTS, max_new_tokens=2)
        handle.remove()
        assert failed
        assert record.n_tokens[1] > 0


@pytest.mark.parametrize("positions", ["generated", hooks.Speaker("Assistant")])
@pytest.mark.parametrize("ends", ["at the limit", "by itself"])
def test_a_text_that_ends_at_its_first_draw_is_no_error(model, vector, positions, ends):
    options = {"max_new_tokens": 1, "temperature": 0.0}
    if ends == "by itself":
        others = set(range(model.d_vocab)) - stop_ids(model.hf, model.tokenizer)
        options |= {"max_new_tokens": 5, "suppress": [others] * len(TEXTS)}
    plain = model.generate(TEXTS, **options)
    with hooks.steer(model, vector, layers=[1], strength=5.0, positions=positions) as record:
        assert model.generate(TEXTS, **options) == plain
    assert [len(text.tokens) for text in plain] == [0 if ends == "by itself" else 1] * 2
    assert record.n_tokens == {1: 0}


@pytest.mark.parametrize("library", ["hf", "hooked"])
@pytest.mark.parametrize("cached", [True, False])
def test_nor_is_it_under_the_libraries_own_generation(model, vector, library, cached):
    tree = getattr(model, library)
    if tree is None:
        pytest.skip("the Hugging Face backend has no TransformerLens model")
    ids = torch.tensor([model.encode(TEXTS[1])])
    options = {"max_new_tokens": 1, "do_sample": False}
    options |= (
        {"use_past_kv_cache": cached, "verbose": False, "return_type": "tokens"}
        if library == "hooked"
        else {"use_cache": cached, "pad_token_id": 0}
    )
    with hooks.steer(model, vector, layers=[1], strength=5.0, positions="generated") as record:
        assert tree.generate(ids, **options).shape[1] == ids.shape[1] + 1
    assert (record.n_passes, record.n_tokens) == (1, {1: 0})


def test_a_speaker_who_is_silent_while_a_text_is_written_is_an_error(model, vector):
    ends = stop_ids(model.hf, model.tokenizer)
    somebody = hooks.Speaker("Assistant")
    with (
        pytest.raises(InvalidInput, match="a speaker one who speaks"),
        hooks.steer(model, vector, layers=[1], strength=5.0, positions=somebody),
    ):
        model.generate(TEXTS[:1], max_new_tokens=3, suppress=[ends])


@pytest.mark.parametrize("through", ["bulk", "reader"])
def test_a_steered_layer_that_no_pass_reaches_is_an_error_of_its_own(model, vector, through):
    with (
        pytest.raises(InvalidInput, match=r"of layers \[2, 3\] none was reached in 1 forward"),
        hooks.steer(model, vector, layers=[2, 3], strength=1.0),
    ):
        hooks.pooled_resid_post(model, TEXTS, layers=[0], through=through)
    with hooks.steer(model, vector, layers=[0, 2], strength=1.0) as record:
        hooks.pooled_resid_post(model, TEXTS, layers=[0], through=through)
    assert record.n_tokens[0] > record.n_tokens[2] == 0


class TestEachPromptItsOwnVector:
    """`steer_each`: a batch is its prompts one by one, each under its own vector."""

    PROMPTS = (TEXTS[1], TEXTS[0], TEXTS[0], "It rained.")

    @pytest.fixture
    def vectors(self, model):
        return torch.randn(4, model.d_model, generator=torch.Generator().manual_seed(2))

    def test_texts_are_read_as_one_by_one_whatever_their_order_and_batches(self, model, vectors):
        expected = []
        for text, vector in zip(self.PROMPTS, vectors, strict=True):
            with hooks.steer(model, vector, layers=[1], dose=0.5, residual_norm=8.0):
                expected.append(hooks.pooled_resid_post(model, [text], layers=[2]).mean[0])
        for batch_tokens in (16, 4096):
            with hooks.steer_each(model, vectors, layers=[1], dose=0.5, residual_norm=8.0) as done:
                pooled = hooks.pooled_resid_post(
                    model, self.PROMPTS, layers=[2], batch_tokens=batch_tokens
                )
            assert torch.allclose(pooled.mean, torch.stack(expected), atol=1e-4)
            assert done.n_tokens == {1: sum(len(model.encode(text)) for text in self.PROMPTS)}

    def test_texts_are_written_as_one_by_one_also_after_others_have_ended(self, model, vectors):
        options = {"max_new_tokens": 12, "temperature": 1.5}
        seeds = [3, 4, 5, 6]
        expected = []
        for text, vector, seed in zip(self.PROMPTS, vectors, seeds, strict=True):
            with hooks.steer(model, vector, layers=[1], dose=0.5, residual_norm=8.0):
                expected += model.generate([text], seed=[seed], **options)
        with hooks.steer_each(model, vectors, layers=[1], dose=0.5, residual_norm=8.0):
            written = model.generate(self.PROMPTS, seed=seeds, **options)
        assert [text.tokens for text in written] == [text.tokens for text in expected]
        plain = model.generate(self.PROMPTS, seed=seeds, **options)
        assert [text.tokens for text in written] != [text.tokens for text in plain]

    def test_rows_that_leave_the_batch_do_not_shift_the_vectors(self, model, vectors):
        """The first prompt ends at once: what remains is still steered by its own vectors."""
        ends = sorted(stop_ids(model.hf, model.tokenizer))
        others = set(range(model.d_vocab)) - set(ends)
        options = {"max_new_tokens": 8, "temperature": 0.0}
        with hooks.steer_each(model, vectors, layers=[1], dose=0.5, residual_norm=8.0):
            whole = model.generate(self.PROMPTS, suppress=[ends] * 4, **options)
            written = model.generate(self.PROMPTS, suppress=[others, ends, ends, ends], **options)
        assert written[0].tokens == []
        assert [text.tokens for text in written[1:]] == [text.tokens for text in whole[1:]]

    @pytest.mark.parametrize("n_prompts", [1, 2, 4])
    @pytest.mark.parametrize("n_vectors", [1, 2, 4])
    @pytest.mark.parametrize(
        "how", ["write", "write, steering that", "read", "read in parts", "end", "next"]
    )
    def test_as_many_vectors_as_prompts_are_expected(
        self, model, vectors, n_vectors, n_prompts, how
    ):
        prompts = self.PROMPTS[:n_prompts]
        positions = "generated" if how == "write, steering that" else "all"
        says = rf"as many prompts as vectors \({n_vectors}\), got {n_prompts}\."
        refused = pytest.raises(InvalidInput, match=says)
        options = {"layers": [1], "dose": 0.5, "residual_norm": 8.0, "positions": positions}
        with (
            contextlib.nullcontext() if n_vectors == n_prompts else refused,
            hooks.steer_each(model, vectors[:n_vectors], **options),
        ):
            if how.startswith("write"):
                model.generate(prompts, max_new_tokens=1 if positions == "generated" else 2)
            elif how == "end":
                at_end(model, [model.encode(text) for text in prompts], [2], batch_tokens=16)
            elif how == "next":
                next_token_logits(model, [model.encode(t) for t in prompts], [5], batch_size=2)
            else:
                batch_tokens = 16 if how == "read in parts" else None
                hooks.pooled_resid_post(model, prompts, batch_tokens=batch_tokens)

    def test_vectors_of_length_zero_are_refused(self, model, vectors):
        with (
            pytest.raises(InvalidInput, match="zero"),
            hooks.steer_each(model, vectors * 0, layers=[1], dose=0.5, residual_norm=8.0),
        ):
            pass

    def test_a_dose_is_split_over_layers_as_one_by_one(self, model, vectors):
        how = {"layers": [0, 1], "dose": 0.5, "residual_norm": {0: 6.0, 1: 8.0}, "split": True}
        expected = []
        for text, vector in zip(self.PROMPTS, vectors, strict=True):
            with hooks.steer(model, vector, **how):
                expected.append(hooks.pooled_resid_post(model, [text], layers=[2]).mean[0])
        with hooks.steer_each(model, vectors, **how) as done:
            pooled = hooks.pooled_resid_post(model, self.PROMPTS, layers=[2])
        assert torch.allclose(pooled.mean, torch.stack(expected), atol=1e-4)
        assert done.coefficients == {0: 1.5, 1: 2.0}

    def test_dose_zero_is_the_unsteered_model_bit_for_bit(self, model, vectors):
        plain = hooks.pooled_resid_post(model, self.PROMPTS).mean
        with hooks.steer_each(model, vectors, layers=[1], dose=0.0, residual_norm=8.0):
            assert torch.equal(hooks.pooled_resid_post(model, self.PROMPTS).mean, plain)
