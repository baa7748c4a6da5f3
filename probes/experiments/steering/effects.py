"""What steering did to words, summed up: own words, others, and controls beside them.

Contract: pure numbers, in nats. Effects come as [carrier direction word] (`steering_words`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from einops import rearrange, reduce
from jaxtyping import Float, Int
from torch import Tensor

from probes.experiments.steering.nulls import NullComparison, Pair, compare, mean_interval, pair


@dataclass(frozen=True)
class Found:
    """Effects of some directions on every word, and their mean KL divergence."""

    by_carrier: Float[Tensor, "carrier direction word"]
    kl: float

    @property
    def mean(self) -> Float[Tensor, "direction word"]:
        """Effects averaged over carriers."""
        return reduce(self.by_carrier, "carrier direction word -> direction word", "mean")


@dataclass(frozen=True)
class Effect:
    """A mean effect with its 95% bootstrap interval over emotions, in nats."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class CarrierEffect:
    """What the vectors did after one carrier: to their own words, and to the others."""

    matching: Effect
    other: Effect


@dataclass(frozen=True)
class LayerDose:
    """What the vectors did at one layer and dose.

    Attributes
    ----------
    dose
        Fraction of the mean residual norm at that layer.
    effects
        Change of log-probability, in nats: [carrier][vector][word].
    matching, other
        Means over carriers of the diagonal and of the rest, with intervals over emotions.
    by_carrier
        The same for each carrier alone.
    top_3
        Share of vectors whose own word is among the three that rise the most.
    kl
        Mean KL divergence of the steered from the unsteered next token, in nats.
    """

    dose: float
    effects: list[list[list[float]]]
    matching: Effect
    other: Effect
    by_carrier: dict[str, CarrierEffect]
    top_3: float
    kl: float


@dataclass(frozen=True)
class Layer:
    """One layer's doses."""

    layer: int
    doses: list[LayerDose]


@dataclass(frozen=True)
class DoseResult:
    """What one dose did at the target layer, beside controls.

    Attributes
    ----------
    matrix
        Change of log-probability averaged over carriers, in nats: row = vector, column = word.
    matching, matching_interval
        Mean of the diagonal, with a 95% bootstrap interval over emotions.
    other, other_interval
        Mean off the diagonal.
    by_carrier, top_3, kl
        As in `LayerDose`.
    other_vectors
        Own effects beside the mean effect of the *other* emotions' vectors on the same word.
    beats_all_others
        Emotions whose vector raises its own word more than every other emotion's vector does.
    random, matched, shuffled
        Own effects beside isotropic directions, those with the stories' covariance, and vectors
        from shuffled labels.
    valence
        Own effects beside that of the valence axis made without the emotion; rated emotions only.
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
    other_vectors: Pair
    beats_all_others: list[str]
    random: NullComparison
    matched: NullComparison | None
    shuffled: NullComparison | None
    valence: Pair | None


def layer_dose(dose: float, found: Found, carriers: list[str], seed: int) -> LayerDose:
    """Sum up what the vectors did, one per word, at one layer and dose."""

    def sides(matrix: Float[Tensor, "vector word"]) -> CarrierEffect:
        own = matrix.diagonal()
        others = (matrix.sum(dim=1) - own) / (len(matrix) - 1)
        return CarrierEffect(_effect(own, seed), _effect(others, seed))

    mean = sides(found.mean)
    return LayerDose(
        dose=dose,
        effects=[
            [[round(value, 4) for value in row] for row in matrix]
            for matrix in found.by_carrier.tolist()
        ],
        matching=mean.matching,
        other=mean.other,
        by_carrier={
            carrier: sides(matrix)
            for carrier, matrix in zip(carriers, found.by_carrier, strict=True)
        },
        top_3=float((_rank(found.mean) < 3).float().mean()),
        kl=found.kl,
    )


def beside_controls(
    at: LayerDose,
    found: Found,
    nulls: Mapping[str, Found],
    valence: Mapping[str, float],
    names: list[str],
    seed: int,
) -> DoseResult:
    """Set the vectors' effects beside those of every control.

    Parameters
    ----------
    nulls
        ``random``, and ``matched`` and ``shuffled`` where there are any.
    valence
        Rated emotion to the effect of its valence axis on its word.
    """
    matrix = found.mean
    own, n = matrix.diagonal(), len(names)
    against = {
        name: compare(own, null.mean, names, kl=null.kl, seed=seed) for name, null in nulls.items()
    }
    rated = [place for place, name in enumerate(names) if name in valence]
    axis = torch.tensor([valence[names[place]] for place in rated])
    others = matrix.masked_fill(torch.eye(n, dtype=torch.bool), -torch.inf)
    best_other = reduce(others, "vector word -> word", "max")
    return DoseResult(
        dose=at.dose,
        matrix=matrix.tolist(),
        matching=at.matching.value,
        matching_interval=(at.matching.low, at.matching.high),
        other=at.other.value,
        other_interval=(at.other.low, at.other.high),
        by_carrier=at.by_carrier,
        top_3=at.top_3,
        kl=at.kl,
        other_vectors=pair(own, (matrix.sum(dim=0) - own) / (n - 1), names, seed),
        beats_all_others=[
            name for name, more in zip(names, (own > best_other).tolist(), strict=True) if more
        ],
        random=against["random"],
        matched=against.get("matched"),
        shuffled=against.get("shuffled"),
        valence=pair(own[rated], axis, [names[place] for place in rated], seed)
        if len(rated) > 1
        else None,
    )


def _effect(values: Float[Tensor, "emotion"], seed: int) -> Effect:
    return Effect(float(values.mean()), *mean_interval(values, seed))


def _rank(matrix: Float[Tensor, "vector word"]) -> Int[Tensor, "vector"]:
    """How many words rise more than the vector's own."""
    own = rearrange(matrix.diagonal(), "vector -> vector 1")
    return reduce((matrix > own).long(), "vector word -> vector", "sum")
