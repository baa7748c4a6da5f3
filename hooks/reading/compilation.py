"""Read through compiled decoder blocks: the same numbers beyond rounding, sooner.

Between its matrix products an uncompiled block writes every norm, rotation and activation to memory
and reads it again. `torch.compile` joins them; its first pass takes some tens of seconds, so it
pays for corpora. The blocks' hooks stay outside the compiled code; one compiled block serves all
that are alike, at any batch size and length.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch

from hooks.errors import ModelError
from hooks.models.backends import HuggingFaceBackend

if TYPE_CHECKING:
    from hooks.models.model import LanguageModel

_forwards: "WeakKeyDictionary[torch.nn.Module, Callable[..., Any]]" = WeakKeyDictionary()


@contextlib.contextmanager
def compiled(model: "LanguageModel") -> Iterator[None]:
    """Run the decoder blocks of the tree that reads in bulk through `torch.compile`.

    Raises ModelError when the model is on a CPU and there is no C++ compiler, or nothing can be
    compiled.
    """
    blocks = list(_tree(model).structure.blocks)
    own = [vars(block).get("forward") for block in blocks]
    # Blocks that differ (in their kind of attention, say) are compiled apart.
    with torch._dynamo.config.patch(recompile_limit=len(blocks) + 8):
        try:
            for block in blocks:
                if block not in _forwards:
                    _forwards[block] = torch.compile(block.forward, dynamic=True)
                block.forward = _forwards[block]
            yield
        finally:
            for block, forward in zip(blocks, own, strict=True):
                if forward is None:
                    vars(block).pop("forward", None)
                else:
                    block.forward = forward


def _tree(model: "LanguageModel") -> HuggingFaceBackend:
    """Return what can be compiled, and with what."""
    tree = model.bulk
    if not isinstance(tree, HuggingFaceBackend):
        raise ModelError(
            f"{model.name}: only a Hugging Face module tree can be compiled, and a "
            "HookedTransformer has none. Load the model by name."
        )
    if model.device.type != "cpu":
        return tree
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler as error:
        raise ModelError(
            "compiled blocks need a C++ compiler and none was found. Install g++ or clang++, or "
            "read without compiling (activation.compile=false)."
        ) from error
    return tree
