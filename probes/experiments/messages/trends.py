"""Does a score follow the number in a message: rank correlations with an expected sign.

1. trend = expected sign * Spearman(number, score): 1 when the score moves all the way as expected.
2. Number-only control: the same numbers in a neutral sentence, the same emotion, the same sign.
3. Scores follow a number smoothly along *any* direction, so numbers in another order are no null.
   Other directions are: the run's vectors under names dealt out anew, and vectors from stories
   whose labels were shuffled. And templates may go either way: signs of their means are flipped.

Two expectations of a template are opposite readings of one number: the template is the unit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from einops import einsum, rearrange, reduce
from jaxtyping import Float, Int
from scipy.stats import rankdata
from torch import Tensor

from hooks.errors import InvalidInput
from probes.analysis.findings import Control, Estimate
from probes.analysis.intervals import mean_over
from probes.analysis.resampling import permutation_p_value, sign_flip_p_value


@dataclass(frozen=True)
class TrendNull:
    """Mean trend and number of expected signs where nothing should follow; p of the mean trend."""

    mean: float
    count: float
    p: float
    p_count: float
    n: int

    @classmethod
    def of(cls, trend: Float[Tensor, "e"], null: Float[Tensor, "draw e"]) -> "TrendNull":
        """Set trends beside those of other directions."""
        counts = reduce((null > 0).double(), "draw e -> draw", "sum")
        means = reduce(null, "draw e -> draw", "mean")
        expected = float((trend > 0).sum())
        return cls(
            mean=float(means.mean()),
            count=float(counts.mean()),
            p=permutation_p_value(float(trend.mean()), means, "greater"),
            p_count=permutation_p_value(expected, counts, "greater"),
            n=len(null),
        )


@dataclass(frozen=True)
class Trends:
    """Trends of all expectations, positive as expected; of messages and of number-only sentences.

    Means have 95% intervals over templates; `gain` is trend minus control; `renamed` and `shuffled`
    are what other directions reach, `p_flips` is of flipped signs of templates.
    """

    trend: list[float]
    control: list[float]
    n_expected: int
    n_control_expected: int
    estimate: Estimate
    control_mean: float
    gain: Estimate
    renamed: TrendNull
    shuffled: TrendNull
    p_flips: float
    n_flips: int

    @property
    def control_alone(self) -> Control:
        """The number-only control."""
        return Control("the numbers alone", Estimate(self.control_mean), self.gain)

    @property
    def largest_p(self) -> tuple[float, int]:
        """The largest of the three p-values, and of how many draws it is."""
        each = [(self.renamed.p, self.renamed.n), (self.shuffled.p, self.shuffled.n)]
        return max([*each, (self.p_flips, self.n_flips)])


def spearman(scores: Float[Tensor, "*batch step"]) -> Float[Tensor, "*batch"]:
    """Rank correlation of scores with their own order; 0 where they do not vary."""
    ranks = torch.from_numpy(np.asarray(rankdata(scores.double().numpy(force=True), axis=-1)))
    order = torch.arange(ranks.shape[-1], dtype=torch.float64)
    order = (order - order.mean()) / torch.linalg.vector_norm(order - order.mean())
    centered = ranks - reduce(ranks, "... step -> ... 1", "mean")
    length = torch.linalg.vector_norm(centered, dim=-1)
    along = einsum(centered, order, "... step, step -> ...")
    return torch.where(length > 0, along / length.clamp(min=1e-12), torch.zeros_like(along))


def judge(
    scores: Float[Tensor, "e emotion step"],
    control: Float[Tensor, "e emotion step"],
    shuffled: Float[Tensor, "dealing e step"],
    own: Int[Tensor, "e"],
    signs: Sequence[int],
    templates: Sequence[int],
    *,
    n_permutations: int,
    seed: int,
) -> Trends:
    """Judge all expectations, each of an emotion (`own`), a sign and a template, together.

    Scores are those at the template's numbers, in rising order, along every emotion's vector: of
    messages, of number-only sentences (`control`), and of messages along each dealing's vector in
    place of the own one. Raises `InvalidInput` with no expectation, or fewer than three numbers.
    """
    if not len(scores) or scores.shape[2] < 3:
        raise InvalidInput(
            f"expected at least one expectation over three numbers, got {tuple(scores.shape)}."
        )
    sign, each = torch.tensor(signs, dtype=torch.float64), torch.arange(len(own))
    along = rearrange(sign, "e -> e 1") * spearman(scores)
    trend, alone = along[each, own], sign * spearman(control[each, own])
    owner = torch.tensor(templates).unique(return_inverse=True)[1]
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(n_permutations, scores.shape[1], generator=generator).argsort(dim=1)
    sums = torch.zeros(int(owner.max()) + 1, dtype=torch.float64).index_add_(0, owner, trend)
    p_flips, n_flips = sign_flip_p_value(sums, generator)
    return Trends(
        trend=trend.tolist(),
        control=alone.tolist(),
        n_expected=int((trend > 0).sum()),
        n_control_expected=int((alone > 0).sum()),
        estimate=mean_over(trend, owner),
        control_mean=float(alone.mean()),
        gain=mean_over(trend - alone, owner),
        # One name is one vector wherever it is expected.
        renamed=TrendNull.of(trend, along[each, drawn[:, own]]),
        shuffled=TrendNull.of(trend, sign * spearman(shuffled)),
        p_flips=p_flips,
        n_flips=n_flips,
    )
