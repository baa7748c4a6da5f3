"""A batch that runs out of memory is written in parts, with the texts of the whole."""

import contextlib

import pytest
import torch

import hooks
from hooks import memory

PROMPTS = [
    "He opened the letter and",
    "The",
    "They waited at the station until the last",
    "Nobody came, and",
    "She ran down the hill",
]
SAMPLING = {"max_new_tokens": 12, "temperature": 1.0, "top_k": 20, "seed": 3}


@contextlib.contextmanager
def room_for(model, rows: int, error: type[BaseException] = torch.OutOfMemoryError):
    """Make every pass of more rows fail from the third token on; yields the rows of each pass."""
    passes: list[int] = []

    def refuse(_module, _inputs, options, output):
        n_rows, n_tokens = options["input_ids"].shape
        passes.append(n_rows)
        if n_rows > rows and n_tokens == 1 and len(passes) > 3:
            raise error("DefaultCPUAllocator: not enough memory: you tried to allocate")

    handle = model.hf.register_forward_hook(refuse, with_kwargs=True)
    try:
        yield passes
    finally:
        handle.remove()


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError, MemoryError])
def test_a_batch_that_does_not_fit_is_written_in_parts_with_the_same_texts(model, error):
    whole = model.generate(PROMPTS, **SAMPLING)
    assert max(len(one.tokens) for one in whole) > 4
    with room_for(model, 2, error) as passes:
        assert model.generate(PROMPTS, **SAMPLING) == whole
    assert passes[0] == 5


def test_what_fitted_is_the_limit_from_then_on(model):
    with room_for(model, 2):
        model.generate(PROMPTS, **SAMPLING)
    with room_for(model, 2) as passes:
        again = model.generate(PROMPTS, **SAMPLING)
    assert max(passes) == 2
    assert len(again) == len(PROMPTS)
    longest = max(len(model.encode_prompt(prompt)) for prompt in PROMPTS)
    assert memory.limit(model, "writing") == 2 * (longest + SAMPLING["max_new_tokens"])


def test_suppressed_tokens_and_seeds_stay_with_their_prompts(model):
    given = {**SAMPLING, "seed": [7, 8, 9, 10, 11]}
    first = [one.tokens[0] for one in model.generate(PROMPTS, **given)]
    given["suppress"] = [(), (), (), (first[3],), (first[4],)]
    whole = model.generate(PROMPTS, **given)
    assert [one.tokens[0] for one in whole][:3] == first[:3]
    assert whole[4].tokens[0] != first[4]
    with room_for(model, 1):
        assert model.generate(PROMPTS, **given) == whole


def test_prompts_steered_each_in_its_own_way_stay_so(model):
    vectors = torch.randn(5, model.d_model, generator=torch.Generator().manual_seed(0))
    with hooks.steer_each(model, vectors, layers=[1], dose=0.5, residual_norm=10.0):
        whole = model.generate(PROMPTS, **SAMPLING)
        with room_for(model, 2):
            assert model.generate(PROMPTS, **SAMPLING) == whole
    assert whole != model.generate(PROMPTS, **SAMPLING)


def test_parts_of_too_few_prompts_are_refused_as_the_whole_is(model):
    vectors = torch.randn(6, model.d_model, generator=torch.Generator().manual_seed(0))
    with room_for(model, 2) as passes:
        with hooks.steer_each(model, vectors[:5], layers=[1], dose=0.5, residual_norm=10.0):
            model.generate(PROMPTS, **SAMPLING)
        assert max(passes) == 5
        passes.clear()
        with (
            pytest.raises(hooks.InvalidInput, match=r"vectors \(6\), got 5\."),
            hooks.steer_each(model, vectors, layers=[1], dose=0.5, residual_norm=10.0),
        ):
            model.generate(PROMPTS, **SAMPLING)  # in parts of two, which is what fitted
    assert passes == []


def test_one_prompt_that_does_not_fit_is_an_error(model):
    with room_for(model, 0), pytest.raises(torch.OutOfMemoryError):
        model.generate(PROMPTS, **SAMPLING)


def test_another_error_is_not_taken_for_lack_of_memory(model):
    with room_for(model, 2, ValueError), pytest.raises(ValueError, match="allocate"):
        model.generate(PROMPTS, **SAMPLING)
