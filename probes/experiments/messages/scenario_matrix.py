"""A matrix of messages and emotions: does each message point to the emotion that it implies.

Several messages imply one emotion; c[s, e] is the mean cosine of emotion s's messages with the
vector of emotion e:

1. contrast(s) = c[s, s] - mean over the battery's other emotions of c[s, e]
2. rank of a message = 1 + how many of *all* emotions have a larger cosine than its own
3. p: how often as large a mean of c[s, pi(s)] when the battery's emotions are permuted;
   and p_within: only within pleasant and within unpleasant ones, so that telling these apart is no
   longer enough. What a row or a column adds to all of its cosines changes neither.
4. By emotion: of all emotions' vectors, each less its mean over the battery, how many lie as near
   to the messages as the own one; p corrected for the battery's emotions (Benjamini & Hochberg).
5. place of a message: share of the battery's other emotions that lie farther than its own, each
   less its mean over the battery; a half is chance. Words can be set beside it.

Messages of an emotion were written by one mind about one thing: the emotion is the unit.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from einops import reduce
from jaxtyping import Float, Int
from scipy.stats import false_discovery_control
from torch import Tensor

from hooks.errors import InvalidInput
from probes.analysis.findings import Estimate
from probes.analysis.intervals import SHARE, mean_over
from probes.analysis.resampling import permutation_p_value, permute_within


@dataclass(frozen=True)
class EmotionContrast:
    """How far one emotion's messages point to it; `q` is corrected for the battery's emotions."""

    contrast: float
    q: float


@dataclass(frozen=True)
class Battery:
    """What one battery of messages shows; `p_within` is None where no two emotions share a side.

    `n_within` is of how many orders `p_within` is: few, where a side has few emotions.
    """

    n: int
    own: Estimate
    other: float
    contrast: Estimate
    ranks: list[int]
    mean_rank: Estimate
    chance_rank: float
    top_1: int
    top_3: int
    p: float
    p_within: float | None
    n_within: int
    by_emotion: Mapping[str, EmotionContrast]


def judge(
    cosine: Float[Tensor, "message emotion"],
    own: Sequence[int],
    emotions: Sequence[str],
    sides: Mapping[str, int],
    *,
    n_permutations: int,
    seed: int,
) -> Battery:
    """Judge one battery by its cosines with every emotion of the run.

    `own` is the column of each message's own emotion, `sides` the group of those that have one.
    Raises InvalidInput with messages of fewer than two emotions.
    """
    columns = list(dict.fromkeys(own))
    if len(columns) < 2 or len(own) != len(cosine):
        raise InvalidInput(
            f"a battery: expected messages of two or more emotions, got columns {own}."
        )
    n, owner = len(columns), torch.tensor([columns.index(column) for column in own])
    means = torch.stack([cosine.double()[owner == s].mean(dim=0) for s in range(n)])
    # Otherwise an emotion that everything is close to would widen the interval of all.
    level = means - reduce(means, "emotion all -> 1 all", "mean")
    square, apart = means[:, columns], level[:, columns]
    diagonal, each = square.diagonal(), torch.arange(n)
    contrast = apart.diagonal() - (apart.sum(dim=1) - apart.diagonal()) / (n - 1)
    of_message = cosine.double().gather(1, torch.tensor(own)[:, None])
    ranks = 1 + (cosine.double() > of_message).sum(dim=1)
    as_near = (level >= apart.diagonal()[:, None]).double().mean(dim=1)
    q = false_discovery_control(as_near.tolist())
    groups = [sides.get(emotions[column], 0) for column in columns]
    orders = math.prod(math.factorial(count) for count in Counter(groups).values())

    def p_value(groups: Sequence[int]) -> float:
        dealt = square[each, permute_in_groups(groups, n_permutations, seed)]
        null = reduce(dealt, "permutation emotion -> permutation", "mean")
        return permutation_p_value(float(diagonal.mean()), null, "greater")

    return Battery(
        n=len(own),
        own=mean_over(diagonal),
        other=float(((square.sum(dim=1) - diagonal) / (n - 1)).mean()),
        contrast=mean_over(contrast),
        ranks=ranks.tolist(),
        mean_rank=mean_over(ranks.double(), owner),
        chance_rank=(cosine.shape[1] + 1) / 2,
        top_1=int((ranks <= 1).sum()),
        top_3=int((ranks <= 3).sum()),
        p=p_value([0] * n),
        p_within=p_value(groups) if orders > 1 else None,
        n_within=min(n_permutations, orders - 1),
        by_emotion={
            emotions[column]: EmotionContrast(float(contrast[s]), float(q[s]))
            for s, column in enumerate(columns)
        },
    )


def places(
    cosine: Float[Tensor, "message emotion"], own: Sequence[int]
) -> Float[Tensor, "message"]:
    """Return each message's place; a tie counts half."""
    columns = list(dict.fromkeys(own))
    owner = torch.tensor([columns.index(column) for column in own])
    among = cosine.double()[:, columns]
    level = torch.stack([among[owner == s].mean(dim=0) for s in range(len(columns))]).mean(dim=0)
    apart = among - level
    mine = apart.gather(1, owner[:, None])
    farther = (apart < mine).double() + 0.5 * (apart == mine).double()
    return (farther.sum(dim=1) - 0.5) / (len(columns) - 1)


def mean_place(place: Float[Tensor, "message"], own: Sequence[int]) -> Estimate:
    """Average places, with an interval over emotions."""
    return mean_over(place, torch.tensor(own), within=SHARE)


def permute_in_groups(
    groups: Sequence[int], n_permutations: int, seed: int
) -> Int[Tensor, "permutation emotion"]:
    """Permutations that move nothing from one group to another."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.empty(n_permutations, len(groups), dtype=torch.long)
    for name in sorted(set(groups)):
        members = (torch.tensor(groups) == name).nonzero()[:, 0]
        order[:, members] = permute_within(
            members, None, n_permutations, generator, keys=torch.float32
        )
    return order
