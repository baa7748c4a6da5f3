"""A set of directions beside the run's own vectors of stories: cosines, and stories as readers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from einops import einsum, reduce
from jaxtyping import Float, Int
from torch import Tensor

from probes.analysis.findings import SIGNIFICANT, Control, Estimate, Finding
from probes.analysis.geometry import principal_components
from probes.analysis.intervals import SHARE, mean_over
from probes.analysis.resampling import permutation_p_value, permute_within
from probes.vectors.normalize import normalize

SPAN_SHARE = 0.9
"""Of the variance of the run's vectors, that the components of its space of stories hold."""
_N_PERMUTATIONS = 2000
"""They cost nothing."""


@dataclass(frozen=True, kw_only=True)
class StoryCosines:
    """Mean cosine of directions with the story vector of their own emotion.

    `others` is that with the vectors of the other emotions; `by_emotion` are the own ones.
    """

    own: Estimate
    others: float
    excess: Estimate
    p: float
    n_permutations: int
    by_emotion: Mapping[str, float]

    def finding(self, note: str) -> Finding:
        """Say whether hidden emotions point where their stories do."""
        shown = self.p < SIGNIFICANT and self.excess.above_zero
        others = Control("other emotions' story vectors", Estimate(self.others), self.excess)
        return Finding(
            "hidden emotion, cosine with its story vector",
            self.own,
            "shown" if shown else "not shown",
            spec="+.3f",
            n=f"{len(self.by_emotion)} emotions",
            control=others,
            p=self.p,
            n_null=self.n_permutations,
            note=note,
            margins=[self.excess],
            rule="Whether the direction of a hidden emotion points where stories of that emotion "
            "do. Called shown when p < .05 by permuted emotions and the excess over other "
            "emotions' vectors lies above zero, by the interval over emotions.",
        )


def story_cosines(
    directions: Float[Tensor, "level d_model"],
    names: Sequence[str],
    vectors: Float[Tensor, "emotion d_model"],
    emotions: Sequence[str],
    seed: int,
) -> StoryCosines | None:
    """Compare directions with the run's vectors of the same names; None with fewer than three."""
    known = [level for level, name in enumerate(names) if name in emotions]
    if len(known) < 3:
        return None
    own = vectors[[emotions.index(names[level]) for level in known]].double()
    cosine = einsum(normalize(directions[known]), normalize(own), "a d, b d -> a b")
    n, diagonal = len(known), cosine.diagonal()
    others = (cosine.sum(dim=1) - diagonal) / (n - 1)
    orders = permute_within(torch.arange(n), None, _N_PERMUTATIONS, seed)
    null = cosine[torch.arange(n), orders].mean(dim=1)
    return StoryCosines(
        own=mean_over(diagonal),
        others=float(others.mean()),
        excess=mean_over(diagonal - others),
        p=permutation_p_value(float(diagonal.mean()), null, "greater"),
        n_permutations=_N_PERMUTATIONS,
        by_emotion=dict(zip([names[level] for level in known], diagonal.tolist(), strict=True)),
    )


def leading_components(
    vectors: Float[Tensor, "emotion d_model"],
) -> Float[Tensor, "component d_model"]:
    """Return the fewest components that hold `SPAN_SHARE` of vectors' variance, at length one."""
    most = min(len(vectors) - 1, vectors.shape[1])
    components = principal_components(vectors.double(), most)
    below = components.explained_variance_ratio.cumsum(dim=0) < SPAN_SHARE - 1e-12
    return components.directions[: int(below.sum()) + 1]


@dataclass(frozen=True, kw_only=True)
class StoryReader:
    """Share of readings that the run's story vectors name, and of how many emotions that it has."""

    share: Estimate
    n_levels: int


def name_by_stories(
    rows: Float[Tensor, "row d_model"],
    level: Int[Tensor, "row"],
    unit: Int[Tensor, "row"],
    names: Sequence[str],
    vectors: Float[Tensor, "emotion d_model"],
    emotions: Sequence[str],
) -> StoryReader | None:
    """Name rows of each unit, less their mean, after the nearest of the run's vectors of `names`.

    Emotions that the run lacks are left out with their rows; None with fewer than two.
    """
    known = [number for number, name in enumerate(names) if name in emotions]
    if len(known) < 2:
        return None
    own = vectors[[emotions.index(names[number]) for number in known]].double()
    unit_vectors = normalize(own - reduce(own, "level d -> 1 d", "mean"))
    apart = rows - torch.stack([rows[unit == each].mean(dim=0) for each in unit])
    named = einsum(apart, unit_vectors, "row d, level d -> row level").argmax(dim=1)
    there = torch.isin(level, torch.tensor(known))
    right = (torch.tensor(known)[named] == level)[there]
    share = mean_over(right.double(), unit[there], within=SHARE)
    return StoryReader(share=share, n_levels=len(known))
