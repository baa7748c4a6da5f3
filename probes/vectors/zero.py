"""What neutral text scores: the zero that a cosine is seen against.

A cosine of +0.15 says nothing where neutral text scores +0.15. Mean and standard deviation over
neutral texts turn it into a z.

Contract: a z is of a whole text or passage, by the cosine of its mean residual, as neutral texts
were read. Single tokens are seen against single tokens (`neutral_tokens`).
"""

import math
from dataclasses import dataclass

import torch
from einops import einsum, rearrange, reduce
from jaxtyping import Float
from torch import Tensor

from probes.vectors.normalize import normalize

Z_MEANS = "standard deviations above neutral text"


@dataclass(frozen=True)
class Zero:
    """Cosines of neutral texts with each emotion's vector."""

    mean: Float[Tensor, "layer emotion"]
    sd: Float[Tensor, "layer emotion"]

    def z(
        self, cosine: Float[Tensor, "*text emotion"], position: int
    ) -> Float[Tensor, "*text emotion"]:
        """Return how many standard deviations cosines lie above neutral text.

        `position` is that of the layer on the layer axis; NaN where neutral texts do not differ.
        """
        sd = self.sd[position]
        return (cosine - self.mean[position]) / sd.where(sd > 0, torch.nan)


def spelled_z(z: float) -> str:
    """Write a z to stand after its cosine; nothing where there is none."""
    return "" if math.isnan(z) else f" (z {z:+.1f})"


def cosines(
    rows: Float[Tensor, "row d_model"],
    center: Float[Tensor, "d_model"],
    vectors: Float[Tensor, "emotion d_model"],
) -> Float[Tensor, "row emotion"]:
    """Cosine of centered residuals with each vector; NaN for a residual that is the center."""
    centered = rows - center
    lengths = rearrange(centered.norm(dim=1), "row -> row 1")
    return einsum(
        centered / lengths, normalize(vectors), "row d_model, emotion d_model -> row emotion"
    )


def zero_of(per_layer: list[Float[Tensor, "row emotion"]]) -> Zero:
    """Mean and standard deviation (n - 1) over neutral rows, from their cosines layer by layer."""
    stacked = torch.stack([cosine.double() for cosine in per_layer])
    mean = reduce(stacked, "layer row emotion -> layer emotion", "mean")
    return Zero(mean.float(), stacked.std(dim=1).float())
