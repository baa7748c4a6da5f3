"""Does a score follow the number in a message: rank correlations with an expected sign.

1. trend = expected sign * Spearman(number, score): 1 when the score moves all the way as expected.
2. Number-only control: the same numbers in a neutral sentence, the same emotion, the same sign.
3. Dose-scrambled control: within each template the messages are dealt out to other numbers, the
   same way for all of its expectations; the mean trend and the count of expected signs give p.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from einops import einsum, rearrange, reduce
from jaxtyping import Float
from scipy.stats import rankdata
from torch import Tensor

from hooks.errors import InvalidInput
from probes.analysis.findings import Control, Estimate
from probes.analysis.intervals import mean_by_topics
from probes.analysis.resampling import permutation_p_value, permute_within


@dataclass(frozen=True)
class Trends:
    """Trends of all expectations, positive as expected; of messages and of number-only sentences.

    Means have 95% bootstrap intervals over templates; `gain` is trend minus control; `p` and
    `p_count` are of scrambled numbers.
    """

    trend: list[float]
    control: list[float]
    n_expected: int
    n_control_expected: int
    mean: float
    mean_interval: tuple[float, float]
    control_mean: float
    gain: float
    gain_interval: tuple[float, float]
    p: float
    p_count: float
    scrambled_count: float

    @property
    def estimate(self) -> Estimate:
        """The mean trend with its interval."""
        return Estimate(self.mean, *self.mean_interval)

    @property
    def control_alone(self) -> Control:
        """The number-only control."""
        gain = Estimate(self.gain, *self.gain_interval)
        return Control("the numbers alone", Estimate(self.control_mean), gain)


def spearman(scores: Float[Tensor, "*batch step"]) -> Float[Tensor, "*batch"]:
    """Rank correlation of scores with their own order; 0 where they do not vary."""
    return _with_order(_ranks(scores))


def judge(
    scores: Float[Tensor, "expectation step"],
    control: Float[Tensor, "expectation step"],
    signs: Sequence[int],
    templates: Sequence[int],
    *,
    n_permutations: int,
    n_bootstrap: int,
    seed: int,
) -> Trends:
    """Judge all expectations, each with a sign and a template, together.

    Scores are those at the template's numbers, in rising order: of messages, of number-only
    sentences (`control`). Raises `InvalidInput` with no expectation, or fewer than three numbers.
    """
    if not len(scores) or scores.shape[1] < 3:
        raise InvalidInput(
            f"expected at least one expectation over three numbers, got {tuple(scores.shape)}."
        )
    sign = torch.tensor(signs, dtype=torch.float64)
    trend, alone = sign * spearman(scores), sign * spearman(control)
    names = sorted(set(templates))
    owner = torch.tensor([names.index(template) for template in templates])
    ranks, generator = _ranks(scores), torch.Generator().manual_seed(seed)
    null = torch.empty(n_permutations, len(scores), dtype=torch.float64)
    for number in range(len(names)):
        steps = torch.arange(scores.shape[1])
        order = permute_within(steps, None, n_permutations, generator, keys=torch.float32)
        dealt = ranks[owner == number][:, order]
        null[:, owner == number] = rearrange(_with_order(dealt), "e permutation -> permutation e")
    null = sign * null
    means = reduce(null, "permutation expectation -> permutation", "mean")
    counts = reduce((null > 0).double(), "permutation expectation -> permutation", "sum")
    expected = int((trend > 0).sum())
    # Whole templates are drawn, as an accuracy draws topics.
    mean, gain = (mean_by_topics(each, owner, n_bootstrap, seed) for each in (trend, trend - alone))
    return Trends(
        trend=trend.tolist(),
        control=alone.tolist(),
        n_expected=expected,
        n_control_expected=int((alone > 0).sum()),
        mean=mean.value,
        mean_interval=mean.ends,
        control_mean=float(alone.mean()),
        gain=gain.value,
        gain_interval=gain.ends,
        p=permutation_p_value(mean.value, means, "greater"),
        p_count=permutation_p_value(float(expected), counts, "greater"),
        scrambled_count=float(counts.mean()),
    )


def _ranks(scores: Float[Tensor, "*batch step"]) -> Float[Tensor, "*batch step"]:
    return torch.from_numpy(np.asarray(rankdata(scores.double().numpy(force=True), axis=-1)))


def _with_order(ranks: Float[Tensor, "*batch step"]) -> Float[Tensor, "*batch"]:
    """Pearson correlation of ranks with 0, 1, 2, ..."""
    order = torch.arange(ranks.shape[-1], dtype=torch.float64)
    order = (order - order.mean()) / torch.linalg.vector_norm(order - order.mean())
    centered = ranks - reduce(ranks, "... step -> ... 1", "mean")
    length = torch.linalg.vector_norm(centered, dim=-1)
    along = einsum(centered, order, "... step, step -> ...")
    return torch.where(length > 0, along / length.clamp(min=1e-12), torch.zeros_like(along))
