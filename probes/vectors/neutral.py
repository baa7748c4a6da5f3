"""Principal components of neutral activations, and their removal from vectors.

Contract: decompositions run in float64 on the CPU; the same input gives the same output, signs
included. Whether a sample is a token or a document is the caller's choice.
"""

from typing import NamedTuple

import torch
from einops import einsum, reduce
from jaxtyping import Float
from sklearn.decomposition import PCA
from torch import Tensor

from hooks.errors import DataError, InvalidInput

# Rounding of a cumulative sum must not cost one more component than the threshold asks for.
_RATIO_ROUNDING = 1e-12


class NeutralComponents(NamedTuple):
    """Principal components of one layer's neutral activations.

    `directions` are orthonormal float64 rows by falling variance, whose entry of largest magnitude
    is positive; the ratio is the share of the layer's neutral variance that each explains, in 0..1.
    """

    directions: Float[Tensor, "component d_model"]
    explained_variance_ratio: Float[Tensor, "component"]


def neutral_components(
    neutral: Float[Tensor, "sample d_model"], variance_threshold: float
) -> NeutralComponents:
    """Fewest principal components that explain a share of the neutral variance of one layer.

    Parameters
    ----------
    neutral
        Activations of neutral text; a sample is a token or a pooled document.
    variance_threshold
        Share of the variance to explain, in 0..1. At 0 no component is kept.

    Raises
    ------
    InvalidInput
        With fewer than two samples, or a threshold outside 0..1.
    DataError
        When a sample holds NaN or infinity, or all samples are identical.
    """
    if not 0.0 <= variance_threshold <= 1.0:
        raise InvalidInput(
            f"Expected a variance threshold in 0..1, got {variance_threshold}. "
            "Give a share (0.5), not a percentage, or 0 to remove nothing."
        )
    if len(neutral) < 2:
        raise InvalidInput(
            f"Expected at least 2 neutral samples, got {len(neutral)}. "
            "Write more neutral dialogues: one sample has no variance to decompose."
        )
    require_finite(neutral, "neutral sample")
    # Compared with the first sample and not with the mean, whose rounding would hide equality.
    if bool((neutral == neutral[0]).all()):
        raise DataError(
            "Expected neutral samples that differ, got identical ones. Check the neutral corpus "
            "and what was captured there."
        )
    # scikit-learn makes the entry of largest magnitude of each component positive.
    pca = PCA(svd_solver="full").fit(neutral.double().numpy(force=True))
    ratio = torch.from_numpy(pca.explained_variance_ratio_)
    enough = ratio.cumsum(0) >= variance_threshold - _RATIO_ROUNDING
    count = 0 if variance_threshold == 0 else len(ratio) - int(enough.sum()) + 1
    # Copies, so that the few rows kept do not hold the whole decomposition in memory.
    rows = torch.from_numpy(pca.components_)[:count].clone()
    return NeutralComponents(rows, ratio[:count].clone())


def project_out(
    vectors: Float[Tensor, "*batch d_model"],
    components: Float[Tensor, "component d_model"],
    *,
    orthonormal: bool = False,
) -> Float[Tensor, "*batch d_model"]:
    """Remove from each vector its orthogonal projection on the span of the components.

    Parameters
    ----------
    components
        Directions to remove; no rows remove nothing.
    orthonormal
        Whether the components are known to be so up to the rounding of `vectors`: then they are
        used as they are, in that dtype, which is what thousands of resamples can afford. Otherwise
        they need not be (components stored as float32 are not exactly), and all is done in float64.

    Returns
    -------
    Tensor
        In the dtype of `vectors`; orthogonal to the components up to its rounding.

    Raises
    ------
    DataError
        When a component holds NaN or infinity.
    """
    if len(components) == 0:
        return vectors.clone()
    if orthonormal:
        wide, basis = vectors, components.to(vectors.dtype)
    else:
        require_finite(components, "component")
        wide, basis = vectors.double(), _span(components.to(vectors.device))
    weight = einsum(wide, basis, "... d_model, component d_model -> ... component")
    inside = einsum(weight, basis, "... component, component d_model -> ... d_model")
    return (wide - inside).to(vectors.dtype)


def _span(components: Float[Tensor, "component d_model"]) -> Float[Tensor, "_basis d_model"]:
    """Orthonormal rows that span the components, but for those owed to rounding."""
    _, singular, basis = torch.linalg.svd(components.double(), full_matrices=False)
    rounding = singular[0] * max(components.shape) * torch.finfo(components.dtype).eps
    return basis[singular > rounding]


def require_finite(
    rows: Float[Tensor, "row *inner"],
    noun: str,
    first_index: int = 0,
) -> None:
    """Refuse NaN and infinity, naming the first row that holds one."""
    finite = reduce(torch.isfinite(rows), "row ... -> row", "all")
    bad = torch.nonzero(~finite).flatten()
    if len(bad):
        raise DataError(
            f"Expected finite numbers, got NaN or infinity in {len(bad)} of {len(rows)} rows, "
            f"first in {noun} index {first_index + int(bad[0])}. A story with no token left has a "
            "NaN row: drop such rows; for others, read the text again in a wider dtype."
        )
