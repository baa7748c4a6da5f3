"""Write into `resid_post`: add a direction, remove it, set it, or turn toward it.

With r the residual at a selected token, u the unit vector and c the coefficient:

* `add`: r + c u
* `project`: r - (r.u) u
* `clamp`: r + (c - r.u) u
* `rotate`: (r + c u) scaled back to the norm of r

The coefficient is `dose` times the mean residual norm at that layer (so a dose means the same at
every layer and in every model), or a `strength` in the stream's own units.

* Several vectors at once are several contexts in one ``with``; at one layer they act in the order
  in which they were entered.
* A selected token is changed once per layer, when it is computed; the cache holds what it became.
  Without a cache it is computed, changed and counted again at every step; and so are tokens that
  another library's generation proposes, of which it may drop some (assisted decoding).
* Dose 0 of `add` and `rotate` is the unsteered model, bit for bit: nothing hangs on the model, so
  neither a selection nor a number of prompts is checked. Dose 0 of `clamp` is `project`.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from einops import einsum, rearrange
from jaxtyping import Float
from torch import Tensor

from hooks.errors import InvalidInput
from hooks.models.model import LanguageModel
from hooks.models.phases import (
    Phase,
    PromptRows,
    current_announcement,
    no_prefix_sharing,
    served_prompts,
)
from hooks.models.watching import Inputs
from hooks.steering.directions import (
    Directions,
    Norms,
    Operation,
    check_steered_layers,
    coefficients,
    unit_vectors,
)
from hooks.steering.selection import Rule, Where, check_positions, select, waits_for_drawn

Resid = Float[Tensor, "*batch d_model"]
Unit = Float[Tensor, "d_model"]


def add(residual: Resid, unit: Unit, coefficient: float) -> Resid:
    """Add `coefficient` times a unit vector."""
    return residual + coefficient * unit


def project(residual: Resid, unit: Unit) -> Resid:
    """Remove the component along a unit vector."""
    return clamp(residual, unit, 0.0)


def clamp(residual: Resid, unit: Unit, coefficient: float) -> Resid:
    """Set the component along a unit vector to `coefficient`."""
    component = einsum(residual, unit, "... d_model, d_model -> ...")
    return residual + rearrange(coefficient - component, "... -> ... 1") * unit


def rotate(residual: Resid, unit: Unit, coefficient: float) -> Resid:
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
    dose, strength, split
        What was asked for.
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
    vector: Directions,
    *,
    layers: Sequence[int],
    dose: float | None = None,
    residual_norm: Norms | None = None,
    strength: float | None = None,
    operation: Operation = "add",
    positions: Where | Rule = "all",
    split: bool = False,
) -> Iterator[Steering]:
    """Change the residual stream while the context is open.

    Parameters
    ----------
    vector
        A direction, of any length: one for all layers [d_model], one per layer of the model
        [layer d_model], or a mapping from layers (`EmotionVectors.by_layer`).
    layers
        Layers to steer, 0-based.
    dose
        Coefficient as a fraction of `residual_norm`, **per layer** (see `split`).
    residual_norm
        Mean residual norm per layer of the model (`EmotionVectors.residual_norm`), a mapping from
        layers (`EmotionVectors.norm_by_layer`), or one number.
    strength
        Coefficient in the stream's own units, instead of a dose.
    operation
        ``"add"``, ``"project"`` (takes no dose), ``"clamp"`` or ``"rotate"``.
    positions
        ``"all"``, ``"prompt"``, ``"generated"``, ``"last"`` (of each prompt), or a rule:
        ``Last()``, ``Span(3, 8)`` and ``TextSpan("some words")`` pick content tokens of the prompt,
        ``Speaker("assistant")`` words in the prompt and while they are being written.
    split
        Divide the coefficient by the number of layers, so that their sum is the dose.

    Yields
    ------
    Steering
        The coefficients, and how many tokens were changed at each layer.

    Raises
    ------
    InvalidInput
        For settings without meaning or not finite; when no forward pass reached a layer that is
        steered; and after a call in which nothing changed, since a selection matches no token or a
        dose is too small for the model's precision.
    """
    check_steered_layers(layers, model.n_layers)
    units = unit_vectors(vector, layers, n_layers=model.n_layers, d_model=model.d_model)
    amounts = coefficients(
        operation,
        layers,
        n_layers=model.n_layers,
        dose=dose,
        residual_norm=residual_norm,
        strength=strength,
        split=split,
    )
    check_positions(positions)
    record = Steering(
        operation, str(positions), dose, strength, split, amounts, dict.fromkeys(layers, 0)
    )
    if operation in ("add", "rotate") and not any(amounts.values()):
        yield record  # nothing is computed, so nothing can differ
        return

    def changed(rows: Tensor, layer: int, _owner: Tensor) -> Tensor:
        # Removing a component is setting it to 0, the amount of `project`.
        operations = {"add": add, "project": clamp, "clamp": clamp, "rotate": rotate}
        return operations[operation](rows, units[layer].to(rows.device), amounts[layer])

    with contextlib.ExitStack() as stack:
        if not isinstance(positions, str) or positions == "last":
            stack.enter_context(no_prefix_sharing())
        stack.enter_context(_changing(model, positions, record, changed))
        yield record


@contextlib.contextmanager
def steer_each(
    model: LanguageModel,
    vectors: Float[Tensor, "prompt d_model"],
    *,
    layers: Sequence[int],
    dose: float,
    residual_norm: Norms,
    positions: Where | Rule = "all",
    split: bool = False,
) -> Iterator[Steering]:
    """Add to each prompt of a batch a vector of its own, the same at all layers.

    Prompts are those of a call inside the context, or the rows of a plain forward pass. Options and
    errors are those of `steer`; there must be as many prompts as vectors.
    """
    norms = torch.linalg.vector_norm(vectors.float(), dim=-1, keepdim=True)
    if vectors.ndim != 2 or vectors.shape[1] != model.d_model or not len(vectors):
        raise InvalidInput(
            f"vectors: expected [prompt d_model] with d_model {model.d_model} of {model.name}, got "
            f"shape {tuple(vectors.shape)}."
        )
    if not (norms.isfinite().all() and (norms > 0).all()):
        raise InvalidInput("vectors: one of them is zero or not finite.")
    check_steered_layers(layers, model.n_layers)
    check_positions(positions)
    units = vectors.float() / norms
    amounts = coefficients(
        "add",
        layers,
        n_layers=model.n_layers,
        dose=dose,
        residual_norm=residual_norm,
        strength=None,
        split=split,
    )
    record = Steering("add", str(positions), dose, None, split, amounts, dict.fromkeys(layers, 0))
    if not any(amounts.values()):
        yield record
        return

    def changed(rows: Tensor, layer: int, owner: Tensor) -> Tensor:
        prompt = torch.tensor(list(_served(record.n_rows).prompts), device=owner.device)[owner]
        return rows + amounts[layer] * units.to(rows.device)[prompt]

    def check() -> None:
        n_prompts = _served(record.n_rows).n_prompts
        if n_prompts != len(units):
            raise InvalidInput(
                f"steer_each: expected as many prompts as vectors ({len(units)}), got {n_prompts}. "
                "Give all of them in one call."
            )

    with no_prefix_sharing(), _changing(model, positions, record, changed, check):
        yield record


def _served(n_rows: int) -> PromptRows:
    """Return which prompts the running pass serves: where nobody says, its rows are the prompts."""
    return served_prompts() or PromptRows(range(n_rows), n_rows)


@contextlib.contextmanager
def _changing(
    model: LanguageModel,
    positions: Where | Rule,
    record: Steering,
    changed: Callable[[Tensor, int, Tensor], Tensor],
    check: Callable[[], None] = lambda: None,
) -> Iterator[None]:
    """Replace selected tokens' residuals by `changed`; `check` every forward pass before it."""
    selected: list[Tensor] = []
    calls = [_Call()]

    def see_inputs(inputs: Inputs) -> None:
        if inputs.begins:
            _refuse_nothing(positions, record, calls)
            calls.append(_Call())
        record.n_passes += 1
        record.n_rows = len(inputs.ids)
        check()
        calls[-1].phases.add(_phase_of_generation(inputs))
        selected[:] = [select(model, positions, inputs)]

    def change(residual: Tensor, layer: int) -> Tensor | None:
        call = calls[-1]
        call.reached = True
        chosen = selected[0].to(residual.device)
        if not chosen.any():
            return None
        rows = residual[chosen]
        new = changed(rows.float(), layer, chosen.nonzero()[:, 0]).to(residual.dtype)
        call.n_tokens += len(rows)
        call.moved = call.moved or not torch.equal(new, rows)
        record.n_tokens[layer] += len(rows)
        steered = residual.clone()
        steered[chosen] = new
        return steered

    with contextlib.ExitStack() as stack:
        for tree in {id(model.bulk): model.bulk, id(model.reader): model.reader}.values():
            stack.enter_context(tree.watched(see_inputs))
            stack.enter_context(tree.hooked(dict.fromkeys(record.coefficients, change)))
        yield
    _refuse_nothing(positions, record, calls)
    if record.n_passes and not any(call.reached for call in calls):
        raise InvalidInput(
            f"steer: of layers {sorted(record.coefficients)} none was reached in {record.n_passes} "
            "forward passes. Read one of them or a later layer, or steer an earlier one."
        )


