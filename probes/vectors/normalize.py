"""Vectors of length one, and dimensions of spread one; without scikit-learn and scipy."""

import torch
from jaxtyping import Float
from torch import Tensor

from hooks.errors import DataError


def normalize(vectors: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
    """Scale each vector to length one; DataError when one is zero or not finite."""
    wide = vectors.double()
    norm = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
    if not bool((torch.isfinite(norm) & (norm > 0)).all()):
        raise DataError(
            "Expected finite vectors with a direction, got a vector that is zero or holds NaN or "
            "infinity. Drop it, or check the activations it was made from."
        )
    return (wide / norm).to(vectors.dtype)


def inverse_sd(rows: Float[Tensor, "row d_model"]) -> Float[Tensor, "d_model"]:
    """Return one over each dimension's standard deviation, in float64; zero where none varies."""
    sd = rows.double().std(dim=0)
    return torch.where(sd > 0, 1 / sd.clamp(min=torch.finfo(sd.dtype).tiny), 0.0)
