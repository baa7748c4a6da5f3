"""Coarser ways for the nearest vector to be right, of emotions that the paper has put in clusters.

* *clusters*: the emotion that comes first lies in the own emotion's cluster.
* *within_side*: the own emotion comes first among those of its side, pleasant or unpleasant, so
  that telling these apart earns nothing.

A tie counts against the reader. Of a run with an emotion that is none of the paper's 171 nothing is
reported, and neither is what would be top-1 accuracy by another name: clusters of one emotion each,
or a side of one emotion.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from probes.analysis.emotion_groups import EmotionGroups
from probes.analysis.findings import SIGNIFICANT, Control, Estimate, Finding
from probes.analysis.held_out import rank_of
from probes.experiments.decoding.shuffled_labels import Null

_NAMES = {
    "clusters": "Held-out accuracy, the paper's clusters",
    "within_side": "Held-out accuracy within valence side",
}
_RULES = {
    "clusters": "How often the nearest vector is one of the own emotion's cluster, of those that "
    "the paper found.",
    "within_side": "How often the own emotion's vector is the nearest of those on its side, "
    "pleasant or unpleasant.",
}
_SHOWN = "Called shown when p < .05 and the interval lies above 95% of shuffled labels."


@dataclass(frozen=True)
class CoarseAccuracy:
    """One coarser accuracy beside what guessing and shuffled labels reach."""

    accuracy: Estimate
    chance: float
    n_groups: int
    null: Null

    def finding(self, way: str, n: str, where: str) -> Finding:
        """Say how often the nearest vector is right in this way."""
        above = self.null.p < SIGNIFICANT and self.accuracy.ends[0] > self.null.upper
        groups = {"clusters": f"{self.n_groups} clusters", "within_side": "2 sides"}[way]
        return Finding(
            _NAMES[way],
            self.accuracy,
            "shown" if above else "not shown",
            spec=".1%",
            n=n,
            control=Control("95% of shuffled labels at most", Estimate(self.null.upper)),
            p=self.null.p,
            n_null=self.null.n,
            note=f"at {where}, {groups}, chance {self.chance:.1%}",
            rule=f"{_RULES[way]} {_SHOWN}",
        )


class CoarseReader:
    """The ways that a run's emotions allow, and who is right in them."""

    def __init__(self, emotions: Sequence[str]) -> None:
        self.groups = groups = EmotionGroups.of(emotions)
        self.chance: dict[str, float] = {}
        """Of each way that is allowed, in order."""
        self.n_groups = {"clusters": len(groups.cluster.unique()), "within_side": 2}
        by_cluster, by_side = groups.chance_of_cluster, groups.chance_within_side
        known = bool((groups.cluster >= 0).all())
        if known and by_cluster is not None and 1 < self.n_groups["clusters"] < len(emotions):
            self.chance["clusters"] = by_cluster
        sides = [int((groups.side == side).sum()) for side in (1, -1)]
        if known and by_side is not None and min(sides) > 1 and sum(sides) == len(emotions):
            self.chance["within_side"] = by_side

    def hits(
        self, scored: Float[Tensor, "row emotion"], emotion: Int[Tensor, "row"]
    ) -> Bool[Tensor, "way row"]:
        """Tell which rows are right, in every way that is allowed."""
        largest, first = scored.max(dim=1, keepdim=True)
        alone = (scored == largest).sum(dim=1) == 1
        right = {
            "clusters": lambda: self.groups.same_cluster(first[:, 0], emotion) & alone,
            "within_side": lambda: rank_of(self.groups.within_side(scored, emotion), emotion) == 0,
        }
        every = [right[way]() for way in self.chance]
        return torch.stack(every) if every else torch.zeros(0, len(emotion), dtype=torch.bool)
