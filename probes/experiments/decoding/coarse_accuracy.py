"""Other ways for the nearest vector to be right: by cluster, and beyond pleasant and unpleasant.

* *clusters*: the emotion that comes first lies in the own emotion's cluster of the paper's.
* *within_side*: the own emotion comes first among those of its side, pleasant or unpleasant, so
  that telling these apart earns nothing.
* *beyond_ratings*: the own emotion comes first of all by vectors whose plane of valence and arousal
  (`analysis.rating_plane`, of the topics learned from) is projected out.

The last two are set beside labels that were shuffled within topics *and* sides, also emotion by
emotion, corrected for how many there are (Benjamini & Hochberg). A tie counts against the reader.
Of a run with an emotion that is none of the paper's 171 neither clusters nor sides are reported,
and neither is what would be top-1 accuracy by another name: clusters of one emotion each, or a side
of one emotion.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jaxtyping import Bool, Float, Int
from scipy.stats import false_discovery_control
from torch import Tensor

from probes.analysis.agreement import MIN_RATED, rated_words
from probes.analysis.emotion_groups import EmotionGroups
from probes.analysis.findings import SIGNIFICANT, Control, Estimate, Finding
from probes.analysis.held_out import Vectors, rank_of
from probes.analysis.rating_plane import rating_plane
from probes.analysis.resampling import permutation_p_value
from probes.experiments.decoding.shuffled_labels import Null
from probes.vectors.denoising import project_out

_CLUSTERS, _WITHIN_SIDE, _BEYOND = "clusters", "within_side", "beyond_ratings"
_NAMES = {
    _CLUSTERS: "Held-out accuracy, the paper's clusters",
    _WITHIN_SIDE: "Held-out accuracy within valence side",
    _BEYOND: "Held-out accuracy beyond valence and arousal",
}
_RULES = {
    _CLUSTERS: "How often the nearest vector is one of the own emotion's cluster, of those that "
    "the paper found.",
    _WITHIN_SIDE: "How often the own emotion's vector is the nearest of those on its side, "
    "pleasant or unpleasant.",
    _BEYOND: "How often the own emotion's vector is the nearest when what follows people's ratings "
    "of valence and arousal is taken out of all vectors.",
}
_SHOWN = "Called shown when p < .05 and the interval lies above 95% of shuffled labels"
_SHUFFLED = {
    _CLUSTERS: "95% of shuffled labels at most",
    _WITHIN_SIDE: "95% of labels shuffled within sides at most",
    _BEYOND: "95% of labels shuffled within sides at most",
}


@dataclass(frozen=True)
class EmotionShare:
    """Share of one emotion's rows that are right; `q` is corrected for the number of emotions."""

    share: float
    q: float


def emotion_shares(
    observed: Float[Tensor, "emotion"],
    null: Float[Tensor, "permutation emotion"],
    emotions: Sequence[str],
) -> dict[str, EmotionShare]:
    """Set each emotion's share of right rows beside shuffled labels; those without a row go out."""
    known = [index for index, each in enumerate(observed.tolist()) if each == each]
    p = [permutation_p_value(float(observed[i]), null[:, i], "greater") for i in known]
    q = false_discovery_control(p) if known else []
    each = zip(known, q, strict=True)
    return {emotions[i]: EmotionShare(float(observed[i]), float(q)) for i, q in each}


@dataclass(frozen=True)
class CoarseAccuracy:
    """One other accuracy beside what guessing and shuffled labels reach, also by emotion."""

    accuracy: Estimate
    chance: float
    n_groups: int
    null: Null
    by_emotion: Mapping[str, EmotionShare] = field(default_factory=dict)

    def finding(self, way: str, n: str, where: str) -> Finding:
        """Say how often the nearest vector is right in this way."""
        above = self.null.p < SIGNIFICANT and self.accuracy.above(self.null.upper)
        groups = {_CLUSTERS: f"{self.n_groups} clusters", _WITHIN_SIDE: "2 sides"}.get(way)
        note = ", ".join(filter(None, (f"at {where}", groups, f"chance {self.chance:.1%}")))
        if self.by_emotion:
            alone = sum(each.q < SIGNIFICANT for each in self.by_emotion.values())
            note += f"; {alone} of {len(self.by_emotion)} emotions by themselves (q < .05)"
        return Finding(
            _NAMES[way],
            self.accuracy,
            "shown" if above else "not shown",
            spec=".1%",
            n=n,
            control=Control(_SHUFFLED[way], Estimate(self.null.upper)),
            p=self.null.p,
            n_null=self.null.n,
            note=note,
            margins=[self.accuracy.less(self.null.upper)],
            rule=f"{_RULES[way]} {_SHOWN}{'' if way == _CLUSTERS else ' within sides'}.",
        )


class CoarseReader:
    """The ways that a run's emotions allow, and who is right in them."""

    BEYOND = _BEYOND

    def __init__(self, emotions: Sequence[str]) -> None:
        self._emotions = emotions
        self.groups = groups = EmotionGroups.of(emotions)
        self.chance: dict[str, float] = {}
        """Of each way that is allowed, in order."""
        self.n_groups = {_CLUSTERS: len(groups.cluster.unique()), _WITHIN_SIDE: 2, _BEYOND: 1}
        by_cluster, by_side = groups.chance_of_cluster, groups.chance_within_side
        known = bool((groups.cluster >= 0).all())
        if known and by_cluster is not None and 1 < self.n_groups[_CLUSTERS] < len(emotions):
            self.chance[_CLUSTERS] = by_cluster
        sides = [int((groups.side == side).sum()) for side in (1, -1)]
        if known and by_side is not None and min(sides) > 1 and sum(sides) == len(emotions):
            self.chance[_WITHIN_SIDE] = by_side
        self.knows_sides = _WITHIN_SIDE in self.chance
        if self.knows_sides and len(rated_words(emotions)) >= MIN_RATED:
            self.chance[_BEYOND] = 1 / len(emotions)

    @property
    def of_sides(self) -> list[str]:
        """Ways whose null keeps each emotion on its side."""
        return [way for way in (_WITHIN_SIDE, _BEYOND) if way in self.chance]

    def off_plane(self, vectors: Vectors) -> Vectors:
        """Project the plane of valence and arousal out of vectors."""
        return project_out(vectors, rating_plane(vectors, self._emotions), orthonormal=True)

    def hits(
        self,
        scored: Float[Tensor, "row emotion"],
        off_plane: Float[Tensor, "row emotion"],
        emotion: Int[Tensor, "row"],
        ways: Sequence[str],
    ) -> dict[str, Bool[Tensor, "row"]]:
        """Tell which rows are right, in some of the ways; `off_plane` scores lack the plane."""
        largest, first = scored.max(dim=1, keepdim=True)
        alone = (scored == largest).sum(dim=1) == 1
        right = {
            _CLUSTERS: lambda: self.groups.same_cluster(first[:, 0], emotion) & alone,
            _WITHIN_SIDE: lambda: rank_of(self.groups.within_side(scored, emotion), emotion) == 0,
            _BEYOND: lambda: rank_of(off_plane, emotion) == 0,
        }
        return {way: right[way]() for way in ways}
