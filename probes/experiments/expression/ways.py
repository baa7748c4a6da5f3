r"""What one way of expressing emotions gives to learn from and to read.

1. A cell is the mean of a unit's texts of one emotion; a unit is a topic or a frame.
2. Its difference :math:`d_{u,e}` is the cell less the mean over the unit's emotions. Where every
   emotion has a text in every unit, the mean of differences over units is the mean over an
   emotion's texts less the mean over emotions: the run's vector, from those units alone.
3. Any choice or weight :math:`w` of units gives :math:`v_e = \sum_u w_u d_{u,e}`, and a length that
   is a quadratic form of :math:`w`: `grams`.

Units carry numbers that mean the same in all ways: texts on one topic share what the topic is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from einops import einsum, rearrange
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_matrix
from torch import Tensor

from probes.analysis import held_out
from probes.vectors.denoising import CellSums
from probes.vectors.neutral import project_out

Rows = Tensor | csr_matrix
"""[row feature]; words are many, and of each text few."""


@dataclass(frozen=True)
class Way:
    """Rows of one way, at one layer or as one lexical reader has them.

    `unit` indexes `units`, which holds the numbers that units have in all ways.
    """

    rows: Rows
    emotion: Int[Tensor, "row"]
    unit: Int[Tensor, "row"]
    units: Int[Tensor, "unit"]
    differences: Float[Tensor, "unit emotion feature"]
    present: Bool[Tensor, "unit emotion"]
    means: Float[Tensor, "unit feature"]

    @classmethod
    def of(
        cls,
        rows: Rows,
        emotion: Int[Tensor, "row"],
        unit: Int[Tensor, "row"],
        units: Int[Tensor, "unit"],
        n_emotions: int,
    ) -> "Way":
        """Make cells, and take their differences in float64; rows of a model are centered."""
        if isinstance(rows, Tensor):
            rows = held_out.centered(rows)
        sums = _cell_sums(rows, emotion, unit, (len(units), n_emotions))
        present = sums.counts > 0
        cells = sums.sums / rearrange(sums.counts.clamp(min=1), "unit emotion -> unit emotion 1")
        n_present = rearrange(present.sum(dim=1).clamp(min=1), "unit -> unit 1")
        means = cells.sum(dim=1) / n_present
        differences = cells - rearrange(means, "unit feature -> unit 1 feature")
        differences = differences * rearrange(present, "unit emotion -> unit emotion 1")
        return cls(rows, emotion, unit, units, differences.float(), present, means.float())

    def without(self, basis: held_out.NeutralBasis) -> "Way":
        """Free what is learned from neutral components; what is read stays as it is."""
        freed = project_out(self.differences, basis.float(), orthonormal=True)
        return replace(self, differences=freed)

    @cached_property
    def grams(self) -> Float[Tensor, "emotion unit unit"]:
        """Dot products of an emotion's differences in two units, in float64."""
        return grams(self, self)

    @cached_property
    def columns(self) -> Float[Tensor, "feature unit_emotion"]:
        """Differences as columns, laid out so that a sparse row meets few of its lines."""
        flat = rearrange(self.differences, "unit emotion feature -> feature (unit emotion)")
        return flat if isinstance(self.rows, Tensor) else flat.contiguous()

    def along(self, rows: Rows) -> Float[Tensor, "unit row emotion"]:
        """Dot products of rows with every difference."""
        if isinstance(rows, Tensor):
            dots = rows @ self.columns
        else:
            product: Any = rows @ self.columns.numpy()
            dots = torch.from_numpy(product.astype("float32", copy=False))
        return rearrange(dots, "row (unit emotion) -> unit row emotion", unit=len(self.units))

    def rows_of(self, unit: int) -> tuple[Rows, Int[Tensor, "_row"]]:
        """Return the rows of one unit, and their emotions."""
        [index] = torch.nonzero(self.unit == unit, as_tuple=True)
        rows: Any = self.rows
        return rows[index if isinstance(rows, Tensor) else index.numpy()], self.emotion[index]


def grams(first: Way, second: Way) -> Float[Tensor, "emotion _first _second"]:
    """Dot products of an emotion's differences in the units of two ways, in float64."""
    wide = first.differences.double(), second.differences.double()
    return einsum(*wide, "first e feature, second e feature -> e first second")


def number_units(names: Sequence[Sequence[str]]) -> list[Int[Tensor, "_unit"]]:
    """Give the same name the same number in all ways."""
    every = dict.fromkeys(name for each in names for name in each)
    number = {name: index for index, name in enumerate(every)}
    return [torch.tensor([number[name] for name in each]) for each in names]


def _cell_sums(
    rows: Rows, emotion: Int[Tensor, "row"], unit: Int[Tensor, "row"], shape: tuple[int, int]
) -> CellSums:
    if isinstance(rows, Tensor):
        return CellSums.of(rows.double(), (unit, emotion), torch.ones_like(unit), shape)
    owner = unit * shape[1] + emotion
    owners: Any = csr_matrix(
        (np.ones(len(owner)), (owner.numpy(), np.arange(len(owner)))),
        (shape[0] * shape[1], len(owner)),
    )
    sums = torch.from_numpy((owners @ rows).toarray())
    counts = torch.bincount(owner, minlength=shape[0] * shape[1]).double()
    return CellSums(sums.unflatten(0, shape), counts.unflatten(0, shape))
