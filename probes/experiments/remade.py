"""A run's vectors at the target layer, made again from shuffled labels or from topics drawn again.

They are made of what the run's own are made of (`Run.way`): stories, frames, closings, or, of
"both", the sum of what stories and frames give, each of length one.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from probes.analysis import held_out
from probes.analysis.held_out import Design, Rows, bootstrap_vectors, sum_cells
from probes.experiments.folds import TopicFolds
from probes.runs.materials import Materials
from probes.vectors.bundle import BOTH, SAID, SHOWN
from probes.vectors.normalize import normalize

Vectors = Float[Tensor, "emotion d_model"]


class Remade:
    """Ways of making a run's vectors anew."""

    def __init__(self, materials: Materials) -> None:
        way = materials.run.way
        self._seed = materials.seed
        self._basis = materials.neutral_components().float()
        names = [SHOWN, SAID] if way == BOTH else [way]
        self._parts = [_part(materials, name) for name in names]

    @property
    def n_units(self) -> int:
        """How many topics, or frames, are drawn again: the fewest of what the vectors are of."""
        return min(part.design.n_topics for part in self._parts)

    def shuffled(self, n: int) -> list[Vectors]:
        """Make vectors from `n` dealings of emotions among the texts of each topic, or frame."""
        return self._made(
            lambda part: [
                held_out.vectors_of_all_topics(sum_cells(part.rows, each), self._basis)
                for each in held_out.permute_within_topics(part.design, n, self._seed)
            ]
        )

    def resampled(self, n: int) -> list[Vectors]:
        """Make vectors from topics, or frames, drawn again, where every emotion was drawn."""
        return self._made(
            lambda part: bootstrap_vectors(
                sum_cells(part.rows, part.design), part.design, self._basis, n, self._seed
            )
        )

    def _made(self, make: Callable[["_Part"], Sequence[Vectors]]) -> list[Vectors]:
        made = [make(part) for part in self._parts]
        if len(made) == 1:
            return list(made[0])
        return [normalize(shown) + normalize(said) for shown, said in zip(*made, strict=False)]


class _Part(NamedTuple):
    rows: Rows
    design: Design


def _part(materials: Materials, way: str) -> _Part:
    if way == SHOWN:
        folds = TopicFolds(materials, 2)
        return _Part(folds.rows(materials.layer), folds.design)
    rows = materials.way(way)
    n_emotions, n_units = len(materials.emotions), len(materials.units(way))
    once, no_fold = torch.ones_like(rows.emotion), torch.zeros(n_units, dtype=torch.long)
    design = Design(rows.emotion, rows.unit, once, no_fold, n_emotions)
    return _Part(held_out.centered(rows.mean), design)
