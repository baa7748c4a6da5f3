r"""Cosines of directions that are learned from the same dialogues, as they are and without noise.

A set of directions are the effects of one factor (`crossing`) in some of the rows.

1. Units are halved at random. A cosine of two sets takes one from each half, so that no dialogue is
   in both; of one set with itself it is the reliability :math:`r`, and what two sets would have
   without noise is their cosine over :math:`\sqrt{r_1 r_2}` (Spearman 1904).
2. Of a set, what is left of its length when a subspace is projected out is the root of
   :math:`\sum_e p_e \cdot q_e / \sum_e v_e \cdot w_e`: v and w from opposite halves, p and q what
   is left of them. Noise, which lies in every direction, has no part in it.
3. Means over levels. Intervals leave out one unit after another in the same halves (jackknife): a
   unit that is drawn twice would lie on both sides.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from operator import truediv
from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from probes.analysis.findings import Estimate
from probes.analysis.intervals import mean_of_draws
from probes.analysis.reliability import leave_one_out, spearman_brown
from probes.experiments.dialogues.crossing import CrossedRows, Effects, inner, without_span
from probes.experiments.dialogues.reading import Gram

N_SPLITS = 20
_TINY = 1e-6
Pairs = Sequence[tuple[int, int]]


class DirectionSet(NamedTuple):
    """The effects of a factor in some rows, one direction for each level."""

    factor: int
    rows: Bool[Tensor, "row"]


@dataclass(frozen=True, kw_only=True)
class SetCosines:
    """Mean cosines of sets, [set][set], and the reliability of each from all units.

    `without_noise` is None where the interval of a set's reliability holds zero.
    """

    sets: Sequence[str]
    cosine: Sequence[Sequence[float]]
    without_noise: Sequence[Sequence[float | None]]
    reliability: Sequence[float]


@dataclass(frozen=True, kw_only=True)
class PairCosine:
    """Mean cosine of some pairs of sets; `without_noise` as in `SetCosines`."""

    cosine: Estimate
    without_noise: Estimate | None


@dataclass(frozen=True, kw_only=True)
class KeptNorm:
    """Share of a set's length that is left when a subspace is projected out.

    `dealt` is that of directions of the same rows whose labels were dealt anew, and thus of the
    same covariance.
    """

    kept: Estimate
    without_noise: Estimate | None
    dealt: Estimate


def compare_sets(
    gram: Gram,
    crossing: CrossedRows,
    sets: Mapping[str, DirectionSet],
    pairs: Mapping[str, Pairs],
    seed: int,
) -> tuple[SetCosines, dict[str, PairCosine]]:
    """Compare all sets, and average named pairs of them."""
    halves = crossing.parts(2, N_SPLITS, seed)

    def measured(kept: Float[Tensor, "unit"]) -> tuple[Tensor, Tensor]:
        once = [_effects(crossing, it, kept) for it in sets.values()]
        left, right = (
            [_effects(crossing, it, side * kept) for it in sets.values()] for side in halves
        )
        return _table(gram, once, once), _table(gram, left, right)

    whole, opposite = measured(torch.ones(crossing.n_units))
    once, split = zip(*map(measured, 1 - torch.eye(crossing.n_units)), strict=True)
    within = [
        leave_one_out(float(opposite[n, n]), [float(each[n, n]) for each in split])
        for n in range(len(sets))
    ]

    def clean(chosen: Pairs) -> Estimate | None:
        if not all(within[n].above_zero for pair in chosen for n in pair):
            return None
        left_out = [_clean_cosine(each, chosen) for each in split]
        return leave_one_out(_clean_cosine(opposite, chosen), left_out)

    of_pairs = {
        name: PairCosine(
            cosine=leave_one_out(
                _mean_cosine(whole, chosen), [_mean_cosine(each, chosen) for each in once]
            ),
            without_noise=clean(chosen),
        )
        for name, chosen in pairs.items()
    }
    table = [[clean([(a, b)]) for b in range(len(sets))] for a in range(len(sets))]
    return SetCosines(
        sets=list(sets),
        cosine=whole.tolist(),
        without_noise=[[it and it.value for it in row] for row in table],
        reliability=[spearman_brown(max(it.value, 0.0), 2.0) for it in within],
    ), of_pairs


def kept_norm(
    gram: Gram,
    left: Gram,
    crossing: CrossedRows,
    chosen: DirectionSet,
    n_dealt: int,
    seed: int,
) -> KeptNorm:
    """Compare lengths of a set's directions; `left` is the Gram matrix of what is left of rows."""
    halves = crossing.parts(2, N_SPLITS, seed)

    def measured(kept: Float[Tensor, "unit"]) -> tuple[float, float]:
        one, other = (_effects(crossing, chosen, side * kept) for side in halves)
        part, whole = (float(inner(one, each, other).sum()) for each in (left, gram))
        return part, whole

    def as_it_is(kept: Float[Tensor, "unit"]) -> float:
        return float(_kept(_effects(crossing, chosen, kept), gram, left).mean())

    value = as_it_is(torch.ones(crossing.n_units))
    dealt = crossing.dealt(chosen.factor, n_dealt, seed, chosen.rows)
    weight = chosen.rows.double().expand(dealt.shape)
    of_dealt = _kept(crossing.effects(chosen.factor, weight, dealt), gram, left).mean(dim=-1)
    return KeptNorm(
        kept=leave_one_out(value, [as_it_is(it) for it in 1 - torch.eye(crossing.n_units)]),
        without_noise=_kept_length(measured, crossing),
        dealt=mean_of_draws(of_dealt),
    )


