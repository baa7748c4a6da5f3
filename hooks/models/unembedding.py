"""The model's own way from its last block's output to its logits, found by running it.

1. A twin of the model, over the same tensors, has stand-ins for blocks: each gives the residuals it
   is told, in the form in which the block itself gives them.
2. Every residual is a text of one token to the twin, whose `forward` does what the model's does
   after its blocks: norms, projections, multipliers, the unembedding, caps.
3. A pass of the model tells whether nothing else goes into its logits: else they are refused.

Nothing that hangs on the model sees these passes, several threads may make them at once, and
gradients flow through them.
"""

import copy
import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from hooks.errors import ModelError
from hooks.models.structure import Structure, logits_of, relative_difference
from hooks.models.twin import shared_twin


class Unembedding:
    """Turns residuals after the last block into the model's own logits, in float32."""

    def __init__(self, hf: Any, structure: Structure) -> None:
        self._name = type(hf).__name__
        self._id = structure.ids[:1, :1]
        self._like = structure.stream_of(structure.outputs[-1])
        self._of_thread = threading.local()
        pairs = zip(structure.blocks, structure.outputs, strict=True)
        stand_ins = [_stand_in(block, self._giving(structure, output)) for block, output in pairs]
        self._twin = shared_twin(hf, {structure.blocks: nn.ModuleList(stand_ins)})
        self.difference = self._difference(structure)
        """From the model's own logits, in units of the largest one."""
        self._limit = 1e-3 if self._like.dtype in (torch.float32, torch.float64) else 5e-2

    def __call__(self, residual: Float[Tensor, "row d_model"]) -> Float[Tensor, "row d_vocab"]:
        """Return logits; ModelError where the last block's output does not decide them."""
        if not self.difference < self._limit:
            raise ModelError(self._refusal())
        return self._run(residual)

    def _run(self, residual: Float[Tensor, "row d_model"]) -> Float[Tensor, "row d_vocab"]:
        stream = residual.to(self._like.device, self._like.dtype)
        self._of_thread.stream = rearrange(stream, "row d_model -> row 1 d_model")
        try:
            ids = self._id.expand(len(residual), 1)
            logits = logits_of(self._twin(input_ids=ids, use_cache=False))
        finally:
            del self._of_thread.stream
        return rearrange(logits, "row 1 d_vocab -> row d_vocab").float()

    def _giving(self, structure: Structure, output: Any) -> Callable[..., Any]:
        """Return a block's `forward` that gives this thread's residuals in the form of `output`."""
        return lambda *_, **__: structure.with_stream(output, self._of_thread.stream)

    @torch.no_grad()
    def _difference(self, structure: Structure) -> float:
        try:
            return relative_difference(self._run(self._like[0]), structure.logits[0])
        except Exception:  # noqa: BLE001 - whatever the model misses besides its residuals
            return math.inf

    def _refusal(self) -> str:
        if math.isnan(self.difference):
            return (
                f"{self._name}: its logits are not numbers (NaN): it overflowed, or its weights "
                "are damaged. Load it in another dtype (float32 or bfloat16)."
            )
        return (
            f"{self._name}: what its last block gives does not decide its logits (they differ by "
            f"{self.difference:.1e} of the largest, tolerance {self._limit:.0e}): more goes into "
            "them, such as earlier blocks. Logit lens and log-probabilities would be wrong and "
            "are refused; reading, steering and writing go around this."
        )


def _stand_in(block: nn.Module, forward: Callable[..., Any]) -> nn.Module:
    """Copy a block without its hooks and with another `forward`."""
    stand_in = copy.copy(block)
    for name, value in vars(block).items():
        if name.endswith(("_hooks", "_hooks_with_kwargs", "_hooks_always_called")):
            vars(stand_in)[name] = OrderedDict() if isinstance(value, dict) else value
    stand_in.forward = forward
    return stand_in
