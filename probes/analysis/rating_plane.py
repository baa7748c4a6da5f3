"""The plane of valence and arousal in the stream: what people's ratings explain of the vectors.

What is left of a result when the plane is projected out is more than pleasant against unpleasant,
and more than stirred against still.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from probes.analysis.agreement import MIN_RATED, rating_table


def rating_plane(
    vectors: Float[Tensor, "emotion d_model"], emotions: Sequence[str]
) -> Float[Tensor, "axis d_model"]:
    """Return orthonormal directions along which the rated emotions' vectors follow both ratings.

    They span the coefficients of the vectors' least-squares regression on valence and arousal: off
    this plane no direction's coordinate correlates with a rating. No axis where too few are rated.
    """
    table = rating_table(emotions)
    rated = [index for index, name in enumerate(emotions) if name in table]
    if len(rated) < MIN_RATED:
        return vectors.new_zeros(0, vectors.shape[1])
    of_rated = vectors[rated].double()
    ratings = torch.tensor(
        [[table[emotions[index]][scale] for scale in ("valence", "arousal")] for index in rated],
        dtype=torch.float64,
        device=vectors.device,
    )
    centered, apart = ratings - ratings.mean(dim=0), of_rated - of_rated.mean(dim=0)
    # Of the axes' own lengths nothing is needed: two numbers per word span what both explain.
    coefficients = torch.linalg.pinv(centered) @ apart
    basis, size, _ = torch.linalg.svd(coefficients.T, full_matrices=False)
    kept = size > 1e-9 * size.max().clamp(min=1e-30)
    return basis[:, kept].T.to(vectors.dtype)
