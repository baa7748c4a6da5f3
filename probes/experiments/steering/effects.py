"""What steering did to words, summed up: own words, others, and controls beside them; in nats.

Intervals of 95% are over emotions, and over directions where a null has them; vectors are those of
the run, whatever its topics.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from einops import rearrange, reduce
from jaxtyping import Float
from scipy.stats import false_discovery_control
from torch import Tensor

from probes.analysis.emotion_groups import EmotionGroups
from probes.analysis.findings import Control, Estimate
from probes.analysis.intervals import mean_over
from probes.analysis.resampling import permutation_p_value, permute_within
from probes.experiments.steering import nulls
from probes.experiments.steering.controls import NEAREST, PLANE, VALENCE

_N_PERMUTATIONS = 2000


@dataclass(frozen=True)
class WordEffects:
    """Effects of some directions on every word, and their mean KL divergence."""

    by_carrier: Float[Tensor, "carrier direction word"]
    kl: float

    @property
    def mean(self) -> Float[Tensor, "direction word"]:
        """Effects averaged over carriers."""
        return self.by_carrier.mean(dim=0)


@dataclass(frozen=True)
class CarrierEffect:
    """What the vectors did after one carrier: to their own words, and to the others."""

    matching: Estimate
    other: Estimate


@dataclass(frozen=True)
class LayerDose:
    """What the vectors did at one layer and dose (a fraction of the mean residual norm there).

    `effects` are [carrier][vector][word]; `matching` and `other` are means over carriers of the
    diagonal and of the rest. `top_3` is the share of vectors whose own word is among the three that
    rise the most, `kl` the mean KL divergence of the steered from the unsteered next token.
    """

    dose: float
    effects: list[list[list[float]]]
    matching: Estimate
    other: Estimate
    by_carrier: dict[str, CarrierEffect]
    top_3: float
    kl: float


@dataclass(frozen=True)
class LayerEffects:
    """One layer's doses."""

    layer: int
    doses: list[LayerDose]


@dataclass(frozen=True)
class WithinSide:
    """Own vectors beside those of emotions as pleasant, or as unpleasant, on the same words.

    p of labels permuted within sides; `first` names the emotions whose vector raises its word the
    most among those of its side.
    """

    others: nulls.RivalComparison
    p: float
    n_permutations: int
    first: list[str]


@dataclass(frozen=True)
class DoseResult:
    """What one dose did at the target layer, beside controls; see `LayerDose` too.

    `matrix` is averaged over carriers: row = vector, column = word. `other_vectors` is the mean
    effect of the *other* emotions' vectors on the same word; `beats_all_others` names the emotions
    whose vector raises its own word more than each of them does. `off_plane` is the effect of own
    vectors without valence and arousal; `q_random` sets each emotion beside the hardest random
    directions, corrected for how many emotions there are.
    """

    dose: float
    matrix: list[list[float]]
    matching: float
    matching_interval: nulls.Ends
    other: float
    other_interval: nulls.Ends
    by_carrier: dict[str, CarrierEffect]
    top_3: float
    kl: float
    other_vectors: nulls.RivalComparison
    beats_all_others: list[str]
    random: nulls.NullComparison
    matched: nulls.NullComparison | None
    shuffled: nulls.NullComparison | None
    valence: nulls.RivalComparison | None
    plane: nulls.RivalComparison | None
    nearest: nulls.RivalComparison | None
    off_plane: Estimate | None
    within_side: WithinSide | None
    q_random: dict[str, float]

    @property
    def own(self) -> Estimate:
        """Mean effect on the own word, in nats."""
        return Estimate(self.matching, *self.matching_interval)

    def controls(self) -> list[Control]:
        """Name every control that was tried."""
        named = {
            "isotropic random directions": self.random,
            "random directions with the stories' covariance": self.matched,
            "shuffled labels": self.shuffled,
            "other emotions' vectors": self.other_vectors,
            "the nearest other emotion's vector": self.nearest,
            "the valence axis": self.valence,
            "the plane of valence and arousal": self.plane,
        }
        return [tried.control(name) for name, tried in named.items() if tried is not None]


