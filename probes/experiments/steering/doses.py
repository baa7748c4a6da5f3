"""The dose that a run is judged by, and the paper's: fractions of the mean residual norm."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from probes.runs.materials import Materials

JUDGED_DOSE = 0.1
PAPER_DOSE = 0.5


@dataclass(frozen=True)
class Dosing:
    """At which layers a run's directions are added, and at which doses, split over the layers."""

    layers: list[int]
    doses: list[float]
    residual_norm: dict[int, float]

    def at(self, dose: float) -> dict[str, Any]:
        """Return the options of `hooks.steer_each`."""
        norms = {"residual_norm": self.residual_norm, "split": True}
        return {"layers": self.layers, "dose": dose, **norms}


def dosing_of(materials: Materials) -> Dosing:
    """Return how a run steers: at the target layer, or as the paper does (`validation.paper`)."""
    settings, norms = materials.config.validation, dict(materials.vectors.norm_by_layer)
    if not settings.paper:
        return Dosing([materials.layer], settings.doses, norms)
    layers = papers_layers(materials.index["n_layers"], materials.layers)
    return Dosing(layers, [PAPER_DOSE], norms)


def papers_layers(n_layers: int, kept: Sequence[int]) -> list[int]:
    """Return the layers among those kept that lie from half to five sixths of the depth.

    The paper steers a range in the middle and after.
    """
    first = n_layers // 2
    between = range(first, max(first, n_layers * 5 // 6 - 1) + 1)
    return [layer for layer in kept if layer in between]


def judged_dose(doses: Sequence[float]) -> float:
    """Return the dose that the project promises to judge, where it was tried, or the middle one."""
    return JUDGED_DOSE if JUDGED_DOSE in doses else doses[len(doses) // 2]


def compare_with_paper(dose: float, note: str = "") -> tuple[str, bool]:
    """Return a note that begins with our dose where it is not the paper's, and whether it is."""
    same = math.isclose(dose, PAPER_DOSE)
    ours = "" if same else f"ours at dose {dose:g}, the paper's at {PAPER_DOSE:g}"
    return "; ".join(filter(None, [ours, note])), same
