"""Write into `resid_post`: add a direction, remove it, set it, or turn toward it.

With r the residual at a selected token, u the unit vector and c the coefficient:

* `add`: r + c u
* `project`: r - (r.u) u
* `clamp`: r + (c - r.u) u
* `rotate`: (r + c u) scaled back to the norm of r

The coefficient is `dose` times the mean residual norm at that layer (so a dose means the same at
every layer and in every model), or a `strength` in the stream's own units.

Contract
--------
* A context manager: hooks are gone afterwards, also after an exception.
* Several vectors at once are several contexts in one ``with``; at one layer they act in the order
  in which they were entered. `steer_each` gives every prompt of a batch a vector of its own.
* A selected token is changed exactly once per layer, when it is computed: in the pass over the
  prompt, or in the decoding step that adds it. What is cached is the changed stream; without a
  cache it is computed, changed and counted again at every step.
* Padding is never selected. A selection that matches nothing is an error, not a quiet baseline.
* Dose 0 is the unsteered model, bit for bit.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor

from hooks.backends import check_layers
from hooks.errors import InvalidInput
from hooks.model import LanguageModel
from hooks.phases import served_prompts, whole_prompts
from hooks.selection import Rule, Where, check_positions, select
from hooks.watching import Inputs

Operation = Literal["add", "project", "clamp", "rotate"]


def add(
    residual: Float[Tensor, "*batch d_model"], unit: Float[Tensor, "d_model"], coefficient: float
) -> Float[Tensor, "*batch d_model"]:
    """Add `coefficient` times a unit vector."""
    return residual + coefficient * unit


def project(
    residual: Float[Tensor, "*batch d_model"], unit: Float[Tensor, "d_model"]
) -> Float[Tensor, "*batch d_model"]:
    """Remove the component along a unit vector."""
    return clamp(residual, unit, 0.0)


def clamp(
    residual: Float[Tensor, "*batch d_model"], unit: Float[Tensor, "d_model"], coefficient: float
) -> Float[Tensor, "*batch d_model"]:
    """Set the component along a unit vector to `coefficient`."""
    component = einsum(residual, unit, "... d_model, d_model -> ...")
    return residual + rearrange(coefficient - component, "... -> ... 1") * unit


def rotate(
    residual: Float[Tensor, "*batch d_model"], unit: Float[Tensor, "d_model"], coefficient: float
) -> Float[Tensor, "*batch d_model"]:
    """Move toward a unit vector and keep the norm."""
    moved = residual + coefficient * unit
    before = torch.linalg.vector_norm(residual, dim=-1, keepdim=True)
    after = torch.linalg.vector_norm(moved, dim=-1, keepdim=True)
    return moved * (before / after)


@dataclass
class Steering:
    """What a `steer` context did.

    Attributes
    ----------
    dose, strength
        What was asked for; one of them is None, both are for `project`.
    split
        Whether that is the sum over the layers rather than given at each.
    coefficients
        Layer to the coefficient of the unit vector there, in the stream's units.
    n_tokens
        Layer to the number of tokens changed so far.
    n_passes, n_rows
        Forward passes so far, and rows of the last one.
    """

    operation: Operation
    positions: str
    dose: float | None
    strength: float | None
    split: bool
    coefficients: dict[int, float]
    n_tokens: dict[int, int] = field(default_factory=dict)
    n_passes: int = 0
    n_rows: int = 0


@contextlib.contextmanager
def steer(
    model: LanguageModel,
    vector: Float[Tensor, "d_model"] | Float[Tensor, "layer d_model"],
    *,
    layers: Sequence[int],
    dose: float | None = None,
    residual_norm: Float[Tensor, "layer"] | float | None = None,
    strength: float | None = None,
    operation: Operation = "add",
    positions: Where | Rule = "all",
    split: bool = False,
) -> Iterator[Steering]:
    """Change the residual stream while the context is open.

    Parameters
    ----------
    model
        What is steered: its generation, its bulk reading and its backend's own forward passes.
    vector
        A direction; its length does not matter. One for all layers [d_model], one per layer of the
        model, or one per entry of `layers`.
    layers
        Layers to steer, 0-based.
    dose
        Coefficient as a fraction of `residual_norm`, **per layer** (see `split`).
    residual_norm
        Mean residual norm per layer of the model (`EmotionVectors.residual_norm`), or one number.
    strength
        Coefficient in the stream's own units, instead of a dose.
    operation
        ``"add"``, ``"project"`` (takes no dose), ``"clamp"`` or ``"rotate"``.
    positions
        ``"all"``, ``"prompt"``, ``"generated"``, ``"last"`` (of each prompt), or a rule.
        ``Last()``, ``Span(3, 8)`` and ``TextSpan("some words")`` pick content tokens of the prompt;
        ``Speaker("assistant")`` picks one speaker's words, in the prompt and while they are being
        written.
    split
        Divide the coefficient by the number of layers, so that their sum is the dose.

    Yields
    ------
    Steering
        The coefficients, and how many tokens were changed at each layer.

    Raises
    ------
    InvalidInput
        For settings without meaning, and when a selection matches no token.
    """
    directions = _directions(model, vector, list(layers))
    coefficients = _coefficients(
        model, list(layers), operation, dose, residual_norm, strength, split
    )
    check_positions(positions)
    record = Steering(
        operation, str(positions), dose, strength, split, coefficients, dict.fromkeys(layers, 0)
    )
    if operation in ("add", "rotate") and not any(coefficients.values()):
        yield record  # nothing is computed, so nothing can differ
        return

    def changed(rows: Tensor, layer: int, _owner: Tensor) -> Tensor:
        unit = directions[layer].to(rows.device)
        coefficient = coefficients[layer]
        return {
            "add": lambda: add(rows, unit, coefficient),
            "project": lambda: project(rows, unit),
            "clamp": lambda: clamp(rows, unit, coefficient),
            "rotate": lambda: rotate(rows, unit, coefficient),
        }[operation]()

    with contextlib.ExitStack() as stack:
        if not isinstance(positions, str) or positions == "last":
            stack.enter_context(whole_prompts())
        stack.enter_context(_changing(model, positions, record, changed))
        yield record
    _refuse_nothing(positions, record)


@contextlib.contextmanager
def steer_each(
    model: LanguageModel,
    vectors: Float[Tensor, "prompt d_model"],
    *,
    layer: int,
    dose: float,
    residual_norm: float,
    positions: Where | Rule = "all",
) -> Iterator[Steering]:
    """Add to each prompt of a batch a vector of its own, at one layer and dose.

    One pass over many prompts is many times faster than a pass for each vector. Prompts are those
    of one call inside the context (`LanguageModel.generate`, `pooled_resid_post`,
    `endings.at_end`), or the rows of a plain forward pass.

    Parameters
    ----------
    vectors
        One direction per prompt, in the order of the prompts; lengths do not matter.
    dose, residual_norm, positions
        As in `steer`.

    Raises
    ------
    InvalidInput
        As `steer` does, and when there are not as many prompts as vectors.
    """
    norms = torch.linalg.vector_norm(vectors.float(), dim=-1, keepdim=True)
    if vectors.ndim != 2 or vectors.shape[1] != model.d_model or not len(vectors):
        raise InvalidInput(
            f"vectors: expected [prompt d_model] with d_model {model.d_model} of {model.name}, got "
            f"shape {tuple(vectors.shape)}."
        )
    if not (norms.isfinite().all() and (norms > 0).all()):
        raise InvalidInput("vectors: one of them is zero or not finite.")
    check_layers([layer], model.n_layers)
    check_positions(positions)
    units = vectors.float() / norms
    coefficient = dose * residual_norm
    record = Steering("add", str(positions), dose, None, False, {layer: coefficient}, {layer: 0})
    if not coefficient:
        yield record
        return

    def changed(rows: Tensor, _layer: int, owner: Tensor) -> Tensor:
        served = served_prompts()
        n_rows, n_vectors = record.n_rows, len(units)
        if (served is None and n_rows != n_vectors) or (served and max(served) >= n_vectors):
            raise InvalidInput(
                f"steer_each: expected as many prompts as vectors ({n_vectors}), got "
                f"{n_rows if served is None else 'more'}."
            )
        prompt = owner if served is None else torch.tensor(served, device=owner.device)[owner]
        return rows + coefficient * units.to(rows.device)[prompt]

    with whole_prompts(), _changing(model, positions, record, changed):
        yield record
    _refuse_nothing(positions, record)


@contextlib.contextmanager
def _changing(
    model: LanguageModel,
    positions: Where | Rule,
    record: Steering,
    changed: Callable[[Tensor, int, Tensor], Tensor],
) -> Iterator[None]:
    """Replace selected tokens' residuals; `changed` gets them, the layer, and each one's row."""
    selected: list[Tensor] = []

    def see_inputs(inputs: Inputs) -> None:
        record.n_passes += 1
        record.n_rows = len(inputs.ids)
        selected[:] = [select(model, positions, inputs)]

    def change(residual: Tensor, layer: int) -> Tensor | None:
        chosen = selected[0].to(residual.device)
        if not chosen.any():
            return None
        rows = residual[chosen].float()
        new = changed(rows, layer, chosen.nonzero()[:, 0])
        record.n_tokens[layer] += len(rows)
        steered = residual.clone()
        steered[chosen] = new.to(residual.dtype)
        return steered

    with contextlib.ExitStack() as stack:
        for tree in {id(model.bulk): model.bulk, id(model.reader): model.reader}.values():
            stack.enter_context(tree.watched(see_inputs))
            stack.enter_context(tree.hooked(dict.fromkeys(record.coefficients, change)))
        yield


def _refuse_nothing(positions: Where | Rule, record: Steering) -> None:
    if record.n_passes and not any(record.n_tokens.values()):
        raise InvalidInput(
            f"steer: positions={positions!r} matched no token in {record.n_passes} forward passes, "
            "so nothing was steered. 'generated' needs model.generate; a span needs a prompt that "
            "is long enough, a speaker one who speaks."
        )


def _directions(
    model: LanguageModel, vector: Tensor, layers: list[int]
) -> dict[int, Float[Tensor, "d_model"]]:
    check_layers(layers, model.n_layers)
    if not layers or len(set(layers)) != len(layers):
        raise InvalidInput(f"layers: expected at least one layer, each once, got {layers}.")
    if vector.shape[-1] != model.d_model:
        raise InvalidInput(
            f"vector: expected d_model {model.d_model} of {model.name}, got shape "
            f"{tuple(vector.shape)}. Was it made from another model?"
        )
    per_layer = _per_layer("vector", vector, layers, model.n_layers, single=vector.ndim == 1)
    units = {}
    for layer, direction in per_layer.items():
        norm = direction.float().norm()
        if not (norm.isfinite() and norm > 0):
            raise InvalidInput(f"vector: at layer {layer} it is zero or not finite.")
        units[layer] = direction.float() / norm
    return units


def _per_layer(
    name: str, values: Tensor, layers: list[int], n_layers: int, *, single: bool
) -> dict[int, Tensor]:
    """Give each layer its entry: of one for all, one per layer of the model, or one per entry."""
    if single:
        return dict.fromkeys(layers, values)
    if len(values) == n_layers:
        return {layer: values[layer] for layer in layers}
    if len(values) == len(layers):
        return dict(zip(layers, values, strict=True))
    raise InvalidInput(
        f"{name}: expected one entry, {n_layers} (layers of the model) or {len(layers)} (layers to "
        f"steer), got {len(values)}."
    )


def _coefficients(
    model: LanguageModel,
    layers: list[int],
    operation: Operation,
    dose: float | None,
    residual_norm: Any,
    strength: float | None,
    split: bool,
) -> dict[int, float]:
    if operation not in ("add", "project", "clamp", "rotate"):
        raise InvalidInput(f"operation: expected add, project, clamp or rotate, got {operation!r}.")
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
        return dict.fromkeys(layers, strength * share)
    if residual_norm is None:
        raise InvalidInput(
            "dose: a dose is a fraction of the mean residual norm; pass "
            "residual_norm=vectors.residual_norm, or use strength= for the stream's own units."
        )
    norms = torch.as_tensor(residual_norm, dtype=torch.float64)
    entries = _per_layer("residual_norm", norms, layers, model.n_layers, single=norms.ndim == 0)
    return {layer: float(dose or 0.0) * share * float(norm) for layer, norm in entries.items()}
