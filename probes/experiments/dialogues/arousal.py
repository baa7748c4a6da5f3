"""Whether a speaker's words lie higher or lower in arousal as the other's emotion is rated.

The axis is learned from the run's stories of rated emotions that no dialogue is about
(`rating_plane.arousal_axis`), so neither the texts nor the emotions are those that it reads.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from probes.analysis.agreement import MIN_RATED, rating_table
from probes.analysis.findings import SIGNIFICANT, Estimate, Finding
from probes.analysis.rating_plane import arousal_axis
from probes.analysis.resampling import permutation_p_value, permute_within
from probes.analysis.statistics import correlate, pearson

_N_PERMUTATIONS = 2000
"""They cost nothing."""


@dataclass(frozen=True, kw_only=True)
class ArousalLink:
    """Rated arousal of emotions beside positions on the axis, in mean residual norms.

    `other` are what the other's emotion adds to a speaker's words, `own` what the speaker's adds;
    `n_axis` is how many rated emotions the axis is learned from.
    """

    emotions: Sequence[str]
    ratings: Sequence[float]
    own: Sequence[float]
    other: Sequence[float]
    own_r: Estimate
    other_r: Estimate
    p: float
    n_axis: int

    def finding(self) -> Finding:
        """Say how the other's arousal goes with the speaker's."""
        low, high = self.other_r.ends
        clear = self.p < SIGNIFICANT and (low > 0 or high < 0)
        margin = (
            self.other_r if self.other_r.value > 0 else Estimate(-self.other_r.value, -high, -low)
        )
        return Finding(
            "the other's arousal in a speaker's words",
            self.other_r,
            "shown" if clear else "not shown",
            spec="+.2f",
            n=f"{len(self.emotions)} emotions",
            p=self.p,
            n_null=_N_PERMUTATIONS,
            note=f"the speaker's own {self.own_r:+.2f}; axis of {self.n_axis} other emotions",
            margins=[margin],
            rule="How the rated arousal of what the other feels goes with where a speaker's own "
            "words lie on the arousal axis. Called shown when p < .05 by permuted ratings and the "
            "interval over emotions keeps clear of zero; below zero it is calm that answers "
            "arousal.",
        )


def link_arousal(
    own: Float[Tensor, "level d_model"],
    other: Float[Tensor, "level d_model"],
    names: Sequence[str],
    vectors: Float[Tensor, "emotion d_model"],
    emotions: Sequence[str],
    seed: int,
) -> ArousalLink | None:
    """Set positions on the axis beside ratings of `names`; None where too few are rated.

    `vectors` are those of the run's `emotions`; those of `names` are left out of the axis.
    """
    table = rating_table(names)
    rated = [level for level, name in enumerate(names) if name in table]
    apart = [index for index, name in enumerate(emotions) if name not in names]
    kept = [emotions[index] for index in apart]
    axis = arousal_axis(vectors[apart].double(), kept) if apart else None
    if axis is None or len(rated) < MIN_RATED:
        return None
    ratings = torch.tensor([table[names[level]]["arousal"] for level in rated]).double()
    places = [einsum(each[rated], axis, "level d, d -> level") for each in (own, other)]
    of_own, of_other = (pearson(each, ratings) for each in places)
    dealt = permute_within(ratings, None, _N_PERMUTATIONS, seed)
    null = correlate(places[1], dealt)
    return ArousalLink(
        emotions=[names[level] for level in rated],
        ratings=ratings.tolist(),
        own=places[0].tolist(),
        other=places[1].tolist(),
        own_r=_estimate(of_own.r, of_own.low, of_own.high),
        other_r=_estimate(of_other.r, of_other.low, of_other.high),
        p=permutation_p_value(of_other.r, null, "two-sided"),
        n_axis=len(rating_table(kept)),
    )


def _estimate(r: float, low: float, high: float) -> Estimate:
    return Estimate(r) if math.isnan(low) else Estimate(r, low, high)
