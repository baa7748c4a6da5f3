"""How emotions' vectors go with a model's preferences, read and pushed.

With z[e, i] the cosine of activity i with the vector of emotion e, E_i the activity's Elo, and
D[e, k] the change of log-odds when e is added to the steered activity of pair k:

1. r(e) = Pearson(z[e, :], E); p corrected for having looked at every emotion (largest |r| over
   emotions when Elo is permuted).
2. push(e) = mean over k of D[e, k], in Elo points: in a Bradley-Terry model, adding c to an item's
   strength adds c to the log-odds of each of its comparisons.
3. coupling = Pearson over emotions of r(e) and push(e), p by permuting the pushes.
"""

from dataclasses import dataclass

import torch
from einops import einsum, reduce
from jaxtyping import Float
from torch import Tensor

from probes.analysis.intervals import percentile_interval
from probes.analysis.resampling import permutation_p_value, permute_within, resample
from probes.analysis.statistics import Correlation, pearson, standard_scores
from probes.experiments.preferences.bradley_terry import ELO

MIN_DIRECTIONS = 4
"""Fewer emotions have no interval for a correlation over them."""


@dataclass(frozen=True)
class Link:
    """One emotion's link with preferences: read (r) and pushed (Elo points)."""

    r: float
    low: float
    high: float
    p_corrected: float
    push: float
    push_low: float
    push_high: float


@dataclass(frozen=True)
class Coupling(Correlation):
    """Correlation over directions of reading and pushing; its p is that of permuted pushes."""


def links(
    probe: Float[Tensor, "direction activity"],
    elo: Float[Tensor, "activity"],
    change: Float[Tensor, "direction pair"],
    *,
    n_permutations: int,
    n_bootstrap: int,
    seed: int,
) -> list[Link]:
    """Link every direction with Elo and with the change of choices."""
    scores = standard_scores(elo.double())
    permuted = permute_within(scores, None, n_permutations, seed, keys=torch.float32)
    null = einsum(
        permuted,
        standard_scores(probe.double()),
        "permutation activity, direction activity -> permutation direction",
    )
    strongest = reduce(null.abs(), "permutation direction -> permutation", "max")
    draws = resample(change.shape[1], n_bootstrap, seed)
    pushes = change.double() * ELO
    means = reduce(pushes[:, draws], "direction resample pair -> resample direction", "mean")
    low, high = percentile_interval(means)
    linked = []
    for number, row in enumerate(probe):
        read = pearson(row.double(), elo.double())
        p_corrected = permutation_p_value(abs(read.r), strongest, "greater")
        pushed = (float(each[number]) for each in (pushes.mean(dim=1), low, high))
        linked.append(Link(read.r, read.low, read.high, p_corrected, *pushed))
    return linked


def coupling(linked: list[Link], *, n_permutations: int, seed: int) -> Coupling | None:
    """Correlate reading with pushing; None with too few directions."""
    if len(linked) < MIN_DIRECTIONS:
        return None
    read, pushed = torch.tensor([[link.r, link.push] for link in linked], dtype=torch.float64).T
    observed = pearson(read, pushed)
    scores = standard_scores(pushed)
    permuted = permute_within(scores, None, n_permutations, seed, keys=torch.float32)
    null = einsum(permuted, standard_scores(read), "permutation d, d -> permutation")
    p = permutation_p_value(observed.r, null, "greater")
    return Coupling(**{**vars(observed), "p": p})
