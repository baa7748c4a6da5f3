r"""How reliable a vector is, and how many topics it takes.

1. Random halves of the topics make vectors. The mean cosine of an emotion's two is the split-half
   reliability :math:`r`; all topics together have :math:`2r / (1 + r)` (Spearman 1910, Brown 1910).
   That of different emotions' vectors is its control.
2. With :math:`\rho` the reliability of one topic, :math:`m = R(1 - \rho) / (\rho(1 - R))` topics
   reach reliability :math:`R`.
3. Intervals leave out one group of topics after another in the same splits (jackknife, on Fisher's
   scale): a topic that is drawn twice would lie on both sides.
"""

import math
from collections.abc import Sequence

import torch
from einops import einsum
from jaxtyping import Float
from scipy import stats
from torch import Tensor

from probes.analysis.findings import Estimate
from probes.analysis.held_out import NeutralBasis
from probes.vectors.denoising import CellSums, fit_vectors

MAX_GROUPS = 20
"""Groups of topics that are left out one after another; single topics where there are fewer."""


def spearman_brown(reliability: float, factor: float) -> float:
    """Reliability of `factor` times as much material."""
    return factor * reliability / (1 + (factor - 1) * reliability)


def factor_needed(reliability: float, wanted: float) -> float:
    """How many times the material reaches a reliability; infinite where there is none to grow."""
    if reliability <= 0:
        return math.inf
    return wanted * (1 - reliability) / (reliability * (1 - wanted))


def half_cosines(
    cells: CellSums,
    basis: NeutralBasis,
    topics: Sequence[int],
    size: int,
    n_splits: int,
    seed: int,
    without: Sequence[int] = (),
) -> tuple[Float[Tensor, "split emotion"], Float[Tensor, "split"]]:
    """Cosine of same and of different emotions' vectors from disjoint sets of `size` topics.

    NaN where a part has no story. Topics in `without` are taken from the side they fell on; the
    splits stay the same.
    """
    generator = torch.Generator().manual_seed(seed)
    own, other = [], []
    for _ in range(n_splits):
        order = torch.tensor(topics)[torch.randperm(len(topics), generator=generator)]
        parts = []
        for chosen in (order[:size], order[size : 2 * size]):
            weight = torch.zeros(len(cells.sums))
            weight[chosen] = 1.0
            weight[list(without)] = 0.0
            parts.append(fit_vectors(cells, weight, basis))
        first, second = (torch.nn.functional.normalize(part.vectors, dim=1) for part in parts)
        cosine = einsum(first, second, "row d, column d -> row column").double()
        there = parts[0].present & parts[1].present
        own.append(cosine.diagonal().masked_fill(~there, math.nan))
        rest, n = cosine[there][:, there], int(there.sum())
        total = rest.sum() - rest.diagonal().sum()
        other.append(total / (n * (n - 1)) if n > 1 else total.new_tensor(math.nan))
    return torch.stack(own), torch.stack(other)


def split_half(
    cells: CellSums, basis: NeutralBasis, topics: Sequence[int], size: int, n_splits: int, seed: int
) -> tuple[list[Estimate | None], Estimate]:
    """Split-half cosine of every emotion (None if never on both sides), and their mean."""

    def without(group: Sequence[int]) -> Float[Tensor, "emotion"]:
        own, _ = half_cosines(cells, basis, topics, size, n_splits, seed, group)
        return own.nanmean(dim=0)

    groups = torch.tensor(topics).tensor_split(min(MAX_GROUPS, len(topics)))
    of_emotion = without(())
    again = torch.stack([without(group.tolist()) for group in groups])
    each = [
        None if math.isnan(value) else jackknife(value, column[column.isfinite()])
        for value, column in zip(of_emotion.tolist(), again.unbind(1), strict=True)
    ]
    return each, jackknife(float(of_emotion.nanmean()), again.nanmean(dim=1))


def jackknife(cosine: float, left_out: Float[Tensor, "group"]) -> Estimate:
    """Return a cosine with the 95% interval that leaving out group after group gives."""
    z = torch.atanh(left_out.clamp(-1 + 1e-9, 1 - 1e-9))
    n = len(z)
    if n < 2:
        return Estimate(cosine, -1.0, 1.0)
    error = math.sqrt((n - 1) / n * float((z - z.mean()).square().sum()))
    middle = math.atanh(max(-1 + 1e-9, min(1 - 1e-9, cosine)))
    half = float(stats.t.ppf(0.975, n - 1)) * error
    return Estimate(cosine, math.tanh(middle - half), math.tanh(middle + half))


def leave_one_out(value: float, left_out: Sequence[float]) -> Estimate:
    """Return any number with the 95% interval that leaving out unit after unit gives (jackknife).

    Without an interval where fewer than three could be left out.
    """
    n = len(left_out)
    if n < 3:
        return Estimate(value)
    again = torch.tensor(left_out, dtype=torch.float64)
    error = math.sqrt((n - 1) / n * float((again - again.mean()).square().sum()))
    half = float(stats.t.ppf(0.975, n - 1)) * error
    return Estimate(value, value - half, value + half)
