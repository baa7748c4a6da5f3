"""Random directions like given ones: with their cosines, and with their variance in some samples.

Where a stream varies much, it often varies slowly. So directions of another variance are no fair
control for how long a score lasts, and neither are independent ones for a mean over directions that
are close to each other.

1. Rows drawn from a covariance are mixed by a root of the given directions' Gram matrix, so that
   they are as close to each other.
2. In the eigenbasis of the samples' covariance, with eigenvalues l, coordinates of each row are
   multiplied by l^(g / 2). The variance rises with g, which bisection finds.
"""

from dataclasses import dataclass

import torch
from einops import einsum, rearrange, reduce
from jaxtyping import Float
from torch import Tensor

from hooks.errors import InvalidInput
from probes.vectors.normalize import normalize

_STEEPEST, _STEPS = 8.0, 48
_FLOOR = 1e-9
"""Of the largest eigenvalue: less is rounding."""


def draw_alike(
    pool: Float[Tensor, "pool d_model"],
    directions: Float[Tensor, "direction d_model"],
    generator: torch.Generator,
) -> Float[Tensor, "direction d_model"]:
    """Draw as many rows with the pool's covariance, on average at the directions' cosines."""
    unit = normalize(directions.double())
    size, axes = torch.linalg.eigh(einsum(unit, unit, "direction d, other d -> direction other"))
    root = axes * size.clamp(min=0).sqrt()
    drawn = torch.randn(len(unit), len(pool), dtype=torch.float64, generator=generator)
    return root @ drawn @ pool.double()


@dataclass(frozen=True)
class Spectrum:
    """Variances of samples along orthonormal axes, smallest first, in float64."""

    values: Float[Tensor, "component"]
    axes: Float[Tensor, "component d_model"]

    @classmethod
    def of(cls, samples: Float[Tensor, "sample d_model"]) -> "Spectrum":
        """Decompose the covariance of at least two samples (else InvalidInput)."""
        if len(samples) < 2:
            raise InvalidInput(f"a covariance needs at least two samples, got {len(samples)}.")
        wide = samples.double()
        centered = wide - reduce(wide, "sample d -> 1 d", "mean")
        covariance = einsum(centered, centered, "sample d, sample e -> d e") / (len(wide) - 1)
        values, axes = torch.linalg.eigh(covariance)
        return cls(values.clamp(min=0), rearrange(axes, "d component -> component d"))

    def variance(
        self, directions: Float[Tensor, "direction d_model"]
    ) -> Float[Tensor, "direction"]:
        """Return the samples' variance along each direction, taken at length one."""
        square = self._coordinates(directions).square()
        return einsum(square, self.values, "direction component, component -> direction")

    def tilted(
        self,
        directions: Float[Tensor, "direction d_model"],
        variance: Float[Tensor, "direction"],
    ) -> Float[Tensor, "direction d_model"]:
        """Tilt directions to the wanted variance, or as near as they get; they have length one."""
        coordinates, log = self._coordinates(directions), self._log_values()
        share = coordinates.square().clamp(min=1e-300).log()
        low = torch.full_like(variance.double(), -_STEEPEST)
        high = -low
        for _ in range(_STEPS):
            middle = rearrange((low + high) / 2, "direction -> direction 1")
            less = (share + middle * log).softmax(dim=1) @ self.values < variance
            low = torch.where(less, middle[:, 0], low)
            high = torch.where(less, high, middle[:, 0])
        slope = rearrange((low + high) / 4, "direction -> direction 1")
        return normalize((coordinates * (slope * log).exp()) @ self.axes)

    def _coordinates(
        self, directions: Float[Tensor, "direction d_model"]
    ) -> Float[Tensor, "direction component"]:
        return einsum(
            normalize(directions.double()),
            self.axes,
            "direction d, component d -> direction component",
        )

    def _log_values(self) -> Float[Tensor, "component"]:
        """Logarithms of the variances over the largest."""
        return (self.values / self.values.max()).clamp(min=_FLOOR).log()
