"""Sampling equals Hugging Face's own where that is defined; the seed decides the rest."""

from typing import Any

import pytest
import torch
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

import hooks
from hooks.errors import DataError, InvalidInput
from hooks.generation.last_token import next_token_logits
from hooks.generation.sampling import pick_tokens, stop_ids
from hooks.models.conventions import Conventions
from hooks.models.miniature import tiny_model as miniature
from hooks.models.miniature import tiny_tokenizer as bpe
from hooks.reading.monitor import monitor

ARCHITECTURES = ("gpt2", "llama", "qwen3", "gemma3", "gemma4", "mistral", "olmo2", "phi3")
PROMPTS = ["He opened the letter and", "The", "They waited at the station until the last"]
LONG = "The old man sat by the window and watched the rain fall"
SHARED = [f"{LONG} on the street.", f"{LONG}.", f"{LONG}. Nobody came. The valley lay in front."]
BAD = [
    {"max_new_tokens": 0},
    {"temperature": -0.1},
    {"top_p": 0.0},
    {"top_p": 1.1},
    {"top_k": -1},
]


def tokens(generations) -> list[list[int]]:
    return [generation.tokens for generation in generations]


def hugging_face_greedy(model, prompt: str, max_new_tokens: int) -> list[int]:
    ids = torch.tensor([model.encode_prompt(prompt)])
    written = model.hf.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=max_new_tokens,
        pad_token_id=0,
    )
    return [t for t in written[0, ids.shape[1] :].tolist() if t != model.tokenizer.eos_token_id]


@pytest.fixture
def llama(tiny_model):
    model = tiny_model("llama")
    before = model.hf.generation_config.eos_token_id
    yield model
    model.hf.generation_config.eos_token_id = before


@pytest.mark.parametrize("architecture", [*ARCHITECTURES, "gemma2", "qwen3_5", "gemma4-multimodal"])
class TestGreedy:
    def test_equals_hugging_face_for_ragged_and_repeated_prompts(self, tiny_model, architecture):
        model = tiny_model(architecture, "huggingface")
        prompts = [PROMPTS[0], PROMPTS[1], PROMPTS[0], PROMPTS[2]]
        written = model.generate(prompts, max_new_tokens=12, temperature=0.0)
        assert tokens(written) == [hugging_face_greedy(model, prompt, 12) for prompt in prompts]

    def test_a_shared_beginning_changes_nothing(self, tiny_model, architecture):
        model = tiny_model(architecture, "huggingface")
        written = model.generate(SHARED, max_new_tokens=12, temperature=0.0)
        assert tokens(written) == [hugging_face_greedy(model, prompt, 12) for prompt in SHARED]


class TestSeed:
    def test_the_same_seed_draws_the_same_tokens_and_another_does_not(self, llama):
        first, again, other = (
            tokens(llama.generate(PROMPTS, max_new_tokens=12, seed=seed)) for seed in (3, 3, 4)
        )
        assert first == again
        assert all(a != b for a, b in zip(first, other, strict=True))

    def test_global_random_state_is_neither_read_nor_changed(self, llama):
        torch.manual_seed(0)
        before = torch.get_rng_state()
        first = tokens(llama.generate(PROMPTS, max_new_tokens=8, seed=3))
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(1)
        assert tokens(llama.generate(PROMPTS, max_new_tokens=8, seed=3)) == first

    def test_equal_prompts_get_draws_of_their_own(self, llama):
        written = tokens(llama.generate([PROMPTS[0]] * 4, max_new_tokens=12))
        assert len(set(map(tuple, written))) == 4

    def test_a_row_keeps_its_draws_whatever_shares_the_batch(self, llama):
        shared = tokens(llama.generate(SHARED, max_new_tokens=12, seed=5))
        # The fourth prompt begins otherwise, so nothing is shared.
        assert tokens(llama.generate([*SHARED, "No"], max_new_tokens=12, seed=5))[:3] == shared


