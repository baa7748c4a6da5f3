"""vLLM reads, writes and is steered as our hooks do it, to rounding."""

import contextlib
import random
from dataclasses import replace
from typing import Any

import pytest
import torch

import hooks
from hooks.errors import InvalidInput, ModelError
from hooks.generation.last_token import next_token_logits
from hooks.vllm.engine import Picked, Prompt, Push, ReadText, VllmEngine

pytestmark = [pytest.mark.vllm, pytest.mark.slow, pytest.mark.timeout(1200)]
WORDS = [
    "the",
    "old",
    "man",
    "sat",
    "by",
    "a",
    "window",
    "and",
    "watched",
    "rain",
    "fall",
    "on",
    "her",
    "street",
]
CLOSE = {"atol": 1e-4, "rtol": 1e-3}
GREEDY = {"max_tokens": 12, "temperature": 0.0}


def texts(n_texts: int, seed: int = 0) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(1, 60))) for _ in range(n_texts)]


def picked(model: Any, some: list[str], offset: int) -> list[Picked]:
    encoded = [model.encode(text) for text in some]
    return [Picked(ids, list(range(1 + offset, len(ids)))) for ids in encoded]


class TestReading:
    @pytest.mark.parametrize("offset", [0, 5])
    def test_means_and_norms_of_texts_of_mixed_lengths(self, both, offset):
        model, engine = both
        some = texts(40)
        told: list[int] = []
        read = engine.read(picked(model, some, offset), told.append)
        ours = hooks.pooled_resid_post(model, some, hooks.FromToken(offset))
        assert sum(told) == 40
        for text, mean, norm, n_tokens in zip(
            read, ours.mean, ours.norm, ours.n_tokens, strict=True
        ):
            if not n_tokens:
                assert text == ReadText()
                continue
            torch.testing.assert_close(text.mean, mean, **CLOSE)
            torch.testing.assert_close(text.norm, norm, **CLOSE)

    def test_tokens_apart_and_kept(self, both):
        model, engine = both
        ids = model.encode(" ".join(WORDS))
        [read] = engine.read([Picked(ids, [3, 4], apart=[7], keep=[1, 9])])
        resid = hooks.resid_post(model, ids, through="bulk").resid
        torch.testing.assert_close(read.mean, resid[:, [3, 4]].mean(dim=1), **CLOSE)
        torch.testing.assert_close(read.apart, resid[:, 7], **CLOSE)
        torch.testing.assert_close(read.keep, resid[:, [1, 9]].transpose(0, 1), **CLOSE)

    def test_a_beginning_that_texts_share_changes_nothing(self, both):
        model, engine = both
        begin = " ".join(WORDS * 12)
        some = [f"{begin} {text}" for text in texts(6, seed=2)]
        n_shared = len(model.encode(begin))
        asked = picked(model, some, n_shared)
        together = engine.read(asked)
        alone = [engine.read([replace(one)])[0] for one in asked]
        resid = [hooks.resid_post(model, one.ids, through="bulk").resid for one in asked]
        for one, a, b, ours in zip(asked, together, alone, resid, strict=True):
            torch.testing.assert_close(a.mean, ours[:, list(one.mean)].mean(dim=1), **CLOSE)
            torch.testing.assert_close(a.mean, b.mean, **CLOSE)

    def test_tokens_that_were_cached_are_read_again_where_they_are_wanted(self, both):
        model, engine = both
        ids = model.encode(" ".join(WORDS * 12))
        asked = [Picked(ids, list(range(20, len(ids))))] * 2
        first, second = engine.read(asked)
        torch.testing.assert_close(first.mean, second.mean, **CLOSE)

    def test_a_text_longer_than_the_model_is_an_error_and_the_engine_lives(self, both):
        model, engine = both
        ids = model.encode(" ".join(WORDS * 40))
        with pytest.raises(ModelError, match="vLLM with .*: .*"):
            engine.read([Picked(ids, [5])])
        assert engine.read([Picked(ids[:20], [5])])[0].mean is not None


