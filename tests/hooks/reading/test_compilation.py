"""Compiled blocks read the same stream, leave the model as it was, and are compiled once."""

import shutil

import pytest
import torch

import hooks
from hooks.reading.compilation import compiled

WORDS = ["the", "cat", "sat", "on", "the", "mat", "and", "looked", "at", "the", "door"]
TEXTS = [" ".join(WORDS[:n]) for n in range(4, len(WORDS) + 1)]
"""Of lengths of their own: passes of one text, or without padding, are each compiled apart."""
BATCH = 120

needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("g++", "clang++"))), reason="no C++ compiler"
)
# Dynamo asks the profiler for its annotations in a way that torch itself deprecates.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.mark.slow
@needs_compiler
def test_compiled_blocks_give_the_same_numbers_and_stay_in_the_cache_folder(
    tiny_model, tmp_path, monkeypatch
):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    monkeypatch.setenv("EMOTION_LENS_CACHE", str(tmp_path))
    model = tiny_model("gemma3", "huggingface")  # with two kinds of attention
    plain = hooks.pooled_resid_post(model, TEXTS, batch_tokens=BATCH)
    with compiled(model):
        fused = hooks.pooled_resid_post(model, TEXTS, batch_tokens=BATCH)
    assert torch.allclose(fused.mean, plain.mean, rtol=1e-4, atol=1e-5)
    assert torch.equal(fused.n_tokens, plain.n_tokens)
    assert any(path.is_file() for path in (tmp_path / "compiled").rglob("*"))


@pytest.mark.slow
@needs_compiler
def test_the_model_is_left_as_it_was_and_compiled_once(tiny_model):
    model = tiny_model("gemma3", "huggingface")
    before = [vars(block).get("forward") for block in model.bulk.structure.blocks]
    with pytest.raises(ZeroDivisionError), compiled(model):
        assert all("forward" in vars(block) for block in model.bulk.structure.blocks)
        hooks.pooled_resid_post(model, TEXTS, batch_tokens=BATCH)
        raise ZeroDivisionError
    assert [vars(block).get("forward") for block in model.bulk.structure.blocks] == before
    counters = torch._dynamo.utils.counters["stats"]
    graphs = counters["unique_graphs"]
    with compiled(model):
        hooks.pooled_resid_post(model, TEXTS[::-1], batch_tokens=BATCH)
    assert counters["unique_graphs"] == graphs


def test_without_a_compiler_it_says_what_to_install(tiny_model, monkeypatch):
    import torch._inductor.config
    import torch._inductor.cpp_builder as builder

    monkeypatch.setattr(torch._inductor.config.cpp, "cxx", ("no-such-compiler",))
    builder.cpp_compiler_search.cache_clear()
    with (
        pytest.raises(hooks.ModelError, match="Install g\\+\\+ or clang"),
        compiled(tiny_model("llama", "huggingface")),
    ):
        pass
