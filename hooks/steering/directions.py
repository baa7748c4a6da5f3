"""What steering is asked for, as a unit vector and a coefficient at each layer.

A direction, or a norm, is one for all layers, a matrix with a row for every layer of the model, or
a mapping from layers.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from hooks.errors import InvalidInput
from hooks.models.backends import check_layers, plain_layers

Operation = Literal["add", "project", "clamp", "rotate"]
Directions = (
    Float[Tensor, "d_model"]
    | Float[Tensor, "layer d_model"]
    | Mapping[int, Float[Tensor, "d_model"]]
)
Norms = Float[Tensor, "layer"] | Mapping[int, float] | float


def check_steered_layers(layers: Sequence[int], n_layers: int) -> None:
    """Refuse no layer, a layer twice, and one that the model does not have."""
    check_layers(plain_layers(layers), n_layers)
    if not layers or len(set(layers)) != len(layers):
        raise InvalidInput(f"layers: expected at least one layer, each once, got {list(layers)}.")


def unit_vectors(
    vector: Directions, layers: Sequence[int], *, n_layers: int, d_model: int
) -> dict[int, Float[Tensor, "d_model"]]:
    """Give each layer its direction, with norm 1; InvalidInput where there is none."""
    rows = vector.values() if isinstance(vector, Mapping) else [vector]
    wrong = next((row for row in rows if row.shape[-1] != d_model), None)
    if wrong is not None:
        raise InvalidInput(
            f"vector: expected d_model {d_model}, got shape {tuple(wrong.shape)}. Was it made from "
            "another model?"
        )
    units = {}
    for layer, direction in _by_layer("vector", vector, layers, n_layers, ndim=1).items():
        norm = direction.float().norm()
        if not (norm.isfinite() and norm > 0):
            raise InvalidInput(f"vector: at layer {layer} it is zero or not finite.")
        units[layer] = direction.float() / norm
    return units


def coefficients(
    operation: str,
    layers: Sequence[int],
    *,
    n_layers: int,
    dose: float | None,
    residual_norm: Norms | None,
    strength: float | None,
    split: bool,
) -> dict[int, float]:
    """Give each layer the coefficient of its unit vector, in the stream's units."""
    if operation not in get_args(Operation):
        raise InvalidInput(
            f"operation: expected one of {', '.join(get_args(Operation))}, got {operation!r}."
        )
    if operation == "project":
        if dose is not None or strength is not None:
            raise InvalidInput("operation 'project' removes the direction; it takes no dose.")
        return dict.fromkeys(layers, 0.0)
    if (dose is None) == (strength is None):
        raise InvalidInput(
            f"operation {operation!r}: expected either a dose (with residual_norm) or a strength."
        )
    share = 1 / len(layers) if split else 1.0
    if strength is not None:
        return dict.fromkeys(layers, finite("strength", strength) * share)
    if residual_norm is None:
        raise InvalidInput(
            "dose: it is a fraction of the mean residual norm; pass "
            "residual_norm=vectors.residual_norm, or strength= in the stream's own units."
        )
    norms = _by_layer("residual_norm", residual_norm, layers, n_layers, ndim=0)
    return {layer: coefficient(dose or 0.0, norm) * share for layer, norm in norms.items()}


def coefficient(dose: float, residual_norm: float | Float[Tensor, ""]) -> float:
    """Return a dose in the stream's units; InvalidInput where it is not finite."""
    norm = finite("residual_norm", float(residual_norm))
    if norm <= 0:
        raise InvalidInput(f"residual_norm: expected a mean of norms above 0, got {norm:g}.")
    return finite("dose", dose) * norm


def finite(name: str, value: float) -> float:
    """Return a number, or refuse it."""
    if not math.isfinite(value):
        raise InvalidInput(f"{name}: expected a finite number, got {value}.")
    return float(value)


def _by_layer(
    name: str, values: Any, layers: Sequence[int], n_layers: int, *, ndim: int
) -> dict[int, Any]:
    """Give each layer its own of some values, of which one for a layer has `ndim` dimensions."""
    if isinstance(values, Mapping):
        missing = [layer for layer in layers if layer not in values]
        if missing:
            raise InvalidInput(
                f"{name}: nothing for layer {missing[0]}; there is something for {sorted(values)}."
            )
    elif torch.as_tensor(values).ndim == ndim:
        return dict.fromkeys(layers, values)
    elif len(values) != n_layers:
        raise InvalidInput(
            f"{name}: expected one for all layers, one for each of the model's {n_layers} layers, "
            f"or a mapping from layers; got {len(values)}, which do not say their layers. Of some "
            "layers only, take vectors.by_layer('sad') and vectors.norm_by_layer."
        )
    return {layer: values[layer] for layer in layers}
