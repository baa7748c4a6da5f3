"""The size of a batch: measured once, halved when memory runs out."""

import contextlib

import pytest
import torch

import hooks
from hooks import memory
from hooks.errors import ModelError
from hooks.reading import batching

TEXTS = [
    "The old man sat by the window and watched the rain fall on the empty street.",
    "Nobody came.",
    "He opened the letter slowly. His hands were shaking and he could not read the first line.",
    "She ran down the hill laughing.",
    "They waited at the station until the last train had gone, and nobody came.",
]


@pytest.fixture(autouse=True)
def no_limits():
    """What ran out of memory here is no limit for the tests that share the model."""
    yield
    memory._LIMITS.clear()


@pytest.fixture
def model(tiny_model):
    return tiny_model("llama", "huggingface")


def what_the_allocator_says() -> str:
    """Return the words of this machine's own allocator, asked for a million gigabytes."""
    with pytest.raises(RuntimeError) as refused:
        torch.empty(2**50, dtype=torch.uint8)
    return str(refused.value)


OUT_OF_MEMORY = what_the_allocator_says()


@contextlib.contextmanager
def little_memory(model, most_tokens: int, error: type[BaseException] = torch.OutOfMemoryError):
    """Make every pass over more than `most_tokens` padded tokens fail half-way; yields sizes."""
    sizes = []

    def refuse(_module, inputs, output):
        n_tokens = inputs[0].shape[0] * inputs[0].shape[1]
        sizes.append(n_tokens)
        if n_tokens > most_tokens:
            raise error(OUT_OF_MEMORY)

    handle = model.hf.model.layers[2].register_forward_hook(refuse)
    try:
        yield sizes
    finally:
        handle.remove()


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError, MemoryError])
def test_out_of_memory_splits_the_batch_and_counts_each_text_once(model, error):
    whole = hooks.pooled_resid_post(model, TEXTS)
    counted = []
    with little_memory(model, 100, error) as sizes:
        split = hooks.pooled_resid_post(model, TEXTS, batch_tokens=1000, progress=counted.append)
    assert max(sizes) > 100
    assert sum(counted) == len(TEXTS)
    assert torch.allclose(split.mean, whole.mean, atol=1e-5)
    assert torch.equal(split.n_tokens, whole.n_tokens)
    assert torch.allclose(split.norm, whole.norm, atol=1e-5)
    with little_memory(model, 100) as sizes:
        hooks.pooled_resid_post(model, TEXTS, batch_tokens=1000)
    assert max(sizes) <= 100  # what fitted is the limit from then on


def test_one_text_that_does_not_fit_is_an_error_with_a_cure(model):
    with little_memory(model, 10), pytest.raises(ModelError, match="one text of .* tokens"):
        hooks.pooled_resid_post(model, TEXTS)


def test_another_error_is_not_taken_for_lack_of_memory(model):
    with little_memory(model, 10, ValueError), pytest.raises(ValueError, match="allocate"):
        hooks.pooled_resid_post(model, TEXTS)


class TestTuning:
    @pytest.fixture
    def big(self, model, monkeypatch):
        """The tiny model, taken for one whose passes are worth measuring."""
        monkeypatch.setattr(batching, "_TOO_SMALL", 0)
        return model

    def test_the_smallest_size_near_the_best_rate_is_chosen(self):
        assert batching.choose([(512, 100.0), (1024, 196.0), (2048, 200.0)]) == 1024
        assert batching.choose([(512, 100.0), (1024, 90.0)]) == 512

    def test_a_size_that_does_not_fit_is_not_taken(self, big):
        times = iter(range(10**6))  # every pass takes as long: larger is always better
        with little_memory(big, 2048) as sizes:
            size = batching.tune(big, 3, clock=lambda: float(next(times)) / 10)
        assert max(sizes) == 4096
        assert size == 2048

    def test_a_tiny_model_is_not_worth_measuring(self, model):
        assert batching.batch_tokens_for(model, 3) == batching.DEFAULT_BATCH_TOKENS