class TestEnd:
    def test_a_text_ends_at_the_end_marker_and_says_so(self, llama):
        [free] = llama.generate(PROMPTS[:1], max_new_tokens=12, temperature=0.0)
        assert (len(free.tokens), free.finished) == (12, False)
        stop = free.tokens[5]
        cut = free.tokens[: free.tokens.index(stop)]
        llama.hf.generation_config.eos_token_id = [2, stop]
        [ended] = llama.generate(PROMPTS[:1], max_new_tokens=12, temperature=0.0)
        assert (ended.tokens, ended.finished) == (cut, True)
        assert ended.text == llama.tokenizer.decode(cut, skip_special_tokens=True)

    def test_an_end_at_the_last_step_counts_as_finished(self, llama):
        [free] = llama.generate(PROMPTS[:1], max_new_tokens=12, temperature=0.0)
        place = max(i for i, token in enumerate(free.tokens) if token not in free.tokens[:i])
        llama.hf.generation_config.eos_token_id = free.tokens[place]
        [ended] = llama.generate(PROMPTS[:1], max_new_tokens=place + 1, temperature=0.0)
        assert (ended.tokens, ended.finished) == (free.tokens[:place], True)
        if place:
            [short] = llama.generate(PROMPTS[:1], max_new_tokens=place, temperature=0.0)
            assert not short.finished

    @pytest.mark.parametrize("architecture", ["llama", "gemma3", "qwen3_5"])
    def test_rows_that_leave_the_batch_do_not_change_the_others(self, tiny_folder, architecture):
        model: Any = hooks.load(
            tiny_folder(architecture), backend="huggingface", dtype="float32", device="cpu"
        )
        free = tokens(model.generate([*PROMPTS, *SHARED], max_new_tokens=16, temperature=0.0))
        # Ends one text in the middle and leaves at least one to run to the limit.
        stops = [row[4] for row in free if any(row[4] not in other for other in free)]
        model.hf.generation_config.eos_token_id = [2, stops[0]]
        ended = model.generate([*PROMPTS, *SHARED], max_new_tokens=16, temperature=0.0)
        expected = [row[: row.index(stops[0])] if stops[0] in row else row for row in free]
        assert tokens(ended) == expected
        assert [one.finished for one in ended] == [stops[0] in row for row in free]
        assert len({len(row) for row in expected}) > 1

    def test_both_the_models_and_the_tokenizers_marker_end_a_text(self, llama):
        llama.hf.generation_config.eos_token_id = [7, 9]
        assert stop_ids(llama.hf, llama.tokenizer) == {2, 7, 9}
        llama.hf.generation_config.eos_token_id = None
        assert stop_ids(llama.hf, llama.tokenizer) == {2}

    def test_the_end_of_a_turn_ends_a_text_though_nobody_calls_it_an_end(self, tiny_folder):
        """A chat model that draws its template's end of turn, which is not its eos, for ever."""
        model: Any = hooks.load(
            tiny_folder("llama", chat=True), backend="huggingface", dtype="float32", device="cpu"
        )
        end = model.tokenizer.convert_tokens_to_ids("<|end|>")
        assert end not in (model.tokenizer.eos_token_id, model.hf.generation_config.eos_token_id)

        def drawn_after_three(_module, inputs, logits):
            logits[..., end] = 1e4 if len(steps) == 3 else -1e4
            steps.append(1)

        steps: list[int] = []
        handle = model.hf.lm_head.register_forward_hook(drawn_after_three)
        _, steps[:] = model.conventions, []
        [written] = model.generate(["Hello"], max_new_tokens=20, temperature=0.0)
        handle.remove()
        assert (len(written.tokens), written.finished) == (3, True)
        assert "<|end|>" not in written.text


