r"""What each of several crossed factors adds to a row, told apart by least squares.

A row is the sum of what its block (a setting) and its level of each factor (an emotion of each
speaker) give, and noise. With all rows of a Latin square the effect of a level is its mean less the
mean over levels. With fewer that mean would hold what the other factor happens to give: where a
setting is left out, each emotion of one speaker lacks just the emotion of the other that it met
there, and plain means would name the one by the other. Least squares does not.

An effect is a weighted sum of rows; its weights are what is returned, so that one fit serves all
readers, and dot products of rows (a Gram matrix) are all that is needed of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import einsum, rearrange, reduce, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import one_hot

from probes.analysis.resampling import permute_within

_ROUNDING = 1e-9
_FITS_AT_ONCE = 200
Effects = Float[Tensor, "*fit level row"]


@dataclass(frozen=True)
class CrossedRows:
    """Which row is what: its level of each factor, its block, and the unit that is drawn again."""

    levels: Int[Tensor, "factor row"]
    n_levels: tuple[int, ...]
    block: Int[Tensor, "row"]
    unit: Int[Tensor, "row"]

    @property
    def n_units(self) -> int:
        """How many units, numbered from 0."""
        return int(self.unit.max()) + 1

    def effects(
        self,
        factor: int,
        weight: Float[Tensor, "*fit row"],
        dealt: Int[Tensor, "*fit row"] | None = None,
    ) -> Float[Tensor, "*fit level row"]:
        """Return the rows' weights in the effect of each level, which sum to zero over levels.

        `weight` is how much each row counts in a fit; `dealt` are levels of the factor to take in
        place of the rows' own.
        """
        if weight.ndim == 1:
            return self.effects(factor, weight[None], None if dealt is None else dealt[None])[0]
        parts = weight.split(_FITS_AT_ONCE)
        own = self.levels[factor].expand(weight.shape) if dealt is None else dealt
        return torch.cat(
            [self._fit(factor, *each) for each in zip(parts, own.split(_FITS_AT_ONCE), strict=True)]
        )

    def _fit(
        self, factor: int, weight: Float[Tensor, "fit row"], own: Int[Tensor, "fit row"]
    ) -> Float[Tensor, "fit level row"]:
        others = [
            one_hot(levels, n)
            for number, (levels, n) in enumerate(zip(self.levels, self.n_levels, strict=True))
            if number != factor
        ]
        fixed = torch.cat([*others, one_hot(self.block)], dim=1).double()
        n = self.n_levels[factor]
        columns = torch.cat(
            [
                one_hot(own, n).double(),
                repeat(fixed, "row column -> fit row column", fit=len(weight)),
            ],
            dim=2,
        )
        weighted = columns * rearrange(weight.double(), "fit row -> fit row 1")
        products = einsum(weighted, columns, "fit row a, fit row b -> fit a b")
        inverse = torch.linalg.pinv(products, rtol=_ROUNDING, hermitian=True)
        solved = einsum(inverse[:, :n], weighted, "fit level a, fit row a -> fit level row")
        return solved - reduce(solved, "fit level row -> fit 1 row", "mean")

    def dealt(
        self, factor: int, n: int, seed: int, among: Bool[Tensor, "row"] | None = None
    ) -> Int[Tensor, "deal row"]:
        """Deal a factor's levels anew among the rows of each block, or those of them `among`."""
        own = self.levels[factor]
        chosen = torch.ones_like(own, dtype=torch.bool) if among is None else among
        dealt = repeat(own, "row -> deal row", deal=n).clone()
        dealt[:, chosen] = permute_within(own[chosen], self.block[chosen], n, seed)
        return dealt

    def parts(self, n_parts: int, n_splits: int, seed: int) -> Float[Tensor, "part split unit"]:
        """Cut the units at random into parts of sizes that differ by at most one."""
        generator = torch.Generator().manual_seed(seed)
        parts = torch.zeros(n_parts, n_splits, self.n_units, dtype=torch.float64)
        for split in range(n_splits):
            order = torch.randperm(self.n_units, generator=generator)
            # The larger parts take turns.
            parts[(torch.arange(self.n_units) + split) % n_parts, split, order] = 1
        return parts


def inner(
    first: Effects, gram: Float[Tensor, "*gram row row"], second: Effects
) -> Float[Tensor, "*fit level"]:
    """Return dot products of effects of the same level."""
    return ((first @ gram) * second).sum(dim=-1)


def without_span(
    gram: Float[Tensor, "row row"], effects: Float[Tensor, "level row"]
) -> Float[Tensor, "row row"]:
    """Return the dot products of rows that are left when the span of effects is projected out."""
    along = effects @ gram
    inverse = torch.linalg.pinv(along @ effects.T, rtol=_ROUNDING, hermitian=True)
    return gram - along.T @ inverse @ along


def crossing_of(
    factors: Sequence[Sequence[str]],
    names: Sequence[Sequence[str]],
    setting: Sequence[str],
    block: Sequence[str] | None = None,
) -> CrossedRows:
    """Give rows their numbers; `names` are each factor's levels, blocks settings unless given."""
    return CrossedRows(
        torch.tensor(
            [[of.index(name) for name in each] for each, of in zip(factors, names, strict=True)]
        ),
        tuple(map(len, names)),
        _numbered(setting if block is None else block),
        _numbered(setting),
    )


def _numbered(names: Sequence[str]) -> Int[Tensor, "row"]:
    order = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return torch.tensor([order[name] for name in names])
