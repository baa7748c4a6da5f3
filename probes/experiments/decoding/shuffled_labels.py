"""What accuracies reach when labels are shuffled within topics, choices of layers included."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from probes.analysis import held_out
from probes.analysis.held_out import Design
from probes.analysis.resampling import permutation_p_value


@dataclass(frozen=True, kw_only=True)
class Null:
    """What shuffled labels reach: their mean, 95% of them at most, and p of the real ones."""

    mean: float
    upper: float
    p: float
    n: int

    @classmethod
    def of(cls, observed: float, null: Float[Tensor, "permutation"]) -> "Null":
        """Set what was observed beside shuffled labels."""
        p = permutation_p_value(observed, null, "greater")
        return cls(mean=float(null.mean()), upper=float(null.quantile(0.95)), p=p, n=len(null))


def at_chosen_layers(
    hits: Bool[Tensor, "layer row"], inner: Float[Tensor, "layer outer inner"], design: Design
) -> Bool[Tensor, "row"]:
    """Judge every row at the layer that the other folds chose."""
    chosen = held_out.choose_nested(inner)[design.fold]
    return hits.gather(0, chosen[None])[0]


def nested_null(
    hits: Bool[Tensor, "layer permutation row"],
    inner: Float[Tensor, "layer permutation outer inner"],
    design: Design,
) -> Float[Tensor, "permutation"]:
    """Accuracy of the whole nested procedure, choice of layers included, for shuffled labels."""
    accuracies = [
        at_chosen_layers(right, each, design).double().mean()
        for right, each in zip(hits.unbind(1), inner.unbind(1), strict=True)
    ]
    return torch.stack(accuracies)
