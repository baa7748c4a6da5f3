"""Coarser ways to be right: the paper's cluster of an emotion, and its side of valence.

A word is pleasant or unpleasant as people rated it, else as its cluster is on average. Accuracy
within a side asks what is known beyond pleasant and unpleasant.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from probes.stimuli import human_ratings, paper_clusters


@dataclass(frozen=True)
class EmotionGroups:
    """Each emotion's cluster (-1: in none) and side (1 pleasant, -1 unpleasant, 0 unknown)."""

    cluster: Int[Tensor, "emotion"]
    side: Int[Tensor, "emotion"]

    @classmethod
    def of(cls, emotions: Sequence[str]) -> "EmotionGroups":
        """Look emotions up."""
        cluster_of = {w: n for n, words in enumerate(paper_clusters().values()) for w in words}
        side_of = _sides()
        return cls(
            torch.tensor([cluster_of.get(name, -1) for name in emotions]),
            torch.tensor([side_of.get(name, 0) for name in emotions]),
        )

    def same_cluster(
        self, named: Int[Tensor, "*draw row"], emotion: Int[Tensor, "row"]
    ) -> Bool[Tensor, "*draw row"]:
        """Whether what was named lies in the row's own cluster."""
        return self.cluster[named] == self.cluster[emotion]

    def within_side(
        self, scored: Float[Tensor, "row emotion"], emotion: Int[Tensor, "row"]
    ) -> Float[Tensor, "row emotion"]:
        """Leave only emotions of the row's own side in the running."""
        of_row = rearrange(self.side[emotion], "row -> row 1")
        return scored.masked_fill(
            rearrange(self.side, "emotion -> 1 emotion") != of_row, -torch.inf
        )

    @property
    def chance_of_cluster(self) -> float | None:
        """How often an emotion drawn for one in a cluster lies there; None without a cluster."""
        known = self.cluster[self.cluster >= 0]
        if len(known) == 0:
            return None
        return float(known.bincount()[known].double().mean()) / len(self.cluster)

    @property
    def chance_within_side(self) -> float | None:
        """How often an emotion drawn from the own side is the own one; None without sides."""
        known = self.side[self.side != 0] + 1
        return float((1 / known.bincount()[known]).double().mean()) if len(known) else None


def _sides() -> dict[str, int]:
    """Return 1 for pleasant words and -1 for unpleasant ones: as rated, else as their cluster."""
    rated = {word: rating.pleasure for word, rating in human_ratings().items()}
    sides = {}
    for words in paper_clusters().values():
        known = [rated[word] for word in words if word in rated]
        of_cluster = sum(known) / len(known) if known else 0.0
        for word in words:
            sides[word] = 1 if rated.get(word, of_cluster) > 0 else -1
    return sides
