"""The plane of valence and arousal in the stream: what people's ratings explain of the vectors.

What is left of a result when the plane is projected out is more than pleasant against unpleasant,
and more than stirred against still.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from probes.analysis.agreement import MIN_RATED, rating_table
from probes.vectors.neutral import project_out
from probes.vectors.normalize import normalize

NEAR_NEUTRAL = 0.2
"""Below it a word is on no side of valence. Ratings go from -1 to 1."""


def valence_axis(
    vectors: Float[Tensor, "emotion d_model"], emotions: Sequence[str], valence: Mapping[str, float]
) -> Float[Tensor, "d_model"] | None:
    """Return the axis from the mean unpleasant vector to the mean pleasant one; None without both.

    A vector weighs as much as people rate its word pleasant or unpleasant; words near neutral and
    words without a rating weigh nothing.
    """
    rated = torch.tensor([valence.get(name, 0.0) for name in emotions])
    rated = rated.where(rated.abs() >= NEAR_NEUTRAL, 0.0)
    if not has_sides(rated):
        return None
    return axis_weights(rated).to(vectors) @ vectors


def has_sides(ratings: Float[Tensor, "emotion"]) -> bool:
    """Whether some ratings are pleasant and some unpleasant."""
    return bool((ratings > 0).any() and (ratings < 0).any())


def axis_weights(ratings: Float[Tensor, "*draw emotion"]) -> Float[Tensor, "*draw emotion"]:
    """Return what each vector weighs on the axis; `ratings` have two sides, 0 weighs nothing."""
    up, down = ratings.clamp(min=0), ratings.clamp(max=0).abs()
    return up / up.sum(dim=-1, keepdim=True) - down / down.sum(dim=-1, keepdim=True)


def rating_plane(
    vectors: Float[Tensor, "emotion d_model"], emotions: Sequence[str]
) -> Float[Tensor, "axis d_model"]:
    """Return orthonormal directions along which the rated emotions' vectors follow both ratings.

    They span the coefficients of the vectors' least-squares regression on valence and arousal: off
    this plane no direction's coordinate correlates with a rating. No axis where too few are rated.
    """
    coefficients = _coefficients(vectors, emotions)
    if coefficients is None:
        return vectors.new_zeros(0, vectors.shape[1])
    # Of the axes' own lengths nothing is needed: two numbers per word span what both explain.
    basis, size, _ = torch.linalg.svd(coefficients.T, full_matrices=False)
    kept = size > 1e-9 * size.max().clamp(min=1e-30)
    return basis[:, kept].T.to(vectors.dtype)


def arousal_axis(
    vectors: Float[Tensor, "emotion d_model"], emotions: Sequence[str]
) -> Float[Tensor, "d_model"] | None:
    """Return the axis, of length one, along which vectors change with arousal and not with valence.

    That is the coefficient of arousal in the regression on both, less what of it lies along that of
    valence. None where too few are rated, or nothing is left.
    """
    coefficients = _coefficients(vectors, emotions)
    if coefficients is None:
        return None
    valence, arousal = coefficients
    axis = project_out(arousal, valence[None])
    if float(axis.norm()) <= 1e-9 * float(coefficients.norm()):
        return None
    return normalize(axis).to(vectors.dtype)


def _coefficients(
    vectors: Float[Tensor, "emotion d_model"], emotions: Sequence[str]
) -> Float[Tensor, "scale d_model"] | None:
    """Regress the rated emotions' vectors on valence and arousal, in float64; None of too few."""
    table = rating_table(emotions)
    rated = [index for index, name in enumerate(emotions) if name in table]
    if len(rated) < MIN_RATED:
        return None
    of_rated = vectors[rated].double()
    ratings = torch.tensor(
        [[table[emotions[index]][scale] for scale in ("valence", "arousal")] for index in rated],
        dtype=torch.float64,
        device=vectors.device,
    )
    centered, apart = ratings - ratings.mean(dim=0), of_rated - of_rated.mean(dim=0)
    return torch.linalg.pinv(centered) @ apart
