"""Skipping blocks that steering does not touch changes no number; where it would, none is."""

import contextlib

import pytest
import tiny_models
import torch

import hooks
from hooks.generation.last_token import batch_at_end
from hooks.reading.scoring import next_tokens

TEXTS = ["She waited at the window.", "The kettle whistled, and nobody came to turn it off."]


@pytest.fixture
def n_run():
    """``n_run(model)``: a list that grows by the number of every block whose own forward runs."""

    def count(model):
        run = []
        for number, block in enumerate(model.bulk.structure.blocks):
            inner = next(block.children())
            inner.register_forward_pre_hook(lambda *_, number=number: run.append(number))
        return run

    return count


@pytest.fixture(params=[*tiny_models.ARCHITECTURES, "gemma2", "qwen3_5"])
def model(request):
    hf = tiny_models.tiny_model(request.param)
    return hooks.load(hf, tokenizer=tiny_models.tiny_tokenizer(), backend="huggingface")


def directions(model, n):
    return torch.randn(n, model.d_model, generator=torch.Generator().manual_seed(0))


def test_many_directions_on_one_text_give_the_same_numbers(model, n_run):
    how = {"layers": [1, 2], "dose": 0.3, "residual_norm": 10.0, "split": True}
    prompts, last = [model.encode(TEXTS[1])] * 3, [model.n_layers - 1]

    def steered(replay=None, seed=0):
        vectors = directions(model, 6)[3 * seed : 3 * seed + 3]
        skipping = replay.until(1) if replay else contextlib.nullcontext()
        with skipping, hooks.steer_each(model, vectors, **how):
            return batch_at_end(model, prompts, last)

    plain, replay = [steered(), steered(seed=1)], hooks.Replay(model)
    run = n_run(model)
    replayed = [steered(replay), steered(replay, 1), steered(replay)]
    assert torch.allclose(replayed[0], plain[0], atol=1e-5)
    assert torch.allclose(replayed[1], plain[1], atol=1e-5)
    assert torch.allclose(replayed[0], replayed[2], atol=1e-5)
    assert not torch.allclose(plain[0], plain[1], atol=1e-3)
    # Besides what finds out whether it can: once whole, then from block 2 on.
    assert run[-8:] == [0, 1, 2, 3, 2, 3, 2, 3]


def test_texts_of_a_batch_are_told_apart_and_layers_as_well(model):
    replay, texts = hooks.Replay(model), [TEXTS, TEXTS[::-1], TEXTS[:1]]
    for layer in (0, 2, 3):
        how = {"layers": [layer], "strength": 2.0}
        for each in texts * 2:
            with hooks.steer(model, directions(model, 1)[0], **how):
                plain = next_tokens(model, each).log_probs
            with replay.until(layer), hooks.steer(model, directions(model, 1)[0], **how):
                assert torch.allclose(next_tokens(model, each).log_probs, plain, atol=1e-6)


def test_a_model_whose_later_blocks_need_more_of_earlier_ones_runs_whole(n_run):
    config = tiny_models.tiny_model("gemma4").config
    config.num_kv_shared_layers = 2  # later layers attend to keys of earlier ones
    hf = tiny_models.transformers.Gemma4ForCausalLM(config)
    model = hooks.load(hf, tokenizer=tiny_models.tiny_tokenizer(), backend="huggingface")
    replay, plain = hooks.Replay(model), next_tokens(model, TEXTS).log_probs
    with replay.until(2):
        run = n_run(model)
        for _ in range(2):
            assert torch.equal(next_tokens(model, TEXTS).log_probs, plain)
    assert run == [0, 1, 2, 3] * 2


def test_generation_goes_on_from_its_cache_as_it_does_without(tiny_model):
    model = tiny_model("llama")
    steering = {"layers": [1], "strength": 3.0}

    def write():
        with hooks.steer(model, directions(model, 1)[0], **steering):
            written = model.generate(TEXTS, max_new_tokens=5, temperature=0.0)
        return [each.text for each in written]

    plain, replay = write(), hooks.Replay(model)
    for _ in range(2):
        with replay.until(1):
            assert write() == plain


def test_nothing_is_left_on_the_model_and_a_wrong_layer_is_refused(tiny_model):
    model = tiny_model("llama")
    replay = hooks.Replay(model)
    with pytest.raises(ZeroDivisionError), replay.until(1):
        1 / 0  # noqa: B018
    assert not any("forward" in vars(module) for module in model.hf.modules())
    with pytest.raises(hooks.InvalidInput, match="0 to 3"):
        replay.until(4)
