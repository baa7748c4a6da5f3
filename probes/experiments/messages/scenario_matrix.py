"""A matrix of messages and emotions: does each message point to the emotion that it implies.

With c[s, e] the cosine of message s with the vector of emotion e, and o(s) its own emotion:

1. contrast(s) = c[s, o(s)] - mean over the battery's other emotions of c[s, e]
2. rank(s) = 1 + how many of *all* emotions have a larger cosine than o(s)
3. p: how often as large a mean of c[s, pi(o(s))] when the battery's emotions are permuted; and the
   same when they change places only within pleasant and within unpleasant ones.

Adding a number to a row or a column changes neither the contrast's order nor p.

Contract: pure; a battery holds one message for each of its emotions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange, reduce
from jaxtyping import Float, Int
from torch import Tensor

from hooks.errors import InvalidInput
from probes.analysis.findings import Estimate
from probes.analysis.resampling import permutation_p_value, permute_within
from probes.experiments.steering.nulls import Resampling, mean_interval


@dataclass(frozen=True)
class Battery:
    """What one battery of messages shows; `p_within` is None where no two emotions share a side."""

    n: int
    own: float
    own_interval: tuple[float, float]
    other: float
    contrast: float
    contrast_interval: tuple[float, float]
    ranks: list[int]
    mean_rank: float
    mean_rank_interval: tuple[float, float]
    chance_rank: float
    top_1: int
    top_3: int
    p: float
    p_within: float | None

    @property
    def estimate(self) -> Estimate:
        """The contrast with its interval."""
        return Estimate(self.contrast, *self.contrast_interval)


def judge(
    cosine: Float[Tensor, "message emotion"],
    own: Sequence[int],
    sides: Sequence[int],
    *,
    n_permutations: int,
    n_bootstrap: int,
    seed: int,
) -> Battery:
    """Judge one battery by its cosines with every emotion of the run.

    `own` is the column of each message's own emotion, `sides` that emotion's group. Raises
    InvalidInput with fewer than two messages, or an emotion that two messages share.
    """
    if len(own) < 2 or len(set(own)) != len(own) or len(own) != len(cosine):
        raise InvalidInput(
            f"a battery: expected two or more messages, each of its own emotion, got {own}."
        )
    n, resampling = len(own), Resampling(n_bootstrap, seed)
    square = cosine.double()[:, list(own)]
    diagonal = square.diagonal()
    other = (square.sum(dim=1) - diagonal) / (n - 1)
    ranks = 1 + reduce(
        (cosine > rearrange(diagonal, "message -> message 1").to(cosine)).long(),
        "message emotion -> message",
        "sum",
    )
    return Battery(
        n=n,
        own=float(diagonal.mean()),
        own_interval=mean_interval(diagonal, resampling),
        other=float(other.mean()),
        contrast=float((diagonal - other).mean()),
        contrast_interval=mean_interval(_column_free(square), resampling),
        ranks=ranks.tolist(),
        mean_rank=float(ranks.double().mean()),
        mean_rank_interval=mean_interval(ranks.double(), resampling),
        chance_rank=(cosine.shape[1] + 1) / 2,
        top_1=int((ranks <= 1).sum()),
        top_3=int((ranks <= 3).sum()),
        p=_p_value(square, [0] * n, n_permutations, seed),
        p_within=(_p_value(square, sides, n_permutations, seed) if len(set(sides)) < n else None),
    )


def _column_free(square: Float[Tensor, "message emotion"]) -> Float[Tensor, "message"]:
    """Contrast without column means: an emotion close to everything widens no interval."""
    level = square - reduce(square, "message emotion -> 1 emotion", "mean")
    own = level.diagonal()
    return own - (level.sum(dim=1) - own) / (len(square) - 1)


def permute_in_groups(
    groups: Sequence[int], n_permutations: int, seed: int
) -> Int[Tensor, "permutation message"]:
    """Permutations that move nothing from one group to another."""
    generator = torch.Generator().manual_seed(seed)
    group = torch.tensor(groups)
    order = torch.empty(n_permutations, len(groups), dtype=torch.long)
    for name in sorted(set(groups)):
        members = (group == name).nonzero()[:, 0]
        order[:, members] = permute_within(
            members, None, n_permutations, generator, keys=torch.float32
        )
    return order


def _p_value(
    square: Float[Tensor, "message emotion"],
    groups: Sequence[int],
    n_permutations: int,
    seed: int,
) -> float:
    order = permute_in_groups(groups, n_permutations, seed)
    null = reduce(
        square[torch.arange(len(square)), order], "permutation message -> permutation", "mean"
    )
    return permutation_p_value(float(square.diagonal().mean()), null, "greater")
