"""Beginnings that prompts share are read once; logits and cache are those of single prompts."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import hooks
from hooks.generation.prefill import plan_beginnings, read_prompts
from hooks.models.phases import no_prefix_sharing

COMMON = tuple(range(10, 30))
TOPICS = [tuple(range(start, start + n)) for start, n in ((40, 12), (60, 9), (80, 14))]
ENDS = [(5, 6, 7), (8,), (9, 5, 6, 7, 11)]
PROMPTS = [COMMON + topic + end for topic in TOPICS for end in ENDS]


@pytest.fixture
def read_tokens(tiny_model):
    """``read_tokens(prompts)``: logits, mask and the number of token positions that were read."""
    model = tiny_model("llama", "huggingface")

    def read(prompts):
        counted = 0

        def count(_module, inputs):
            nonlocal counted
            counted += inputs[0].numel()

        handle = model.hf.get_input_embeddings().register_forward_pre_hook(count)
        with torch.inference_mode():
            logits, cache, mask = read_prompts(model.hf, prompts, 4, torch.device("cpu"))
        handle.remove()
        assert cache.get_seq_length() == mask.shape[1]
        return logits, mask, counted

    return read


def test_a_beginning_is_shared_by_the_prompts_of_one_topic(read_tokens):
    plan = plan_beginnings(sorted(PROMPTS))
    assert plan is not None
    assert len(set(plan.group)) == len(TOPICS)
    assert sorted(set(plan.lengths)) == [len(COMMON) + n for n in (9, 12, 14)]
    logits, mask, counted = read_tokens(PROMPTS)
    assert counted == 3 * 34 + 9 * 5 == plan.cost(sorted(PROMPTS))
    assert mask.sum(dim=1).tolist() == [len(prompt) for prompt in PROMPTS]
    for prompt, row in zip(PROMPTS, logits, strict=True):
        alone, _, _ = read_tokens([prompt])
        assert torch.allclose(row, alone[0], atol=1e-4)


def test_prompts_in_any_order_and_repeated_get_rows_of_their_own(read_tokens):
    order = [4, 0, 4, 8, 2]
    logits, _, _ = read_tokens([PROMPTS[i] for i in order])
    expected, _, _ = read_tokens(PROMPTS)
    assert torch.allclose(logits, expected[order], atol=1e-4)


@pytest.mark.parametrize(
    "prompts",
    [
        [(1, 2, 3)],
        [(1, 2, 3), (4, 5, 6)],
        [COMMON[:15] + (40,), COMMON[:15] + (41,)],  # too short to pay
        [COMMON, COMMON + (40,)],  # nothing is left of the first
    ],
)
def test_every_prompt_keeps_a_token_of_its_own(read_tokens, prompts):
    plan = plan_beginnings(prompts)
    assert plan is None or all(
        length < len(prompt) for length, prompt in zip(plan.lengths, prompts, strict=True)
    )
    logits, _, _ = read_tokens(prompts)
    for prompt, row in zip(prompts, logits, strict=True):
        assert torch.allclose(row, read_tokens([prompt])[0][0], atol=1e-4)


@pytest.mark.parametrize("n", [1, 3])
def test_the_unembedding_is_multiplied_once_and_never_copied(tiny_model, n):
    """PyTorch takes rows with another stride one by one, each with a copy of the matrix."""
    model = tiny_model("llama", "huggingface")
    largest = 0

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            result = func(*args, **(kwargs or {}))
            if func.overloadpacket is torch.ops.aten.bmm:
                largest = max(largest, args[1].numel())
            return result

    head = model.hf.get_output_embeddings().weight
    with torch.no_grad(), Watch():
        read_prompts(model.hf, PROMPTS[:n], 4, torch.device("cpu"))
    assert largest < head.numel()


def test_hooks_that_must_see_whole_prompts_do(read_tokens):
    with no_prefix_sharing():
        _, _, counted = read_tokens(PROMPTS)
    assert counted == len(PROMPTS) * max(map(len, PROMPTS))


class Largest(TorchDispatchMode):
    """The most numbers that an operation took or gave; a view counts as if it was copied."""

    numbers = 0

    def __torch_dispatch__(self, function, types, inputs=(), named=None):
        output = function(*inputs, **(named or {}))
        seen = [part.numel() for part in (*inputs, output) if isinstance(part, torch.Tensor)]
        self.numbers = max(self.numbers, *seen, 0)
        return output


def test_the_unembedding_is_not_copied_for_every_prompt(tiny_folder):
    model = hooks.load(tiny_folder("llama"), backend="huggingface", dtype="bfloat16", device="cpu")
    weight = model.hf.get_output_embeddings().weight
    prompts = [tuple(range(4 + row, 16 + row)) for row in range(8)]
    with torch.no_grad(), Largest() as largest:
        read_prompts(model.hf, prompts, 4, torch.device("cpu"))
    assert largest.numbers < 2 * weight.numel()
