"""Draws: permutations, resamples, and the p-value that a set of permutations gives.

The same seed gives the same draws. Resample topics, not the stories that share one; permute only
what the null hypothesis calls exchangeable.
"""

import math
from typing import Literal

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from hooks.errors import DataError, InvalidInput

Alternative = Literal["greater", "less", "two-sided"]

# A permutation that restores the observed order must count as a tie, whatever its rounding.
_TIE = 1e-12
_MOST_FLIPPED = 14
"""Of so many units or fewer all combinations of signs are tried."""
_N_FLIPS = 2**_MOST_FLIPPED


def permute_within(
    labels: Shaped[Tensor, "row"],
    groups: Int[Tensor, "row"] | None,
    n_permutations: int,
    seed: int | torch.Generator,
    *,
    keys: torch.dtype = torch.float64,
) -> Shaped[Tensor, "permutation row"]:
    """Shuffle labels among the rows of each group; without groups, among all rows.

    Parameters
    ----------
    labels
        Labels, ratings, or row numbers where permutations themselves are wanted.
    groups
        Group of each row, from 0.
    seed
        Or a generator that goes on.
    keys
        Precision of the random sorting keys; another one gives other permutations.

    Raises
    ------
    InvalidInput
        There is no row, or no permutation is asked for.
    """
    if len(labels) < 1 or n_permutations < 1:
        raise InvalidInput(
            f"Expected a row and one permutation, got {len(labels)} and {n_permutations}."
        )
    drawn = torch.rand(n_permutations, len(labels), dtype=keys, generator=_generator(seed))
    if groups is None:
        return labels[drawn.argsort(dim=1)]
    permuted = labels.new_empty(n_permutations, len(labels))
    # Whole part of a key: the group. So sorting shuffles inside groups only.
    permuted[:, groups.argsort(stable=True)] = labels[(drawn + groups).argsort(dim=1)]
    return permuted


def resample(n_units: int, n_resamples: int, seed: int) -> Int[Tensor, "resample unit"]:
    """Draw indices 0..n_units-1 with replacement; `InvalidInput` without a unit or a resample."""
    if n_units < 1 or n_resamples < 1:
        raise InvalidInput(f"Expected one unit and one resample, got {n_units} and {n_resamples}.")
    return torch.randint(n_units, (n_resamples, n_units), generator=_generator(seed))


def topic_counts(
    topic: Int[Tensor, "row"], n_resamples: int, seed: int
) -> Float[Tensor, "resample topic"]:
    """Count how often each topic is drawn; topics without a row never are."""
    names = topic.unique()
    draws = resample(len(names), n_resamples, seed)
    counts = torch.zeros(n_resamples, int(topic.max()) + 1, dtype=torch.float64)
    return counts.scatter_add_(1, names[draws], torch.ones_like(draws, dtype=torch.float64))


def permutation_p_value(
    observed: float, null: Float[Tensor, "permutation"], alternative: Alternative
) -> float:
    """Share of null statistics at least as extreme as the observed one.

    The observed order is counted too (Phipson & Smyth 2010, doi:10.2202/1544-6115.1585), so it is
    never zero. Two-sided: twice the smaller of both sides.

    Raises
    ------
    InvalidInput
        `null` is empty.
    DataError
        A statistic is NaN.
    """
    if len(null) == 0:
        raise InvalidInput("Expected at least one permutation, got none. Raise n_permutations.")
    if math.isnan(observed) or bool(null.isnan().any()):
        raise DataError("Expected statistics that are numbers, got NaN. Check the data permuted.")
    wide, tie = null.double(), _TIE * abs(observed)
    greater = (int((wide >= observed - tie).sum()) + 1) / (len(null) + 1)
    less = (int((wide <= observed + tie).sum()) + 1) / (len(null) + 1)
    both = min(1.0, 2 * min(greater, less))
    return {"greater": greater, "less": less, "two-sided": both}[alternative]


def sign_flip_p_value(
    values: Float[Tensor, "unit"], seed: int | torch.Generator
) -> tuple[float, int]:
    """How often units that might as well have the other sign have so large a mean.

    Returns the p-value and the number of flips it is of: all of few units, drawn ones of many.
    Raises as `permutation_p_value`.
    """
    wide, n = values.double(), len(values)
    if n <= _MOST_FLIPPED:
        # All but the signs that were observed, which a p-value counts by itself.
        bits = torch.arange(1, 2**n)[:, None] >> torch.arange(n)
    else:
        bits = torch.randint(2, (_N_FLIPS, n), generator=_generator(seed))
    flipped = (1 - 2 * (bits & 1)).double() @ wide
    return permutation_p_value(float(wide.sum()), flipped, "greater"), len(flipped)


def _generator(seed: int | torch.Generator) -> torch.Generator:
    return seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
