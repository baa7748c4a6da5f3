"""What fits into memory: batches of texts, and the limit that a model has met."""

import contextlib
import gc

import pytest
import torch

import hooks
from hooks import memory
from hooks.errors import ModelError

TEXTS = [
    "The old man sat by the window and watched the rain fall on the empty street.",
    "Nobody came.",
    "He opened the letter slowly. His hands were shaking and he could not read the first line.",
    "She ran down the hill laughing.",
    "They waited at the station until the last train had gone, and nobody came.",
]


def test_evened_batches_are_no_larger_about_equal_and_come_in_pairs():
    lengths = [5 + 7 * n % 200 for n in range(97)]
    for limit in (256, 512, 1024, 2048):
        before = list(memory.batches_by_length(lengths, limit))
        after = list(
            memory.batches_by_length(lengths, memory.balanced_batch_tokens(lengths, limit))
        )
        assert sorted(sum(after, [])) == list(range(97))
        assert len(after) == len(before) + len(before) % 2
        sizes, sizes_before = (
            [len(rows) * lengths[rows[0]] for rows in batches] for batches in (after, before)
        )
        assert max(sizes) <= max(sizes_before) <= limit
        assert min(sizes) / max(sizes) >= min(sizes_before) / max(sizes_before)
    for few in ([], [3]):  # nothing to even out
        assert len(
            list(memory.batches_by_length(few, memory.balanced_batch_tokens(few, 1024)))
        ) == len(few)


def test_a_long_text_among_short_ones_is_read_apart():
    lengths = [40] * 8 + [90, 41]
    assert list(memory.batches_by_length(lengths, 1024)) == [[8], [9, *range(8)]]
    close = [40] * 8 + [50, 41]
    assert [len(rows) for rows in memory.batches_by_length(close, 1024)] == [10]


@pytest.mark.parametrize(
    ("error", "is_memory"),
    [
        (torch.OutOfMemoryError("CUDA"), True),
        (MemoryError(), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 12 bytes"), True),
        (RuntimeError("shapes differ"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_lack_of_memory_is_told_from_other_errors(error, is_memory):
    assert memory.is_out_of_memory(error) == is_memory


def test_a_limit_is_of_one_model_and_one_kind_of_work():
    class Model:
        pass

    one, other = Model(), Model()
    memory.set_limit(one, "reading", 100)
    assert memory.limit(one, "reading") == 100
    assert memory.limit(one, "writing") is None
    assert memory.limit(other, "reading") is None
    n_known = len(memory._LIMITS)
    del one
    gc.collect()
    assert len(memory._LIMITS) == n_known - 1


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
    _ = model.bulk.conventions  # found out by passes of its own

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
