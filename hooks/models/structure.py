"""Find the parts of a Hugging Face causal language model by structure, not by a list of names.

The *blocks* are the `ModuleList` whose length is the config's number of layers, the *trunk* is the
innermost module that holds them and reads token ids. A small pass tells what the blocks give, and
the logits that follow.

Blocks give a residual stream [text position d_model]. Of architectures that keep several (Gemma-3n,
hyper-connections) it is all of them side by side: d_model is their number times their width.
"""

import contextlib
import inspect
from dataclasses import dataclass
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from hooks.errors import ModelError

Stream = Float[Tensor, "text position d_model"]
_N_TOKENS = 12
"""Of the small pass: enough for windows and summaries of a few tokens to matter."""
_ONE = "text position width"
_JOINED = "text position (stream width)"
_AXES: dict[str, tuple[int | None, ...]] = {
    _ONE: (1, _N_TOKENS),
    "text position stream width": (1, _N_TOKENS, None),
    "stream text position width": (None, 1, _N_TOKENS),
}
"""Axes that a block's output may have, and how long those before the last are in the small pass."""


@dataclass(frozen=True)
class Structure:
    """The modules that reading and writing need, and what a small pass gave."""

    trunk: nn.Module
    blocks: nn.ModuleList
    head: Any
    ids: Int[Tensor, "1 position"]
    """Tokens of the small pass, none of which is padding."""
    outputs: list[Any]
    """What each block returned: the stream, or a tuple that begins with it."""
    logits: Float[Tensor, "1 position d_vocab"]
    axes: str
    """Of what a block gives, in order."""

    @property
    def keeps_several(self) -> bool:
        """Whether the model keeps several residual streams."""
        return self.axes != _ONE

    @property
    def d_model(self) -> int:
        """Width of the stream, all streams of a model with several together."""
        return self.stream_of(self.outputs[0]).shape[-1]

    def stream_of(self, output: Any) -> Stream:
        """Return the residual stream in what a block gave."""
        tensor = first_tensor(output)
        return rearrange(tensor, f"{self.axes} -> {_JOINED}") if self.keeps_several else tensor

    def with_stream(self, output: Any, stream: Stream) -> Any:
        """Return what a block gave with another residual stream in it."""
        if self.keeps_several:
            width = first_tensor(output).shape[-1]
            stream = rearrange(stream, f"{_JOINED} -> {self.axes}", width=width)
        if isinstance(output, Tensor):
            return stream
        parts = (stream, *output[1:])
        return type(output)(*parts) if hasattr(output, "_fields") else type(output)(parts)


def first_tensor(output: Any) -> torch.Tensor:
    """Return the residual stream in a block's output, which may be a tensor or start with one."""
    return output[0] if isinstance(output, tuple | list) else output


def find_blocks(hf: Any) -> tuple[nn.Module, nn.ModuleList]:
    """Return (trunk, decoder blocks) of a Hugging Face causal language model."""
    return _possible_blocks(hf)[0]


def _possible_blocks(hf: Any) -> list[tuple[nn.Module, nn.ModuleList]]:
    """Return every (trunk, blocks) there may be, those of the decoder first."""
    n_layers = hf.config.get_text_config(decoder=True).num_hidden_layers
    decoder = hf.get_decoder() if hasattr(hf, "get_decoder") else None
    candidates = [
        module
        for parent in ([decoder, hf] if isinstance(decoder, nn.Module) else [hf])
        for module in parent.modules()
        if isinstance(module, nn.ModuleList)
    ]
    # A config may count a block's halves, or each time that a block runs.
    fewer = [it for it in candidates if 1 < len(it) < n_layers and n_layers % len(it) == 0]
    exact = [it for it in candidates if len(it) == n_layers]
    pairs = []
    for module in exact or sorted(fewer, key=len, reverse=True):
        name = next(name for name, it in hf.named_modules() if it is module)
        path = name.split(".")[:-1]
        around = [hf.get_submodule(".".join(path[:n])) for n in range(len(path), -1, -1)]
        trunks = (it for it in around if "input_ids" in inspect.signature(it.forward).parameters)
        if (trunk := next(trunks, None)) is not None:
            pairs.append((trunk, module))
    if not pairs:
        raise ModelError(
            f"{type(hf).__name__}: expected a list of {n_layers} decoder blocks (nn.ModuleList), "
            "found none. This architecture is not a plain decoder-only causal language model."
        )
    return pairs


