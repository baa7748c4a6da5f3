"""vLLM lives in an environment of its own; without one these tests are skipped."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pages
import pytest

from hooks.vllm.engine import VllmEngine, VllmOptions

PYTHON = pages.ROOT / ".venv-vllm" / "bin" / "python"


@pytest.fixture(scope="session")
def settings() -> VllmOptions:
    if not PYTHON.exists():
        pytest.skip("there is no .venv-vllm: `make vllm` builds one")
    return VllmOptions(str(PYTHON), dtype="float32", options={"max_logprobs": -1})


@pytest.fixture(scope="module", params=["llama", "qwen3", "gemma3"])
def both(request: Any, settings: VllmOptions, tiny_folder: Any) -> Iterator[tuple[Any, VllmEngine]]:
    """A tiny model as our hooks have it, and as vLLM has it."""
    import hooks

    folder: Path = tiny_folder(f"{request.param} for vllm")
    with VllmEngine(str(folder), settings) as engine:
        yield hooks.load(folder, backend="huggingface", dtype="float32", device="cpu"), engine
