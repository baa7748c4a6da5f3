"""What fits into memory: batches of texts, and the limit that a model has met."""

import gc

import pytest
import torch

from hooks import memory


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
