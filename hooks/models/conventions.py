"""What a model takes besides token ids, found by trying: positions, left padding, a cache of ours.

Every way of calling it has to give a few tokens the logits that they have by themselves. Where one
does not, reading and writing go another way to the same numbers.
"""

import functools
import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import DynamicCache

from hooks.models.structure import Structure, logits_of, relative_difference


@dataclass(frozen=True)
class Conventions:
    """How a model may be called."""

    takes_positions: bool = True
    """Whether tokens can be told their positions, from 0."""
    pads_left: bool = True
    """Whether padding on the left changes nothing."""
    why_no_cache: str | None = None
    """Why a text cannot go on from a cache of ours; None where it can."""


def find_conventions(hf: Any, structure: Structure) -> Conventions:
    """Try how a model may be called."""
    with torch.no_grad():
        known = _Known(structure.ids, logits_of(hf(input_ids=structure.ids, use_cache=False)))
    if _why_not(hf, known, positions=True, padding=1, cached=True) is None:
        return Conventions()
    positions = _why_not(hf, known, positions=True) is None
    why_no_cache = _why_not(hf, known, positions=positions, cached=True)
    cached = why_no_cache is None
    padding = _why_not(hf, known, positions=positions, padding=1, cached=cached) is None
    return Conventions(positions, padding, why_no_cache)


@dataclass(frozen=True)
class _Known:
    """A few tokens and the logits that they have by themselves."""

    ids: Int[Tensor, "1 position"]
    logits: Float[Tensor, "1 position d_vocab"]


@torch.no_grad()
def _why_not(
    hf: Any, known: _Known, *, positions: bool, padding: int = 0, cached: bool = False
) -> str | None:
    """Say why a way of calling a model does not give the known logits; None where it does."""
    ids = nn.functional.pad(known.ids, (padding, 0))
    mask = nn.functional.pad(torch.ones_like(known.ids), (padding, 0))
    places = (mask.cumsum(dim=1) - 1).clamp(min=0)
    width = ids.shape[1]
    steps = [(0, width - 1), (width - 1, width)] if cached else [(0, width)]
    cache = DynamicCache(config=hf.config) if cached else None
    parts = []
    try:
        for start, stop in steps:
            inputs: dict[str, Any] = {"attention_mask": mask[:, :stop]}
            if positions:
                inputs["position_ids"] = places[:, start:stop]
            if cache is not None:
                inputs["past_key_values"] = cache
            output = hf(input_ids=ids[:, start:stop], use_cache=cached, **accepted(hf, inputs))
            parts.append(logits_of(output))
        logits = torch.cat(parts, dim=1)[:, padding:]
        difference = relative_difference(logits, known.logits)
    except Exception as error:  # noqa: BLE001 - a cache of another kind may fail in any way
        return f"{type(error).__name__}: {error}".strip().splitlines()[0]
    # Rounding may send a token to another expert, and a model that forgets is far beyond that.
    limit = 1e-3 if known.logits.dtype in (torch.float32, torch.float64) else 0.1
    return None if difference < limit else f"its logits differ by {difference:.0e} with it"


def accepted(module: nn.Module, named: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of some arguments that a module's `forward` takes."""
    parameters = _parameters(type(module))
    takes_any = any(it.kind is inspect.Parameter.VAR_KEYWORD for it in parameters.values())
    return {name: value for name, value in named.items() if takes_any or name in parameters}


@functools.cache
def _parameters(kind: type[nn.Module]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(kind.forward).parameters
