"""Read through compiled decoder blocks: the same numbers beyond rounding, sooner.

`torch.compile` joins what an uncompiled block writes to memory between its matrix products. Its
first pass takes some tens of seconds, and some seconds once what it made lies in the cache folder
of the models (or in ``TORCHINDUCTOR_CACHE_DIR``). Hooks stay outside of the compiled code, which
serves all blocks that are alike.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any
from weakref import WeakKeyDictionary

import torch

from hooks.errors import ModelError
from hooks.models.backends import HuggingFaceBackend
from hooks.models.embedded import cache_folder
from hooks.models.model import LanguageModel

_forwards: "WeakKeyDictionary[torch.nn.Module, Callable[..., Any]]" = WeakKeyDictionary()


@contextlib.contextmanager
def compiled(model: LanguageModel) -> Iterator[None]:
    """Read in bulk through compiled blocks; ModelError without a C++ compiler or such blocks."""
    blocks = list(_tree(model).structure.blocks)
    _keep_what_is_made()
    before = [vars(block).get("forward") for block in blocks]
    # Blocks that differ (in their kind of attention, say) are compiled apart.
    with torch._dynamo.config.patch(recompile_limit=len(blocks) + 8):
        try:
            for block in blocks:
                if block not in _forwards:
                    _forwards[block] = torch.compile(block.forward, dynamic=True)
                block.forward = _forwards[block]
            yield
        finally:
            for block, forward in zip(blocks, before, strict=True):
                if forward is None:
                    vars(block).pop("forward", None)
                else:
                    block.forward = forward


def _keep_what_is_made() -> None:
    """Let torch's cache be ours, unless somebody chose one: its default is for temporary files."""
    from torch._inductor.runtime.cache_dir_utils import default_cache_dir

    if os.environ.get("TORCHINDUCTOR_CACHE_DIR", "") in ("", default_cache_dir()):
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(cache_folder() / "compiled")


def _tree(model: LanguageModel) -> HuggingFaceBackend:
    """Return what can be compiled, once it is known that something can compile it."""
    tree = model.bulk
    if not isinstance(tree, HuggingFaceBackend):
        raise ModelError(
            f"{model.name}: a HookedTransformer cannot be compiled. Load the model by name."
        )
    if model.device.type != "cpu":
        return tree
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler as error:
        raise ModelError(
            "compiled blocks need a C++ compiler, and there is none. Install g++ or clang++, or "
            "set activation.compile=false."
        ) from error
    return tree