def follows_length(module: nn.Module) -> bool:
    """Whether a module's rotary frequencies follow the length of the text."""
    kinds = getattr(module, "rope_type", None)  # one, or one for each kind of attention
    named = kinds.values() if isinstance(kinds, dict) else [kinds]
    return any(name is not None and ("dynamic" in name or name == "longrope") for name in named)


@torch.no_grad()
def find_structure(hf: Any) -> Structure:
    """Locate trunk, blocks and unembedding; ModelError where blocks give no residual stream."""
    pairs = _possible_blocks(hf)
    head = hf.get_output_embeddings()
    if head is None:
        raise ModelError(f"{type(hf).__name__} has no unembedding; expected a causal LM.")
    outputs: dict[nn.Module, list[Any]] = {block: [] for _, blocks in pairs for block in blocks}

    def keep(block: nn.Module, _inputs: Any, output: Any) -> None:
        outputs[block].append(output)

    ids = _tokens(hf)
    with contextlib.ExitStack() as stack:
        for block in outputs:
            stack.enter_context(block.register_forward_hook(keep))
        try:
            output = hf(input_ids=ids, use_cache=False)
        except Exception as error:  # a model of another kind may fail in any way
            raise ModelError(
                f"{type(hf).__name__}: expected a causal language model that needs token ids "
                f"alone, and it raised {type(error).__name__}: {error}"
            ) from error
    ran = [pair for pair in pairs if outputs[pair[1][0]]]  # not the blocks of another tower
    trunk, blocks = (ran or pairs)[0]
    axes = [_axes(hf, layer, outputs[block]) for layer, block in enumerate(blocks)]
    first = [outputs[block][0] for block in blocks]
    return Structure(trunk, blocks, head, ids, first, logits_of(output), axes[-1])


def _tokens(hf: Any) -> Int[Tensor, "1 position"]:
    padding = getattr(hf.config.get_text_config(decoder=True), "pad_token_id", None)
    ids = [number for number in range(_N_TOKENS + 1) if number != padding][:_N_TOKENS]
    return torch.tensor([ids], device=hf.get_input_embeddings().weight.device)


def logits_of(output: Any) -> Float[Tensor, "text position d_vocab"]:
    """Return the logits in what a model returned, which may be logits alone."""
    return getattr(output, "logits", output)


def _axes(hf: Any, layer: int, outputs: list[Any]) -> str:
    """Tell the axes of a block's output; ModelError where it is no residual stream, once."""
    width = hf.config.get_text_config(decoder=True).hidden_size
    model, advice = type(hf).__name__, "Use a model with one residual stream."
    if len(outputs) != 1:
        raise ModelError(
            f"{model}: expected each decoder block to run once on a text, and block {layer} ran "
            f"{len(outputs)} times: what it gives is no residual stream of its own. {advice}"
        )
    stream = first_tensor(outputs[0])
    shape = list(stream.shape) if isinstance(stream, Tensor) else []
    for axes, lengths in _AXES.items():
        fits = [of in (None, length) for of, length in zip(lengths, shape, strict=False)]
        if len(shape) == len(lengths) + 1 and all(fits) and shape[-1] % width == 0:
            return axes
    raise ModelError(
        f"{model}: expected decoder blocks to give a residual stream [text position d_model] of "
        f"shape {(1, _N_TOKENS, width)}, and block {layer} gives "
        f"{tuple(shape) or type(stream).__name__}, which is neither read nor steered. {advice}"
    )


def relative_differences(
    got: Float[Tensor, "layer row column"], expected: Float[Tensor, "layer row column"]
) -> Float[Tensor, "layer"]:
    """Return the largest difference of each layer in units of its largest entry expected."""
    worst = (got.float() - expected.float()).abs().amax(dim=(1, 2))
    return worst / expected.float().abs().amax(dim=(1, 2))


def relative_difference(got: Tensor, expected: Tensor) -> float:
    """Return the largest difference in units of the largest entry expected; NaN for NaN."""
    got, expected = got.float(), expected.float().to(got.device)
    return float((got - expected).abs().max() / expected.abs().max())
