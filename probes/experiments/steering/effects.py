"""What steering did to words, summed up: own words, others, and controls beside them; in nats.

Intervals are 95% bootstrap intervals over emotions, and over directions where a null has them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from probes.analysis.findings import Control, Estimate
from probes.experiments.steering import nulls


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
class DoseResult:
    """What one dose did at the target layer, beside controls; see `LayerDose` too.

    `matrix` is averaged over carriers: row = vector, column = word. `other_vectors` is the mean
    effect of the *other* emotions' vectors on the same word; `beats_all_others` names the emotions
    whose vector raises its own word more than each of them does.
    """

    dose: float
    matrix: list[list[float]]
    matching: float
    matching_interval: tuple[float, float]
    other: float
    other_interval: tuple[float, float]
    by_carrier: dict[str, CarrierEffect]
    top_3: float
    kl: float
    other_vectors: nulls.RivalComparison
    beats_all_others: list[str]
    random: nulls.NullComparison
    matched: nulls.NullComparison | None
    shuffled: nulls.NullComparison | None
    valence: nulls.RivalComparison | None

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
            "the valence axis": self.valence,
        }
        return [tried.control(name) for name, tried in named.items() if tried is not None]


def layer_dose(
    dose: float, effects: WordEffects, carriers: list[str], resampling: nulls.Resampling
) -> LayerDose:
    """Sum up what the vectors did, one per word, at one layer and dose."""

    def mean(values: Float[Tensor, "emotion"]) -> Estimate:
        return Estimate(float(values.mean()), *nulls.mean_interval(values, resampling))

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
    valence: Mapping[str, float],
    names: list[str],
    resampling: nulls.Resampling,
) -> DoseResult:
    """Set the vectors' effects beside those of every control.

    `of_nulls` has ``random``, and ``matched`` and ``shuffled`` where there are any; `valence` the
    effect of each rated emotion's valence axis on its word.
    """
    matrix = effects.mean
    own, n = matrix.diagonal(), len(names)
    against = {
        name: nulls.compare(own, null.mean, names, kl=null.kl, resampling=resampling)
        for name, null in of_nulls.items()
    }
    rated = [row for row, name in enumerate(names) if name in valence]
    axis = None
    if len(rated) > 1:
        rivals = torch.tensor([valence[names[row]] for row in rated])
        axis = nulls.compare_rival(own[rated], rivals, [names[row] for row in rated], resampling)
    others = matrix.masked_fill(torch.eye(n, dtype=torch.bool), -torch.inf)
    best = (own > others.amax(dim=0)).tolist()
    return DoseResult(
        dose=at.dose,
        matrix=matrix.tolist(),
        matching=at.matching.value,
        matching_interval=at.matching.ends,
        other=at.other.value,
        other_interval=at.other.ends,
        by_carrier=at.by_carrier,
        top_3=at.top_3,
        kl=at.kl,
        other_vectors=nulls.compare_rival(
            own, (matrix.sum(dim=0) - own) / (n - 1), names, resampling
        ),
        beats_all_others=[name for name, more in zip(names, best, strict=True) if more],
        random=against["random"],
        matched=against.get("matched"),
        shuffled=against.get("shuffled"),
        valence=axis,
    )
