"""What steering did to words, summed up: own words, others, and controls beside them.

Contract: pure numbers, in nats. Effects come as [carrier direction word] (`steering_words`).
Intervals are 95% bootstrap intervals over emotions, and over directions where a null has them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from einops import rearrange, reduce
from jaxtyping import Float, Int
from torch import Tensor

from probes.analysis.findings import Control, Estimate
from probes.experiments.steering.nulls import (
    NullComparison,
    Resampling,
    RivalComparison,
    compare,
    compare_rival,
    mean_interval,
)


@dataclass(frozen=True)
class WordEffects:
    """Effects of some directions on every word, and their mean KL divergence."""

    by_carrier: Float[Tensor, "carrier direction word"]
    kl: float

    @property
    def mean(self) -> Float[Tensor, "direction word"]:
        """Effects averaged over carriers."""
        return reduce(self.by_carrier, "carrier direction word -> direction word", "mean")


@dataclass(frozen=True)
class CarrierEffect:
    """What the vectors did after one carrier: to their own words, and to the others."""

    matching: Estimate
    other: Estimate


@dataclass(frozen=True)
class LayerDose:
    """What the vectors did at one layer and dose (a fraction of the mean residual norm there).

    `effects` are changes of log-probability [carrier][vector][word]; `matching` and `other` the
    means of the diagonal and of the rest, `by_carrier` the same of each carrier; `top_3` the share
    of vectors whose own word is among the three that rise most; `kl` of the next token, in nats.
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
    """What one dose did at the target layer, beside controls.

    `matrix` is averaged over carriers, row = vector, column = word; `other_vectors` sets own
    effects beside the mean effect of the other emotions' vectors on the same word, of which
    `beats_all_others` emotions beat every one. `random` directions are isotropic, `matched` ones
    have the stories' covariance, `shuffled` are from shuffled labels; `valence` axes are of rated
    emotions.
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
    other_vectors: RivalComparison
    beats_all_others: list[str]
    random: NullComparison
    matched: NullComparison | None
    shuffled: NullComparison | None
    valence: RivalComparison | None

    @property
    def own(self) -> Estimate:
        """Mean effect on the own word, in nats."""
        return Estimate(self.matching, *self.matching_interval)

    @property
    def others(self) -> Estimate:
        """Mean effect on other emotions' words, in nats."""
        return Estimate(self.other, *self.other_interval)

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
    dose: float, effects: WordEffects, carriers: list[str], resampling: Resampling
) -> LayerDose:
    """Sum up what the vectors did, one per word, at one layer and dose."""

    def mean(values: Float[Tensor, "emotion"]) -> Estimate:
        return Estimate(float(values.mean()), *mean_interval(values, resampling))

    def sides(matrix: Float[Tensor, "vector word"]) -> CarrierEffect:
        own = matrix.diagonal()
        return CarrierEffect(mean(own), mean((matrix.sum(dim=1) - own) / (len(matrix) - 1)))

    over_carriers = sides(effects.mean)
    return LayerDose(
        dose=dose,
        effects=[
            [[round(value, 4) for value in row] for row in matrix]
            for matrix in effects.by_carrier.tolist()
        ],
        matching=over_carriers.matching,
        other=over_carriers.other,
        by_carrier={
            carrier: sides(matrix)
            for carrier, matrix in zip(carriers, effects.by_carrier, strict=True)
        },
        top_3=float((_rank(effects.mean) < 3).float().mean()),
        kl=effects.kl,
    )


def beside_controls(
    at: LayerDose,
    effects: WordEffects,
    nulls: Mapping[str, WordEffects],
    valence: Mapping[str, float],
    names: list[str],
    resampling: Resampling,
) -> DoseResult:
    """Set the vectors' effects beside those of every control.

    `nulls` are ``random``, and ``matched`` and ``shuffled`` where there are any; `valence` maps
    rated emotions to the effect of their valence axis on their word.
    """
    matrix = effects.mean
    own, n = matrix.diagonal(), len(names)
    against = {
        name: compare(own, null.mean, names, kl=null.kl, resampling=resampling)
        for name, null in nulls.items()
    }
    rated = [row for row, name in enumerate(names) if name in valence]
    axis = torch.tensor([valence[names[row]] for row in rated])
    others = matrix.masked_fill(torch.eye(n, dtype=torch.bool), -torch.inf)
    best_other = reduce(others, "vector word -> word", "max")
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
        other_vectors=compare_rival(own, (matrix.sum(dim=0) - own) / (n - 1), names, resampling),
        beats_all_others=[
            name for name, more in zip(names, (own > best_other).tolist(), strict=True) if more
        ],
        random=against["random"],
        matched=against.get("matched"),
        shuffled=against.get("shuffled"),
        valence=compare_rival(own[rated], axis, [names[row] for row in rated], resampling)
        if len(rated) > 1
        else None,
    )


def _rank(matrix: Float[Tensor, "vector word"]) -> Int[Tensor, "vector"]:
    """How many words rise more than the vector's own."""
    own = rearrange(matrix.diagonal(), "vector -> vector 1")
    return reduce((matrix > own).long(), "vector word -> vector", "sum")