class TestWithoutACache:
    """Where a model takes no cache of ours each step reads the whole text: the same text, later."""

    @pytest.fixture
    def forgetful(self, tiny_folder):
        folder = tiny_folder("llama")
        model: Any = hooks.load(folder, backend="huggingface", dtype="float32", device="cpu")
        model.bulk.conventions = Conventions(why_no_cache="it has none, for this test")
        return model

    def test_a_model_with_a_cache_of_its_own_writes_what_it_would_by_itself(self):
        model = hooks.load(
            miniature("minimax"), tokenizer=bpe([*PROMPTS, *SHARED]), backend="huggingface"
        )
        assert model.conventions.why_no_cache is not None
        written = model.generate(PROMPTS, max_new_tokens=12, temperature=0.0)
        assert tokens(written) == [hugging_face_greedy(model, prompt, 12) for prompt in PROMPTS]

    def test_draws_and_ends_are_those_of_a_cache(self, forgetful, llama):
        settings = {"max_new_tokens": 24, "seed": 3, "temperature": 1.5}
        expected = llama.generate([*PROMPTS, *SHARED], **settings)
        assert len({len(row) for row in tokens(expected)}) > 1
        assert forgetful.generate([*PROMPTS, *SHARED], **settings) == expected

    @pytest.mark.parametrize("positions", ["all", "prompt", "generated", "last", hooks.Last()])
    def test_steering_chooses_the_same_tokens(self, forgetful, llama, positions):
        direction = torch.randn(32, generator=torch.Generator().manual_seed(1))
        texts = []
        for model in (llama, forgetful):
            with hooks.steer(model, direction, layers=[1], strength=20.0, positions=positions):
                texts.append(model.generate(PROMPTS, max_new_tokens=8, temperature=0.0))
        assert texts[0] == texts[1]
        assert texts[0] != llama.generate(PROMPTS, max_new_tokens=8, temperature=0.0)

    def test_a_speakers_words_are_steered_while_they_are_written(self, tiny_folder):
        folder, texts = tiny_folder("llama", chat=True), []
        direction = torch.randn(32, generator=torch.Generator().manual_seed(1))
        for reason in (None, "it has none, for this test"):
            model: Any = hooks.load(folder, backend="huggingface", dtype="float32", device="cpu")
            model.bulk.conventions = Conventions(why_no_cache=reason)
            speaker = hooks.Speaker("assistant")
            with hooks.steer(model, direction, layers=[1], strength=20.0, positions=speaker):
                texts.append(model.generate(PROMPTS, max_new_tokens=8, temperature=0.0))
        assert texts[0] == texts[1]

    def test_each_new_token_is_told_once(self, forgetful, llama):
        told: tuple[list[Any], list[Any]] = ([], [])
        for model, new in zip((llama, forgetful), told, strict=True):
            with monitor(model, [1], new.append):
                model.generate(PROMPTS[:2], max_new_tokens=5, temperature=0.0)
        for cached, anew in zip(*told, strict=True):
            assert (cached.prompt, cached.ids, cached.drawn) == (anew.prompt, anew.ids, anew.drawn)
            torch.testing.assert_close(cached.resid, anew.resid, atol=1e-4, rtol=1e-4)

    def test_next_tokens_are_the_same(self, forgetful, llama):
        prompts = [llama.encode(text) for text in SHARED]
        logits = [next_token_logits(it, prompts, [5, 9, 30]) for it in (llama, forgetful)]
        torch.testing.assert_close(*logits, atol=1e-4, rtol=1e-4)


class TestPrompts:
    def test_a_chat_prompt_goes_through_the_template(self, tiny_model):
        model = tiny_model("llama", chat=True)
        by_text = model.generate(["Hello"], max_new_tokens=8, system="Be brief.")
        ids = model.encode_prompt("Hello", system="Be brief.")
        messages = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hello"},
        ]
        assert tokens(by_text) == tokens(model.generate([ids], max_new_tokens=8))
        assert tokens(by_text) == tokens(model.generate([messages], max_new_tokens=8))
        assert tokens(by_text) != tokens(model.generate(["Hello"], max_new_tokens=8))

    def test_no_prompts_give_no_texts(self, llama):
        assert llama.generate([], max_new_tokens=4) == []

    def test_a_prompt_without_any_token_is_refused(self, llama):
        with pytest.raises(InvalidInput, match="empty"):
            llama.generate([PROMPTS[0], []], max_new_tokens=4)

    def test_a_prompt_that_leaves_no_room_is_refused(self, tiny_model):
        model = tiny_model("gpt2", "huggingface")
        prompt = [5] * 500
        assert len(model.generate([prompt], max_new_tokens=12)) == 1
        with pytest.raises(InvalidInput, match="at most 512"):
            model.generate([prompt], max_new_tokens=13)