def kept_outside(
    gram: Gram, crossing: CrossedRows, span: DirectionSet, of: DirectionSet, seed: int
) -> Estimate | None:
    """Return the share of a set's length outside the span of another, without the set's noise.

    Span and both estimates of the set are from different thirds of the units. The span's noise
    leaves something of any set: of the spanning one itself, as much as noise does. None where the
    set does not repeat.
    """
    thirds = crossing.parts(3, N_SPLITS, seed)

    def measured(kept: Float[Tensor, "unit"]) -> tuple[float, float]:
        inside = _effects(crossing, span, thirds[0] * kept)
        one, other = (_effects(crossing, of, third * kept) for third in thirds[1:])
        left = torch.stack([without_span(gram, effects) for effects in inside])
        part, whole = (float(inner(one, each, other).sum()) for each in (left, gram))
        return part, whole

    return _kept_length(measured, crossing)


def _kept_length(
    measured: Callable[[Float[Tensor, "unit"]], tuple[float, float]], crossing: CrossedRows
) -> Estimate | None:
    """Return the root of a ratio of sums, measured without each unit in turn; see step 2."""
    part, whole = measured(torch.ones(crossing.n_units))
    parts, wholes = zip(*map(measured, 1 - torch.eye(crossing.n_units)), strict=True)
    if not leave_one_out(whole, wholes).above_zero:
        return None
    return leave_one_out(_root(part / whole), list(map(_root, map(truediv, parts, wholes))))


def _root(square: float) -> float:
    return math.sqrt(max(square, 0.0))


def _effects(
    crossing: CrossedRows, of: DirectionSet, units: Float[Tensor, "*split unit"]
) -> Float[Tensor, "*split level row"]:
    return crossing.effects(of.factor, units[..., crossing.unit] * of.rows)


def _kept(effects: Effects, gram: Gram, left: Gram) -> Float[Tensor, "*fit level"]:
    return (inner(effects, left, effects).clamp(min=0) / inner(effects, gram, effects)).sqrt()


def _table(
    gram: Gram, first: Sequence[Effects], second: Sequence[Effects]
) -> Float[Tensor, "set set"]:
    """Mean cosine of every set with every other over splits and levels, either way round."""
    lengths = [[inner(it, gram, it).sqrt() for it in side] for side in (first, second)]
    cosine = [
        (inner(a, gram, b) / (lengths[0][i] * lengths[1][j])).mean()
        for (i, a), (j, b) in product(enumerate(first), enumerate(second))
    ]
    table = rearrange(torch.stack(cosine), "(a b) -> a b", a=len(first))
    return (table + table.T) / 2


def _mean_cosine(table: Float[Tensor, "set set"], pairs: Pairs) -> float:
    return sum(float(table[a, b]) for a, b in pairs) / len(pairs)


def _clean_cosine(table: Float[Tensor, "set set"], pairs: Pairs) -> float:
    reliable = table.diagonal().clamp(min=_TINY).sqrt()
    return _mean_cosine(table / torch.outer(reliable, reliable), pairs)
