"""On a GPU: the numbers of the CPU, the same draws, and memory that runs out and is halved."""

from typing import Any

import pytest
import torch

import hooks
from hooks.memory import limit

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]
TEXTS = ["The old man sat by the window and watched the rain.", "She laughed.", "A late train."]


@pytest.fixture(params=["llama", "gemma3", "qwen3"])
def both(request: Any, tiny_folder: Any) -> tuple[Any, Any]:
    """One tiny model in float32 on the CPU and on the GPU."""
    folder = tiny_folder(request.param)
    return tuple(
        hooks.load(folder, backend="huggingface", dtype="float32", device=device)
        for device in ("cpu", "cuda")
    )


def test_means_and_norms_are_those_of_the_cpu(both):
    here, there = (hooks.pooled_resid_post(model, TEXTS) for model in both)
    torch.testing.assert_close(there.mean.cpu(), here.mean, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(there.norm.cpu(), here.norm, atol=1e-4, rtol=1e-4)


def test_a_batch_is_what_its_texts_are_alone(both):
    _, model = both
    together = hooks.pooled_resid_post(model, TEXTS).mean
    alone = torch.cat([hooks.pooled_resid_post(model, [text]).mean for text in TEXTS])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


def test_greedy_texts_are_those_of_the_cpu_and_seeds_decide_in_any_batch(both):
    greedy = {"max_new_tokens": 12, "temperature": 0.0}
    here, there = ([one.tokens for one in model.generate(TEXTS, **greedy)] for model in both)
    assert here == there
    _, model = both
    drawn = {"max_new_tokens": 12, "temperature": 1.0}
    together = model.generate(TEXTS, seed=[1, 2, 3], **drawn)
    [alone] = model.generate(TEXTS[1:2], seed=[2], **drawn)
    assert together[1].tokens == alone.tokens


def test_steering_moves_the_stream_as_on_the_cpu(both):
    vector = torch.randn(both[0].d_model, generator=torch.Generator().manual_seed(0))
    moved = []
    for model in both:
        with hooks.steer(model, vector, layers=[1], strength=2.0):
            moved.append(hooks.pooled_resid_post(model, TEXTS).mean.cpu())
    torch.testing.assert_close(moved[1], moved[0], atol=1e-4, rtol=1e-4)


def test_memory_that_runs_out_is_halved_to_the_same_means(both):
    _, model = both
    many = TEXTS * 20_000
    expected = hooks.pooled_resid_post(model, TEXTS).mean.repeat(20_000, 1, 1)
    torch.cuda.empty_cache()
    used = torch.cuda.memory_allocated() / torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, used + 0.002))
    try:
        got = hooks.pooled_resid_post(model, many, batch_tokens=10**8).mean
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert limit(model, "reading") is not None  # it did run out
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)