@dataclass
class _Call:
    """What steering did to the passes of one text, batch or generation."""

    phases: set[Phase | None] = field(default_factory=set)
    reached: bool = False
    n_tokens: int = 0
    moved: bool = False


def _refuse_nothing(positions: Where | Rule, record: Steering, calls: Sequence[_Call]) -> None:
    """Raise when the last call came to a steered layer and nothing changed.

    But for a text that ended at its first draw. A call that came to none may have failed, and be
    repeated.
    """
    call = calls[-1]
    nothing_drawn = "prompt" in call.phases and "generated" not in call.phases
    if not call.reached or (nothing_drawn and waits_for_drawn(positions)):
        return
    which = f"call {len(calls) - 1} of this context" if len(calls) > 2 else "this call"
    if not call.n_tokens:
        raise InvalidInput(
            f"steer: positions={positions!r} matched no token in {which}. 'generated' needs "
            "model.generate, a span a long prompt, a speaker one who speaks."
        )
    # A component that is removed or set may have been there already.
    if record.operation in ("add", "rotate") and not call.moved:
        listed = ", ".join(
            f"{it:.3g} at layer {layer}" for layer, it in record.coefficients.items()
        )
        raise InvalidInput(
            f"steer: expected {call.n_tokens} tokens to change in {which}, and none did: beside "
            f"these residuals coefficients of {listed} are lost to rounding. Give a larger dose, "
            "or load the model in float32."
        )


def _phase_of_generation(inputs: Inputs) -> Phase | None:
    """Return what a pass is to the generation that runs it; None outside of one."""
    announced = current_announcement()
    if announced is not None:
        return announced.phase
    if not inputs.generating:
        return None
    return "generated" if inputs.n_prompt < inputs.ids.shape[1] else "prompt"
