r"""Whether an emotion has one direction in two ways of expression, or two.

1. Units are halved at random. The cosine of an emotion's vectors from a half of one way and the
   *other* half of the other way owes nothing to a shared topic.
2. Within a way, the cosine of both halves is its reliability :math:`r`; what two ways would have
   without noise is the cosine across over :math:`\sqrt{r_1 r_2}` (Spearman 1904). All units
   together have the reliability :math:`2r / (1 + r)`.
3. Of the mean over emotions, an interval leaves out one unit after another in the same halves.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from probes.analysis.findings import Estimate
from probes.analysis.reliability import leave_one_out, spearman_brown
from probes.experiments.expression.ways import Way, grams

LEAST_RELIABLE = 0.3
"""Reliability of all units below which a single emotion's two ways are not compared."""
_Weights = Float[Tensor, "split unit"]


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """Cosines between two ways, and what they would be without noise; lists are by emotion.

    `cosine` and `reliability` (of each way) are means over emotions, of vectors from all units.
    `by_emotion` is None where a way is too unreliable to say.
    """

    first: str
    second: str
    cosine: float
    reliability: tuple[float, float]
    without_noise: Estimate
    by_emotion: Sequence[float | None]

    def ordered(self, emotions: Sequence[str]) -> list[tuple[str, float]]:
        """Return emotions that can be compared, from the most to the least alike."""
        known = [(name, it) for name, it in zip(emotions, self.by_emotion, strict=True) if it]
        return sorted(known, key=lambda pair: -pair[1])


def compare_ways(
    names: tuple[str, str], first: Way, second: Way, n_splits: int, seed: int
) -> Alignment | None:
    """Compare every emotion's vectors in two ways; None where a half would have no unit."""
    if min(len(first.units), len(second.units)) < 2:
        return None
    pair = _Pair(first, second)
    halves = _halves(first, second, n_splits, seed)
    across, *within = pair.cosines(halves)
    full = [spearman_brown(float(it.clamp(min=0).mean()), 2.0) for it in within]
    value = _without_noise(across, within)
    if value is None:
        return None
    again = []
    for unit in torch.cat([first.units, second.units]).unique():
        kept = halves * (torch.arange(halves.shape[2]) != unit)
        without = pair.cosines(kept)
        left_out = _without_noise(without[0], without[1:])
        again += [] if left_out is None else [left_out]
    reliable = LEAST_RELIABLE / (2 - LEAST_RELIABLE)
    each = [
        float(c / (r * s).sqrt()) if min(r, s) >= reliable else None
        for c, r, s in zip(across, *within, strict=True)
    ]
    ones = torch.ones(1, halves.shape[2])
    return Alignment(
        first=names[0],
        second=names[1],
        cosine=float(pair.across(ones, ones).mean()),
        reliability=(full[0], full[1]),
        without_noise=leave_one_out(value, again),
        by_emotion=each,
    )


class _Pair:
    """Dot products of differences within two ways and between them: all that cosines need."""

    def __init__(self, first: Way, second: Way) -> None:
        self._first, self._second = first, second
        self._between = grams(first, second)

    def across(self, of_first: _Weights, of_second: _Weights) -> Float[Tensor, "emotion"]:
        """Mean over splits of cosines between vectors of two ways."""
        first, second = of_first[:, self._first.units], of_second[:, self._second.units]
        return _mean_cosine(self._between, self._first.grams, self._second.grams, first, second)

    def cosines(self, halves: Float[Tensor, "side split unit"]) -> list[Tensor]:
        """Return cosines of opposite halves by emotion: across the ways, and within each."""
        left, right = halves
        across = (self.across(left, right) + self.across(right, left)) / 2
        within = [
            _mean_cosine(way.grams, way.grams, way.grams, left[:, way.units], right[:, way.units])
            for way in (self._first, self._second)
        ]
        return [across, *within]


def _mean_cosine(
    between: Float[Tensor, "emotion first second"],
    within_first: Float[Tensor, "emotion first first"],
    within_second: Float[Tensor, "emotion second second"],
    first: Float[Tensor, "split first"],
    second: Float[Tensor, "split second"],
) -> Float[Tensor, "emotion"]:
    a, b = first.double(), second.double()
    dot = einsum(a, between, b, "s i, e i j, s j -> s e")
    square = einsum(a, within_first, a, "s i, e i j, s j -> s e")
    other = einsum(b, within_second, b, "s i, e i j, s j -> s e")
    return (dot / (square * other).clamp(min=torch.finfo(torch.float64).tiny).sqrt()).mean(dim=0)


def _halves(first: Way, second: Way, n_splits: int, seed: int) -> Float[Tensor, "side split unit"]:
    """Halve the units of each way, and shared units in the same way."""
    generator = torch.Generator().manual_seed(seed)
    units = torch.cat([first.units, second.units])
    n_units = int(units.max()) + 1
    halves = torch.zeros(2, n_splits, n_units)
    shared = set(first.units.tolist()) & set(second.units.tolist())
    groups = [shared, *(set(way.units.tolist()) - shared for way in (first, second))]
    for group in filter(None, groups):
        members = torch.tensor(sorted(group))
        for split in range(n_splits):
            order = members[torch.randperm(len(members), generator=generator)]
            # An odd one goes to either side in turn.
            cut = (len(order) + split % 2) // 2
            halves[0, split, order[:cut]] = 1
            halves[1, split, order[cut:]] = 1
    return halves


def _without_noise(across: Tensor, within: Sequence[Tensor]) -> float | None:
    reliable = float(within[0].mean()) * float(within[1].mean())
    there = all(float(it.mean()) > 0 for it in within)
    return float(across.mean()) / math.sqrt(reliable) if there else None
