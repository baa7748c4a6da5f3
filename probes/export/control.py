"""One emotion as other tools add it: direction_l = dose * mean residual norm_l * v_l / |v_l|.

Adding ``s * direction_l`` to block l's output is ``hooks.steer(..., dose=s * dose)``; computed in
float64, rounded once.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from hooks import InvalidInput
from hooks.models.local_files import local_config, public_name
from probes.vectors.emotion_vectors import EmotionVectors

DOSE = 0.1  # what strength 1 stands for unless said otherwise


@dataclass(frozen=True)
class ControlVector:
    """Directions of one emotion, added at strength 1 after 0-based blocks, in ascending order.

    `dose` (of strength 1) and mean residual norms are None when another tool's file lacks them.
    """

    emotion: str
    layers: list[int]
    tensors: Float[Tensor, "layer d_model"]
    dose: float | None
    residual_norm: Float[Tensor, "layer"] | None
    made_from: dict[str, Any]

    @property
    def description(self) -> str:
        """The dose formula in words, for a file's own description."""
        if self.dose is None or self.norm_by_layer is None:
            return "Control vector of another tool; it does not say which dose strength 1 is."
        listed = ", ".join(f"{norm:g} at {layer}" for layer, norm in self.norm_by_layer.items())
        return (
            f"Emotion vector of {self.emotion!r} in {self.made_from.get('model')}. Strength s adds "
            f"s * direction to the output of a decoder block (0-based). Each direction has the "
            f"length {self.dose:g} x mean residual norm of its block ({listed}), so strength s is "
            f"dose s * {self.dose:g} per layer: dose = s * |direction| / mean residual norm."
        )

    @property
    def by_layer(self) -> dict[int, Float[Tensor, "d_model"]]:
        """The directions by layer, for `hooks.steer`."""
        return dict(zip(self.layers, self.tensors, strict=True))

    @property
    def norm_by_layer(self) -> dict[int, float] | None:
        """The mean residual norms by layer, for `hooks.steer`."""
        if self.residual_norm is None:
            return None
        return dict(zip(self.layers, self.residual_norm.tolist(), strict=True))

    def only(self, layers: Sequence[int]) -> "ControlVector":
        """Keep some of the layers, in ascending order."""
        kept = sorted(layers)
        rows = [self.layers.index(layer) for layer in kept]
        norms = None if self.residual_norm is None else self.residual_norm[rows]
        return replace(self, layers=kept, tensors=self.tensors[rows], residual_norm=norms)


def control_vector(
    vectors: EmotionVectors,
    emotion: str,
    *,
    layers: Sequence[int] | None = None,
    dose: float = DOSE,
) -> ControlVector:
    """Scale one emotion's denoised vectors so that strength 1 is `dose` at each layer.

    Parameters
    ----------
    layers
        Layers, each with the whole dose; None is the run's target layer alone.
    dose
        Fraction of the mean residual norm that strength 1 stands for.

    Raises
    ------
    InvalidInput
        For an emotion or layer without a vector, a vector of length zero, a dose that is not
        positive, or vectors of folded weights.
    """
    check(vectors, dose)
    provenance = vectors.provenance
    chosen = [provenance.target_layer] if layers is None else sorted(set(layers))
    if not chosen:
        raise InvalidInput("layers: expected at least one layer, got none.")
    rows = [vectors.layer_index(layer) for layer in chosen]
    directions = vectors[emotion][rows].double()
    lengths = torch.linalg.vector_norm(directions, dim=1)
    for layer, length in zip(chosen, lengths.tolist(), strict=True):
        if not 0 < length < float("inf"):
            raise InvalidInput(f"the vector of {emotion!r} at layer {layer} is zero or not finite.")
    norms = vectors.residual_norm[rows]
    units = directions / rearrange(lengths, "layer -> layer 1")
    scaled = units * rearrange(dose * norms.double(), "layer -> layer 1")
    made_from = _made_from(vectors, emotion, rows)
    return ControlVector(emotion, chosen, scaled.float(), dose, norms.clone(), made_from)


def _made_from(vectors: EmotionVectors, emotion: str, rows: Sequence[int]) -> dict[str, Any]:
    provenance = vectors.provenance
    return {
        **asdict(provenance),
        "emotions": [emotion],
        "layers": [provenance.layers[row] for row in rows],
        "n_neutral_components": [provenance.n_neutral_components[row] for row in rows],
        "n_stories": [provenance.n_stories[vectors.emotions.index(emotion)]],
        "model": public_name(provenance.model),
        "model_type": local_config(provenance.model, provenance.revision).get("model_type"),
    }


def check(vectors: EmotionVectors, dose: float) -> None:
    """Refuse what no format can say; see `control_vector`."""
    if not 0 < dose < float("inf"):
        raise InvalidInput(
            f"dose: expected a positive fraction of the residual norm, e.g. 0.1, got {dose!r}."
        )
    if (processing := vectors.provenance.weight_processing) != "none":
        raise InvalidInput(
            f"these vectors were made from weights that TransformerLens had changed: {processing}. "
            "Other tools load raw weights, in another basis. Make the vectors again from the raw "
            "model: hooks.load(NAME)."
        )


def as_text(value: Any) -> str:
    """Spell a value of the metadata as JSON, the same in every process."""
    return json.dumps(value, sort_keys=True)