def layer_dose(dose: float, effects: WordEffects, carriers: list[str]) -> LayerDose:
    """Sum up what the vectors did, one per word, at one layer and dose."""

    def mean(values: Float[Tensor, "emotion"]) -> Estimate:
        return mean_over(values)

    def sides(matrix: Float[Tensor, "vector word"]) -> CarrierEffect:
        own = matrix.diagonal()
        return CarrierEffect(mean(own), mean((matrix.sum(dim=1) - own) / (len(matrix) - 1)))

    over_carriers = sides(effects.mean)
    n_above_own = (effects.mean > effects.mean.diagonal()[:, None]).sum(dim=1)
    return LayerDose(
        dose=dose,
        effects=[
            [[round(value, 4) for value in row] for row in matrix]
            for matrix in effects.by_carrier.tolist()
        ],
        matching=over_carriers.matching,
        other=over_carriers.other,
        by_carrier=dict(zip(carriers, map(sides, effects.by_carrier), strict=True)),
        top_3=float((n_above_own < 3).float().mean()),
        kl=effects.kl,
    )


def beside_controls(
    at: LayerDose,
    effects: WordEffects,
    of_nulls: Mapping[str, WordEffects],
    rivals: Mapping[str, Mapping[str, float]],
    off_plane: Mapping[str, float],
    names: list[str],
) -> DoseResult:
    """Set the vectors' effects beside those of every control.

    `of_nulls` has ``random``, and ``matched`` and ``shuffled`` where there are any; `rivals` the
    effects of `Controls.rivals` on their words, `off_plane` those of vectors without the plane.
    """
    matrix = effects.mean
    own, n = matrix.diagonal(), len(names)
    against = {
        name: nulls.compare(own, null.mean, names, kl=null.kl) for name, null in of_nulls.items()
    }
    compared = {kind: _beside_rival(own, of_each, names) for kind, of_each in rivals.items()}
    hardest = of_nulls.get("matched", of_nulls["random"]).mean
    each = zip(own.tolist(), hardest.double().T, strict=True)
    q = false_discovery_control([permutation_p_value(it, null, "greater") for it, null in each])
    others = matrix.masked_fill(torch.eye(n, dtype=torch.bool), -torch.inf)
    best = (own > others.amax(dim=0)).tolist()
    return DoseResult(
        dose=at.dose,
        matrix=matrix.tolist(),
        matching=at.matching.value,
        matching_interval=nulls.ends(at.matching),
        other=at.other.value,
        other_interval=nulls.ends(at.other),
        by_carrier=at.by_carrier,
        top_3=at.top_3,
        kl=at.kl,
        other_vectors=nulls.compare_rival(own, (matrix.sum(dim=0) - own) / (n - 1), names),
        beats_all_others=[name for name, more in zip(names, best, strict=True) if more],
        random=against["random"],
        matched=against.get("matched"),
        shuffled=against.get("shuffled"),
        valence=compared.get(VALENCE),
        plane=compared.get(PLANE),
        nearest=compared.get(NEAREST),
        off_plane=mean_over(torch.tensor([*off_plane.values()])) if off_plane else None,
        within_side=_within_side(matrix.double(), names),
        q_random=dict(zip(names, map(float, q), strict=True)),
    )


def _beside_rival(
    own: Float[Tensor, "word"], of_each: Mapping[str, float], names: Sequence[str]
) -> nulls.RivalComparison | None:
    """Compare own effects with those of directions that some emotions have."""
    rows = [row for row, name in enumerate(names) if name in of_each]
    if len(rows) < 2:
        return None
    theirs = torch.tensor([of_each[names[row]] for row in rows])
    return nulls.compare_rival(own[rows], theirs, [names[row] for row in rows])


def _within_side(matrix: Float[Tensor, "vector word"], names: list[str]) -> WithinSide | None:
    """Compare own vectors with the others of their side; None unless both have two emotions."""
    side = EmotionGroups.of(names).side
    counts = [int((side == each).sum()) for each in (1, -1)]
    if min(counts) < 2:
        return None
    rows = torch.nonzero(side)[:, 0]
    among, group = matrix[rows][:, rows], side[rows]
    same = rearrange(group, "v -> v 1") == group
    own, each = among.diagonal(), torch.arange(len(rows))
    others = (among.where(same, 0.0).sum(dim=0) - own) / (same.sum(dim=0) - 1)
    dealt = permute_within(each, (group > 0).long(), _N_PERMUTATIONS, 0)
    null = reduce(among[dealt, each], "permutation word -> permutation", "mean")
    largest = among.masked_fill(~same, -torch.inf).amax(dim=0)
    kept = [names[row] for row in rows.tolist()]
    return WithinSide(
        nulls.compare_rival(own, others, kept),
        permutation_p_value(float(own.mean()), null, "greater"),
        _N_PERMUTATIONS,
        [name for name, first in zip(kept, (own >= largest).tolist(), strict=True) if first],
    )
