"""Find the parts of a Hugging Face causal language model by structure, not by a list of names.

The *blocks* are the `ModuleList` whose length is the config's number of layers, the *trunk* is what
holds it, and the *final norm* is the one module outside the blocks that receives the last block's
output in a forward pass of two tokens.
"""

import contextlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from hooks.errors import ModelError


@dataclass(frozen=True)
class Structure:
    """The modules that reading, writing and unembedding need."""

    trunk: nn.Module
    blocks: nn.ModuleList
    final_norm: Any
    head: Any


def first_tensor(output: Any) -> torch.Tensor:
    """Return the residual stream in a block's output, which may be a tensor or start with one."""
    return output[0] if isinstance(output, tuple | list) else output


def find_blocks(hf: Any) -> tuple[nn.Module, nn.ModuleList]:
    """Return (trunk, decoder blocks) of a Hugging Face causal language model."""
    n_layers = hf.config.get_text_config(decoder=True).num_hidden_layers
    decoder = hf.get_decoder() if hasattr(hf, "get_decoder") else None
    candidates = [
        module
        for parent in ([decoder, hf] if isinstance(decoder, nn.Module) else [hf])
        for module in parent.modules()
        if isinstance(module, nn.ModuleList) and len(module) == n_layers
    ]
    for module in candidates:
        # The list's own parent is the trunk: it embeds, runs the blocks and norms.
        for trunk in hf.modules():
            if any(child is module for child in trunk.children()):
                return trunk, module
    raise ModelError(
        f"{type(hf).__name__}: expected a list of {n_layers} decoder blocks (nn.ModuleList), found "
        "none. This architecture is not a plain decoder-only causal language model."
    )


def follows_length(module: nn.Module) -> bool:
    """Whether a module's rotary frequencies follow the length of the text."""
    kinds = getattr(module, "rope_type", None)  # one, or one for each kind of attention
    named = kinds.values() if isinstance(kinds, dict) else [kinds]
    return any(name is not None and ("dynamic" in name or name == "longrope") for name in named)


@torch.no_grad()
def find_structure(hf: Any) -> Structure:
    """Locate trunk, blocks, final norm and unembedding of a model, by watching one small pass."""
    trunk, blocks = find_blocks(hf)
    head = hf.get_output_embeddings()
    if head is None:
        raise ModelError(f"{type(hf).__name__} has no unembedding; expected a causal LM.")
    last_output: list[torch.Tensor] = []
    readers: list[nn.Module] = []
    inside = {id(module) for module in blocks.modules()}

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
        last_output[:] = [first_tensor(output)]

    def watch(module: nn.Module, inputs: Any) -> None:
        if last_output and inputs and inputs[0] is last_output[0]:
            readers.append(module)

    outside = [m for m in trunk.modules() if m is not trunk and id(m) not in inside]
    device = hf.get_input_embeddings().weight.device
    with contextlib.ExitStack() as stack:
        stack.enter_context(blocks[-1].register_forward_hook(keep))
        for module in outside:
            stack.enter_context(module.register_forward_pre_hook(watch))
        try:
            trunk(input_ids=torch.tensor([[0, 1]], device=device), use_cache=False)
        except Exception as error:  # a trunk of another kind may fail in any way
            raise ModelError(
                f"{type(hf).__name__}: expected a decoder that reads token ids; "
                f"{type(trunk).__name__} raised {type(error).__name__}: {error}"
            ) from error
    if not readers:
        raise ModelError(f"{type(hf).__name__}: nothing reads the last block: no final norm found.")
    return Structure(trunk, blocks, readers[0], head)
