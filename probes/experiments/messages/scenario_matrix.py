"""A matrix of messages and emotions: does each message point to the emotion that it implies.

With c[s, e] the cosine of message s with the vector of emotion e, and o(s) its own emotion:

1. contrast(s) = c[s, o(s)] - mean over the battery's other emotions of c[s, e]
2. rank(s) = 1 + how many of *all* emotions have a larger cosine than o(s)
3. p: how often as large a mean of c[s, pi(o(s))] when the battery's emotions are permuted;
   and p_within: only within pleasant and within unpleasant ones, so that telling these apart is no
   longer enough. What a row or a column adds to all of its cosines changes neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import reduce
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
    # Otherwise an emotion that everything is close to would widen the interval of all.
    level = square - reduce(square, "message emotion -> 1 emotion", "mean")
    apart = level.diagonal() - (level.sum(dim=1) - level.diagonal()) / (n - 1)
    ranks = 1 + (cosine > diagonal[:, None].to(cosine)).sum(dim=1)

    def p_value(groups: Sequence[int]) -> float:
        dealt = square[torch.arange(n), permute_in_groups(groups, n_permutations, seed)]
        null = reduce(dealt, "permutation message -> permutation", "mean")
        return permutation_p_value(float(diagonal.mean()), null, "greater")

    return Battery(
        n=n,
        own=float(diagonal.mean()),
        own_interval=mean_interval(diagonal, resampling),
        other=float(other.mean()),
        contrast=float((diagonal - other).mean()),
        contrast_interval=mean_interval(apart, resampling),
        ranks=ranks.tolist(),
        mean_rank=float(ranks.double().mean()),
        mean_rank_interval=mean_interval(ranks.double(), resampling),
        chance_rank=(cosine.shape[1] + 1) / 2,
        top_1=int((ranks <= 1).sum()),
        top_3=int((ranks <= 3).sum()),
        p=p_value([0] * n),
        p_within=p_value(sides) if len(set(sides)) < n else None,
    )


def permute_in_groups(
    groups: Sequence[int], n_permutations: int, seed: int
) -> Int[Tensor, "permutation message"]:
    """Permutations that move nothing from one group to another."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.empty(n_permutations, len(groups), dtype=torch.long)
    for name in sorted(set(groups)):
        members = (torch.tensor(groups) == name).nonzero()[:, 0]
        order[:, members] = permute_within(
            members, None, n_permutations, generator, keys=torch.float32
        )
    return order