class TestGoingOn:
    def test_greedy_texts_and_log_probabilities(self, both):
        model, engine = both
        prompts = [model.encode(text) for text in texts(5, seed=1)]
        tokens = [5, 17, 100]
        asked = [Prompt(ids, GREEDY, tokens=tokens) for ids in prompts]
        went_on = engine.generate(asked)
        ours = next_token_logits(model, prompts, range(model.d_vocab)).log_softmax(dim=1)
        theirs = torch.tensor([text.logprobs for text in went_on])
        torch.testing.assert_close(theirs, ours[:, tokens], atol=1e-3, rtol=1e-3)
        written = model.generate(prompts, max_new_tokens=12, temperature=0.0)
        assert [text.ids[:12] for text in went_on if not text.finished] == [
            text.tokens for text in written if not text.finished
        ]

    def test_draws_follow_the_seed_and_banned_tokens_are_not_drawn(self, both):
        model, engine = both
        ids = model.encode("The old man")
        free = {"max_tokens": 30, "temperature": 1.0, "ignore_eos": True}
        drawn = engine.generate([Prompt(ids, {**free, "seed": seed}) for seed in (1, 1, 2)])
        assert drawn[0] == drawn[1] != drawn[2]
        banned = set(drawn[0].ids)
        [without] = engine.generate([Prompt(ids, {**free, "seed": 1}, suppress=[*banned])])
        assert not banned & set(without.ids)

    def test_more_seeded_prompts_than_a_pass_holds(self, both):
        model, engine = both
        first, *rest = model.encode(" ".join(WORDS * 8))
        prompts = [[first, 5 + n, *rest] for n in range(150)]  # which share nothing
        drawn = {"max_tokens": 4, "temperature": 1.0, "seed": 7, "ignore_eos": True}
        written = engine.generate([Prompt(ids, drawn) for ids in prompts])
        assert [len(text.ids) for text in written] == [4] * 150


class TestSteering:
    @pytest.mark.parametrize("positions", ["all", "generated"])
    def test_one_batch_holds_steered_and_plain_prompts(self, both, positions):
        model, engine = both
        vector = torch.randn(model.d_model, generator=torch.Generator().manual_seed(0))
        vector /= vector.norm()
        engine.load_vectors({"sad": {1: vector}})
        prompts = [model.encode(text) for text in texts(4, seed=3)]
        push = Push("sad", 6.0, positions)
        asked = [Prompt(ids, GREEDY, pushes=[push] * (n % 2)) for n, ids in enumerate(prompts)]
        plain = model.generate(prompts, max_new_tokens=12, temperature=0.0)
        with hooks.steer(model, vector, layers=[1], strength=6.0, positions=positions):
            steered = model.generate(prompts, max_new_tokens=12, temperature=0.0)
        assert [text.tokens for text in plain] != [text.tokens for text in steered]
        for number, text in enumerate(engine.generate(asked)):
            ours = (steered if number % 2 else plain)[number]
            assert text.ids[: len(ours.tokens)] == ours.tokens

    def test_log_probabilities_are_those_of_our_steering(self, both):
        model, engine = both
        vector = torch.randn(model.d_model, generator=torch.Generator().manual_seed(1))
        engine.load_vectors({"calm": {2: vector}})
        ids, tokens = model.encode("The old man sat by the window"), [5, 17, 100]
        one = {"max_tokens": 1, "temperature": 0.0}
        [text] = engine.generate([Prompt(ids, one, pushes=[Push("calm", 0.5)], tokens=tokens)])
        with hooks.steer(model, vector, layers=[2], strength=0.5 * float(vector.norm())):
            ours = next_token_logits(model, [ids], range(model.d_vocab)).log_softmax(dim=1)
        torch.testing.assert_close(
            torch.tensor(text.logprobs), ours[0, tokens], atol=1e-3, rtol=1e-3
        )


@pytest.mark.parametrize("spread", ["tensor_parallel_size", "pipeline_parallel_size"])
def test_two_workers_that_share_a_model_read_and_steer_as_one(settings, tiny_folder, spread):
    folder = tiny_folder("llama for vllm")
    model = hooks.load(folder, backend="huggingface", dtype="float32", device="cpu")
    some = texts(12, seed=4)
    vectors = {layer: torch.randn(model.d_model) for layer in (0, 3)}  # one in each half
    push = [Push("sad", 0.5)]
    with VllmEngine(str(folder), replace(settings, **{spread: 2})) as engine:
        read = engine.read(picked(model, some, 2))
        engine.load_vectors({"sad": vectors})
        prompts = [model.encode(text) for text in some[:4]]
        written = engine.generate([Prompt(ids, GREEDY, pushes=push) for ids in prompts])
    ours = hooks.pooled_resid_post(model, some, hooks.FromToken(2))
    means = [text.mean for text in read if text.mean is not None]
    torch.testing.assert_close(torch.stack(means), ours.mean[ours.n_tokens > 0], **CLOSE)
    with contextlib.ExitStack() as stack:
        for layer, vector in vectors.items():
            strength = 0.5 * float(vector.norm())
            stack.enter_context(hooks.steer(model, vector, layers=[layer], strength=strength))
        steered = model.generate(prompts, max_new_tokens=12, temperature=0.0)
    for theirs, one in zip(written, steered, strict=True):
        assert theirs.ids[: len(one.tokens)] == one.tokens


def test_an_environment_without_vllm_is_named_with_its_cure(settings):
    import sys

    for python in ("no-such-python", sys.executable):
        with pytest.raises(InvalidInput, match="vllm.python: .*make vllm"):
            VllmEngine("gpt2", replace(settings, python=python))


def test_a_model_that_vllm_cannot_load_is_told_with_its_last_words(settings, tmp_path):
    with pytest.raises(ModelError, match=r"ended \(exit code .*Its last lines"):
        VllmEngine(str(tmp_path), settings)
