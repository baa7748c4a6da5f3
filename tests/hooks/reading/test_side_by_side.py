"""Passes side by side: the bits of passes in turn, and nothing left changed."""

import contextlib
import threading

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import hooks
from hooks import FromToken
from hooks.models.phases import PromptRows, served_prompts
from hooks.reading.side_by_side import ForwardPool, passes_at_once

WORDS = ["the", "cat", "sat", "on", "a", "mat", "and", "looked", "at", "every", "old", "door"]
TEXTS = [" ".join(WORDS[: 1 + n % len(WORDS)]) for n in range(40)]


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@contextlib.contextmanager
def block_runs(model, before):
    """Call `before(inputs)` ahead of the first block, without a hook that would show."""
    block = model.bulk.structure.blocks[0]
    forward = block.forward

    def wrapped(*inputs, **others):
        before(inputs[0])
        return forward(*inputs, **others)

    block.forward = wrapped
    try:
        yield
    finally:
        del block.forward


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "gemma3", "gemma4", "olmo2", "phi3"])
def test_passes_side_by_side_give_the_bits_of_passes_in_turn(tiny_model, architecture):
    model = tiny_model(architecture, "huggingface")
    keep = FromToken(3)
    alone = hooks.pooled_resid_post(model, TEXTS, batch_tokens=48, keep=keep)
    torch.set_num_threads(3)
    try:
        assert passes_at_once(model, model.bulk) == 3
        for _ in range(5):
            pooled = hooks.pooled_resid_post(model, TEXTS, batch_tokens=48, keep=keep)
            assert torch.equal(pooled.mean, alone.mean)
            assert torch.equal(pooled.norm, alone.norm)
            assert torch.equal(pooled.tokens, alone.tokens)
            assert torch.equal(pooled.token_text, alone.token_text)
    finally:
        torch.set_num_threads(1)


def test_hidden_states_that_were_asked_for_once_change_nothing(tiny_model, three_threads):
    model = tiny_model("llama", "huggingface")
    model.hf(torch.tensor([[1, 2]]), output_hidden_states=True)
    assert passes_at_once(model, model.bulk) == 3


def test_passes_run_at_the_same_time_and_on_a_thread_each(tiny_model, three_threads):
    model = tiny_model("llama", "huggingface")
    together, threads = threading.Barrier(3), []

    def meet(_inputs):
        threads.append(torch.get_num_threads())
        together.wait(timeout=60)

    with block_runs(model, meet):
        hooks.pooled_resid_post(model, TEXTS[:6], batch_tokens=1)
    assert threads == [1] * 6


def test_one_batch_alone_takes_every_thread(tiny_model, three_threads):
    model = tiny_model("llama", "huggingface")
    threads = []
    with block_runs(model, lambda _: threads.append(torch.get_num_threads())):
        hooks.pooled_resid_post(model, TEXTS[:2])
    assert threads == [3]


def test_threads_are_given_back_also_after_an_error(three_threads):
    with pytest.raises(ZeroDivisionError), ForwardPool(3) as crew:
        crew.submit(lambda: 1 / 0).result()
    assert torch.get_num_threads() == 3
    started_later = []
    later = threading.Thread(target=lambda: started_later.append(torch.get_num_threads()))
    later.start()
    later.join()
    assert started_later == [3]


@pytest.mark.parametrize("n", [1, 2])
def test_work_sees_what_its_caller_announced_and_makes_no_gradients(n):
    with ForwardPool(n) as crew, hooks.models.phases.prompt_rows([7, 8], 9):
        running = [crew.submit(lambda: (served_prompts(), torch.is_grad_enabled()))] * n
        assert [one.result() for one in running] == [(PromptRows([7, 8], 9), False)] * n


class TestWhatIsReadInTurn:
    def test_a_model_with_anybodys_hooks(self, tiny_model, three_threads):
        model = tiny_model("llama", "huggingface")
        with hooks.steer(model, torch.ones(model.d_model), layers=[1], strength=1.0):
            hooks.pooled_resid_post(model, TEXTS[:1])
            assert passes_at_once(model, model.bulk) == 1
        assert passes_at_once(model, model.bulk) == 3

    def test_the_hook_points_of_transformer_lens(self, tiny_model, three_threads):
        model = tiny_model("llama")
        assert passes_at_once(model, model.reader) == 1
        assert passes_at_once(model, model.bulk) == 3

    @pytest.mark.parametrize(
        "context",
        [
            lambda: FlopCounterMode(display=False),
            lambda: torch.autocast("cpu", torch.bfloat16),
            lambda: torch.device("cpu"),
        ],
        ids=["counter", "autocast", "device"],
    )
    def test_contexts_that_only_their_own_thread_sees(self, tiny_model, three_threads, context):
        model = tiny_model("llama", "huggingface")
        with context():
            assert passes_at_once(model, model.bulk) == 1
        assert passes_at_once(model, model.bulk) == 3

    @pytest.mark.parametrize("kind", ["dynamic", "longrope", {"full_attention": "dynamic"}])
    def test_rotary_frequencies_that_follow_the_length(self, tiny_model, three_threads, kind):
        model = tiny_model("llama", "huggingface")
        rotary = model.hf.model.rotary_emb
        before, rotary.rope_type = rotary.rope_type, kind
        try:
            assert passes_at_once(model, model.bulk) == 1
        finally:
            rotary.rope_type = before


class TestLittleMemory:
    @pytest.fixture(autouse=True)
    def cache(self, tmp_path, monkeypatch):
        monkeypatch.setenv("EMOTION_LENS_CACHE", str(tmp_path / "cache"))

    def test_passes_that_do_not_fit_are_halved(self, tiny_model, three_threads):
        model = tiny_model("llama", "huggingface")
        whole, counted = hooks.pooled_resid_post(model, TEXTS, batch_tokens=200), []

        def refuse(inputs):
            if inputs.shape[:2].numel() > 60:
                raise torch.OutOfMemoryError

        with block_runs(model, refuse):
            pooled = hooks.pooled_resid_post(
                model, TEXTS, batch_tokens=200, progress=counted.append
            )
        assert sum(counted) == len(TEXTS)
        assert torch.allclose(pooled.mean, whole.mean, atol=1e-5)

    def test_a_text_that_fits_only_alone_is_read_alone(self, tiny_model, three_threads):
        model = tiny_model("llama", "huggingface")
        whole, running = hooks.pooled_resid_post(model, TEXTS[:9], batch_tokens=1), []
        together = threading.Barrier(3)

        def refuse_company(_inputs):
            with contextlib.suppress(threading.BrokenBarrierError):
                together.wait(timeout=0.2)
                running.append(1)
                raise torch.OutOfMemoryError

        with block_runs(model, refuse_company):
            pooled = hooks.pooled_resid_post(model, TEXTS[:9], batch_tokens=1)
        assert running == [1] * 3
        assert torch.equal(pooled.mean, whole.mean)