@pytest.mark.parametrize("settings", BAD, ids=str)
def test_settings_without_meaning_are_refused(llama, settings):
    with pytest.raises(InvalidInput, match=next(iter(settings))):
        llama.generate(PROMPTS, **{"max_new_tokens": 4, **settings})


class TestDistribution:
    """Draws evenly spaced in [0, 1) hit each token as often as its probability says."""

    GRID = 20_000

    def shares(self, logits: torch.Tensor, **settings) -> torch.Tensor:
        uniform = (torch.arange(self.GRID) + 0.5) / self.GRID
        defaults = {"temperature": 1.0, "top_p": 1.0, "top_k": 0}
        picked = pick_tokens(logits.expand(self.GRID, -1), uniform, **{**defaults, **settings})
        return torch.bincount(picked, minlength=len(logits)) / self.GRID

    @pytest.mark.parametrize("seed", range(4))
    @pytest.mark.parametrize(
        "settings",
        [
            {},
            {"temperature": 0.5},
            {"top_k": 3},
            {"top_p": 0.7},
            {"top_k": 5, "top_p": 0.6, "temperature": 1.5},
            {"top_k": 99},
            {"top_p": 1e-6},
        ],
        ids=str,
    )
    def test_is_that_of_hugging_faces_own_sampling(self, seed, settings):
        logits = 2 * torch.randn(8, generator=torch.Generator().manual_seed(seed))
        ids: Any = None  # the warpers do not look at the tokens before
        scores = TemperatureLogitsWarper(settings.get("temperature", 1.0))(ids, logits[None])
        if "top_k" in settings:
            scores = TopKLogitsWarper(settings["top_k"])(ids, scores)
        if "top_p" in settings:
            scores = TopPLogitsWarper(settings["top_p"])(ids, scores)
        expected = scores.softmax(dim=-1)[0]
        shares = self.shares(logits, **settings)
        assert (shares - expected).abs().max() < 3 / self.GRID
        assert not shares[expected == 0].any()

    def test_temperature_zero_takes_the_best(self):
        logits = torch.tensor([0.0, 3.0, 2.9])
        assert self.shares(logits, temperature=0.0).tolist() == [0, 1, 0]

    def test_impossible_tokens_are_never_drawn_even_at_the_ends(self):
        logits = torch.tensor([[-torch.inf, 0.0, -torch.inf]] * 2)
        uniform = torch.tensor([0.0, 1 - 2**-24])
        assert pick_tokens(logits, uniform, temperature=1.0, top_p=1.0, top_k=0).tolist() == [1, 1]

    def test_rows_are_drawn_each_from_its_own_logits(self):
        logits = torch.tensor([[9.0, -9.0], [-9.0, 9.0]])
        uniform = torch.tensor([0.5, 0.5])
        assert pick_tokens(logits, uniform, temperature=1.0, top_p=1.0, top_k=0).tolist() == [0, 1]


def test_logits_that_are_not_numbers_are_refused(tiny_folder):
    model = hooks.load(str(tiny_folder("llama")), backend="huggingface")
    model.hf.get_output_embeddings().weight.data = torch.full_like(model.W_U.T, float("nan"))
    with pytest.raises(DataError, match="NaN"):
        model.generate(PROMPTS, max_new_tokens=2)


def test_suppressed_tokens_are_never_drawn_and_others_are(tiny_folder):
    model = hooks.load(str(tiny_folder("llama")), backend="huggingface")
    [plain] = model.generate(PROMPTS[:1], max_new_tokens=8, temperature=0.0)
    first = plain.tokens[0]
    free, bound = model.generate(
        [PROMPTS[0], PROMPTS[0]], max_new_tokens=8, temperature=0.0, suppress=[[], [first]]
    )
    assert free.tokens == plain.tokens
    assert first not in bound.tokens
    with pytest.raises(InvalidInput, match="suppress"):
        model.generate(PROMPTS, max_new_tokens=2, suppress=[[first]])
