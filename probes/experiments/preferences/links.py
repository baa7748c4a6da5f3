"""How emotions' vectors go with a model's preferences, read and pushed.

With z[e, i] the cosine of activity i with the vector of emotion e, E_i the activity's Elo, and
D[e, k] the change of log-odds when e is added to the steered activity of pair k:

1. r(e) = Pearson(z[e, :], E); p corrected for having looked at every emotion (largest |r| over
   emotions when Elo is permuted).
2. push(e) = mean over k of D[e, k], in Elo points: in a Bradley-Terry model, adding c to an item's
   strength adds c to the log-odds of each of its comparisons.
3. coupling = Pearson over emotions of r(e) and push(e), p by permuting the pushes.
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
from probes.analysis.statistics import Correlation, pearson, standard_scores
from probes.experiments.preferences.bradley_terry import ELO

MIN_DIRECTIONS = 4
"""Fewer emotions have no interval for a correlation over them."""


@dataclass(frozen=True)
class Link:
    """One emotion's link with preferences: read (r), and pushed (Elo points) where steered with."""

    r: float
    low: float
    high: float
    p_corrected: float
    push: float | None = None
    push_low: float | None = None
    push_high: float | None = None

    @property
    def pushed(self) -> Estimate | None:
        """What steering did to the activities, with its interval over pairs."""
        if self.push is None:
            return None
        return Estimate(self.push, self.push_low, self.push_high)


@dataclass(frozen=True)
class Coupling(Correlation):
    """Correlation over steered directions of reading and pushing; p is that of permuted pushes."""


def links(
    probe: Float[Tensor, "direction activity"],
    elo: Float[Tensor, "activity"],
    change: Float[Tensor, "steered pair"],
    *,
    steered: Sequence[int] | None = None,
    n_permutations: int,
    seed: int,
) -> list[Link]:
    """Link every direction with Elo, and those `steered` (all) with the change of choices."""
    scores = standard_scores(elo.double())
    permuted = permute_within(scores, None, n_permutations, seed, keys=torch.float32)
    null = einsum(
        permuted,
        standard_scores(probe.double()),
        "permutation activity, direction activity -> permutation direction",
    )
    strongest = reduce(null.abs(), "permutation direction -> permutation", "max")
    of_each = [mean_over(pushes) for pushes in change.double() * ELO]
    pushed = dict(zip(range(len(probe)) if steered is None else steered, of_each, strict=True))
    linked = []
    for number, row in enumerate(probe):
        read = pearson(row.double(), elo.double())
        p_corrected = permutation_p_value(abs(read.r), strongest, "greater")
        push = pushed.get(number)
        ends = () if push is None else (push.value, push.low, push.high)
        linked.append(Link(read.r, read.low, read.high, p_corrected, *ends))
    return linked


def coupling(linked: list[Link], *, n_permutations: int, seed: int) -> Coupling | None:
    """Correlate reading with pushing; None with too few directions that were steered with."""
    both = [(link.r, link.push) for link in linked if link.push is not None]
    if len(both) < MIN_DIRECTIONS:
        return None
    read, pushed = torch.tensor(both, dtype=torch.float64).T
    observed = pearson(read, pushed)
    scores = standard_scores(pushed)
    permuted = permute_within(scores, None, n_permutations, seed, keys=torch.float32)
    null = einsum(permuted, standard_scores(read), "permutation d, d -> permutation")
    p = permutation_p_value(observed.r, null, "greater")
    return Coupling(**{**vars(observed), "p": p})
