r"""How far the scores of messages at one place go with those at another, beyond what need be.

With :math:`A` and :math:`B` two tables of scores [message emotion]:

1. The means of emotions (over messages) and of messages (over emotions) are taken out of both:
   what every message scores, and what all emotions share, says nothing of a reply.
2. :math:`r_m`, the correlation of row :math:`m` of both over emotions. The message is the unit: the
   mean over messages has Student's interval.
3. Permuted: each message's row beside the other place's row of another message.
4. Shuffled labels: the same along vectors that name no emotion. Two places in one text look alike
   along any direction; this is by how much. :math:`r_m` less its mean over these dealings is paired
   by message.

Contract: pure numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import einsum, reduce
from jaxtyping import Float
from torch import Tensor

from probes.analysis.findings import Estimate
from probes.analysis.intervals import mean_over
from probes.analysis.resampling import permutation_p_value, permute_within
from probes.analysis.statistics import double_centered, standard_scores

Scores = Float[Tensor, "message emotion"]
Dealings = Float[Tensor, "dealing message emotion"]
_ENDS = (-1.0, 1.0)


@dataclass(frozen=True)
class ReplyLink:
    """Mean correlation of two places, and what it is where there is nothing of emotions in it.

    `others` is the mean with the rows of other messages, `shuffled` along vectors of shuffled
    labels, `gain` what `r` exceeds these by.
    """

    r: Estimate
    by_message: list[float]
    others: float
    p_others: float
    shuffled: Estimate
    gain: Estimate
    p_shuffled: float

    def over(self, other: "ReplyLink") -> Estimate:
        """Return by how much this one exceeds another of the same messages."""
        both = (torch.tensor(it.by_message, dtype=torch.float64) for it in (self, other))
        return mean_over(next(both) - next(both))


def link_places(
    first: Scores,
    second: Scores,
    first_shuffled: Dealings,
    second_shuffled: Dealings,
    *,
    n_permutations: int,
    seed: int,
) -> ReplyLink:
    """Compare two places by the scores of their messages, which are the same in all four."""
    n = len(first)
    across = einsum(_rows(first), _rows(second), "message e, other e -> message other")
    own = across.diagonal()
    permuted = permute_within(torch.arange(n), None, n_permutations, seed)
    of_permuted = reduce(
        across[torch.arange(n), permuted], "permutation message -> permutation", "mean"
    )
    dealt = einsum(
        _rows(first_shuffled), _rows(second_shuffled), "dealing m e, dealing m e -> dealing m"
    )
    of_dealing = reduce(dealt, "dealing m -> m", "mean")
    return ReplyLink(
        r=mean_over(own, within=_ENDS),
        by_message=own.tolist(),
        others=float((across.sum() - own.sum()) / (n * (n - 1))),
        p_others=permutation_p_value(float(own.mean()), of_permuted, "greater"),
        shuffled=mean_over(of_dealing, within=_ENDS),
        gain=mean_over(own - of_dealing),
        p_shuffled=permutation_p_value(
            float(own.mean()), reduce(dealt, "dealing m -> dealing", "mean"), "greater"
        ),
    )


def standing(scores: Scores, chosen: Sequence[Sequence[int]]) -> Estimate | None:
    """Return the mean share of other emotions that lie below a message's chosen ones.

    A tie counts half; by chance it is a half. Means of emotions are taken out first. Messages that
    have no chosen one are left out; None where all are.
    """
    centered, shares = double_centered(scores), []
    for row, own in zip(centered, chosen, strict=True):
        others = torch.tensor([column not in own for column in range(len(row))])
        if own and others.any():
            apart = row[list(own)][:, None] - row[others]
            shares.append(((apart > 0).double() + 0.5 * (apart == 0).double()).mean())
    return mean_over(torch.stack(shares), within=(0.0, 1.0)) if shares else None


def _rows(scores: Float[Tensor, "*dealing m e"]) -> Float[Tensor, "*dealing m e"]:
    """Take out the means of emotions and messages, and scale each message's row to length one."""
    return standard_scores(double_centered(scores))
