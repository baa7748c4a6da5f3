r"""What steering by some vectors does to each one's own endings, beside other emotions' endings.

With :math:`L_{v,e}` the change of the log-likelihood of emotion :math:`e`'s endings under vector
:math:`v`, in nats per token, and :math:`n` emotions:

1. :math:`C` is :math:`L` less the means of its rows and of its columns: what a vector does to all
   endings, and what any vector does to an ending, are taken out.
2. The own effect of :math:`e` is :math:`C_{e,e}` less the mean of the rest of its row, which is
   :math:`C_{e,e} \, n / (n - 1)`; where own endings alone rise, it is by how much they do.
3. The interval of the mean is Student's over emotions. The means taken out tie emotions to each
   other: with independent noise, the mean varies :math:`(n - 1) / (n - 2)` times as much as
   the spread of the own effects tells, and the interval is wider by the root of that.
4. Permuted: each vector is given another emotion's endings as its own, or by chance its own. With
   all permutations, and not only those that leave none in its place, the p-value is exact.

Contract: pure numbers.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from einops import reduce
from jaxtyping import Float
from scipy import stats
from torch import Tensor

from hooks.errors import InvalidInput
from probes.analysis.findings import Control, Estimate
from probes.analysis.resampling import permutation_p_value, permute_within
from probes.analysis.statistics import double_centered

MIN_EMOTIONS = 3
"""With two, both own effects are one number."""


@dataclass(frozen=True)
class SteeredEndings:
    """Changes under one direction per emotion, for some or all emotions, in nats per token.

    `rows` are the emotions that have a direction, as columns of `changes`; `n_directions` how many
    of the directions are different.
    """

    changes: Float[Tensor, "direction ending"]
    rows: Sequence[int]
    n_directions: int


@dataclass(frozen=True, kw_only=True)
class ControlEffects:
    """What a control's directions did in the place of the vectors, and the own effects less that.

    `by_emotion` is None for an emotion without a direction; `to_all` is the mean change of all
    endings.
    """

    name: str
    n_directions: int
    own: Estimate
    excess: Estimate
    by_emotion: Sequence[float | None]
    to_all: float

    def control(self) -> Control:
        """Return what was reached, and by how much the vectors exceed it."""
        return Control(self.name, self.own, self.excess)


@dataclass(frozen=True, kw_only=True)
class OwnEffects:
    """What vectors did to their own endings, in nats per token.

    `matrix` is [vector][ending's emotion], centered; `first` the share of vectors whose own endings
    rise the most, `mean_rank` counts from 0; `to_all` is the mean change of all endings.
    """

    matrix: Sequence[Sequence[float]]
    own: Estimate
    by_emotion: Sequence[float]
    first: float
    mean_rank: float
    to_all: float
    p: float
    n_permutations: int
    controls: Sequence[ControlEffects]


def own_effects(changes: Float[Tensor, "emotion emotion"]) -> Float[Tensor, "emotion"]:
    """Return by how much each emotion's own endings rise more than the others'."""
    n = len(changes)
    if n < MIN_EMOTIONS:
        raise InvalidInput(f"own endings: expected {MIN_EMOTIONS} emotions or more, got {n}.")
    return double_centered(changes).diagonal() * n / (n - 1)


def mean_effect(effects: Float[Tensor, "emotion"]) -> Estimate:
    """Mean of own effects, or of differences between them, with its interval over emotions."""
    n, mean = len(effects), float(effects.mean())
    error = float(effects.std()) / math.sqrt(n) * math.sqrt((n - 1) / (n - 2))
    half = float(stats.t.ppf(0.975, n - 1)) * error
    return Estimate(mean, mean - half, mean + half)


def compare_own(
    changes: Float[Tensor, "emotion emotion"],
    controls: Mapping[str, SteeredEndings],
    *,
    n_permutations: int,
    seed: int,
) -> OwnEffects:
    """Sum up what vectors did to their own endings, beside each control on the same endings.

    A control with directions for fewer than `MIN_EMOTIONS` emotions is left out.
    """
    centered, n = double_centered(changes), len(changes)
    effects = own_effects(changes)
    above = centered > centered.diagonal()[:, None]
    ranks = reduce(above.double(), "vector ending -> vector", "sum")
    shuffled = permute_within(torch.arange(n), None, n_permutations, seed)
    null = centered[torch.arange(n), shuffled].mean(dim=1)
    return OwnEffects(
        matrix=[[round(value, 5) for value in row] for row in centered.tolist()],
        own=mean_effect(effects),
        by_emotion=effects.tolist(),
        first=float((ranks == 0).double().mean()),
        mean_rank=float(ranks.mean()),
        to_all=float(changes.double().mean()),
        p=permutation_p_value(float(centered.diagonal().mean()), null, "greater"),
        n_permutations=n_permutations,
        controls=[
            _beside(name, control, changes)
            for name, control in controls.items()
            if len(control.rows) >= MIN_EMOTIONS
        ],
    )


def _beside(
    name: str, control: SteeredEndings, changes: Float[Tensor, "emotion emotion"]
) -> ControlEffects:
    """Compare on the emotions that the control has directions for, and on their endings."""
    rows = list(control.rows)
    reached = own_effects(control.changes[:, rows])
    vectors = own_effects(changes[rows][:, rows])
    each = dict(zip(rows, reached.tolist(), strict=True))
    return ControlEffects(
        name=name,
        n_directions=control.n_directions,
        own=mean_effect(reached),
        excess=mean_effect(vectors - reached),
        by_emotion=[each.get(row) for row in range(len(changes))],
        to_all=float(control.changes.double().mean()),
    )
