"""Correlations, and the search for the component that correlates best.

Whoever searches pays for the search: `search_components` compares the best correlation with the
best correlations of shuffled targets (max-statistic permutation, Westfall & Young 1993), not with
the null distribution of one correlation chosen beforehand; `interval_of_best` holds for all that
might have been picked at once (Šidák 1967, doi:10.1080/01621459.1967.10482935).

A series that is constant or not finite is a `DataError`.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np
import torch
from einops import einsum, rearrange, reduce
from jaxtyping import Float
from scipy import stats
from torch import Tensor

from hooks.errors import DataError, InvalidInput
from probes.analysis.resampling import permutation_p_value, permute_within

# Spread below this share of a series' magnitude is rounding, not variation (scipy's own limit).
_CONSTANT = 1e-13
_CONFIDENCE = 0.95
# Standard errors below the best correlation at which another might have been the best instead.
_REACH = 4.0


@dataclass(frozen=True)
class Correlation:
    """A correlation coefficient of `n` pairs with Fisher's 95% interval (or NaN) and p-value."""

    r: float
    n: int
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class ComponentMatch:
    """The component that follows a target best.

    Attributes
    ----------
    component, layer
        0-based indices; layer is None when one layer was searched.
    correlation, low, high
        Absolute, with the 95% interval that pays for the search (`interval_of_best`).
    sign
        1 or -1: times it, the component rises with the target.
    p_corrected
        Probability of so large a correlation of *any* of the `n_searched` with a shuffled target.
    """

    component: int
    layer: int | None
    correlation: float
    low: float
    high: float
    sign: int
    p_corrected: float
    n_searched: int


def pearson(x: Float[Tensor, "sample"], y: Float[Tensor, "sample"]) -> Correlation:
    """Pearson correlation; the interval is NaN for three samples, where it is undefined."""
    return _correlation(_series(x, "x"), _series(y, "y"), n_controls=0)


def partial_correlation(
    x: Float[Tensor, "sample"],
    y: Float[Tensor, "sample"],
    given: Float[Tensor, "sample *control"],
    *,
    n_searched: int = 1,
) -> Correlation:
    """Pearson correlation of what is left of `x` and `y` after regressing both on `given`.

    Parameters
    ----------
    given
        One series to control for, or one per column. An intercept is added. The interval and the
        p-value count the degrees of freedom that the controls use up.
    n_searched
        Of how many series `x` was picked, by whatever rule: interval and p-value hold for all of
        them at once.

    Raises InvalidInput with fewer than three samples more than controls, DataError when nothing is
    left.
    """
    controls = rearrange(given.double(), "sample ... -> sample (...)").numpy(force=True)
    n_controls = controls.shape[1]
    if not np.isfinite(controls).all():
        raise DataError("Expected finite controls, got NaN or infinity. Leave those samples out.")
    design = np.column_stack([np.ones(len(controls)), controls])
    residuals = []
    for name, values in (("x", x), ("y", y)):
        series = _series(values, name, 3 + n_controls)
        residual = series - design @ np.linalg.lstsq(design, series, rcond=None)[0]
        if np.linalg.norm(residual) <= _CONSTANT * max(1, len(series)) * np.linalg.norm(series):
            raise DataError(
                f"Expected {name} to vary beyond the controls, but they determine it. Drop one."
            )
        residuals.append(residual)
    return _correlation(*residuals, n_controls=n_controls, n_searched=n_searched)


def best_component(
    features: Float[Tensor, "feature word"], target: Float[Tensor, "word"]
) -> tuple[int, Float[Tensor, "feature"]]:
    """Return which feature correlates best with a target, and all correlations: the bare search."""
    _series(target, "target")
    for number, feature in enumerate(features):
        _series(feature, f"component {number}")
    correlations = correlate(features, target)
    return int(correlations.abs().argmax()), correlations


def search_components(
    coordinates: Float[Tensor, "*layer word component"],
    target: Float[Tensor, "word"],
    *,
    n_permutations: int = 2000,
    seed: int,
) -> ComponentMatch:
    """Find the component with the largest absolute correlation, and correct for having searched.

    Parameters
    ----------
    coordinates
        Of the words on the components of one layer, or of several.
    n_permutations
        Shuffles of the target; the smallest possible p-value is 1 / (n_permutations + 1).

    Raises
    ------
    InvalidInput
        With fewer than three words, no component, no permutation, or more axes than three.
    """
    if coordinates.ndim > 3 or coordinates.numel() == 0 or n_permutations < 1:
        raise InvalidInput(
            "Expected coordinates of (word, component) or (layer, word, component) and at least "
            f"one permutation, got shape {tuple(coordinates.shape)} and {n_permutations}."
        )
    features = rearrange(coordinates.double().cpu(), "... word component -> (... component) word")
    best, observed = best_component(features, target)
    features, score = standard_scores(features), standard_scores(target.double().cpu())
    shuffled = permute_within(score, None, n_permutations, seed)
    null = einsum(features, shuffled, "feature word, shuffle word -> shuffle feature")
    strongest = reduce(null.abs(), "shuffle feature -> shuffle", "max")
    layer, component = divmod(best, coordinates.shape[-1])
    r = float(observed[best])
    low, high = interval_of_best(observed, len(score))
    return ComponentMatch(
        component=component,
        layer=layer if coordinates.ndim == 3 else None,
        correlation=min(abs(r), 1.0),
        low=low,
        high=high,
        sign=1 if r >= 0 else -1,
        p_corrected=permutation_p_value(abs(r), strongest, "greater"),
        n_searched=len(features),
    )


def correlate(
    x: Float[Tensor, "*series sample"], y: Float[Tensor, "*other sample"]
) -> Float[Tensor, "*both"]:
    """Pearson's r of series with series, broadcast; NaN where one is constant."""
    return (standard_scores(x.double().cpu()) * standard_scores(y.double().cpu())).sum(dim=-1)


def standard_scores(values: Float[Tensor, "*series sample"]) -> Float[Tensor, "*series sample"]:
    """Center each series and scale it to length one: a dot product is Pearson's r."""
    centered = values - reduce(values, "... sample -> ... 1", "mean")
    return centered / torch.linalg.vector_norm(centered, dim=-1, keepdim=True)


def double_centered(
    values: Float[Tensor, "*batch row column"],
) -> Float[Tensor, "*batch row column"]:
    """Take out the means of rows and of columns, in float64."""
    wide = values.double()
    rows = reduce(wide, "... row column -> ... row 1", "mean")
    columns = reduce(wide, "... row column -> ... 1 column", "mean")
    return wide - rows - columns + reduce(wide, "... row column -> ... 1 1", "mean")


def standard_ranks(values: Float[Tensor, "*series sample"]) -> Float[Tensor, "*series sample"]:
    """Return `standard_scores` of each series' ranks: a dot product is Spearman's rho."""
    ranks = stats.rankdata(values.double().numpy(force=True), axis=-1)
    return standard_scores(torch.from_numpy(np.asarray(ranks)))


def interval_of_best(correlations: Float[Tensor, "candidate"], n: int) -> tuple[float, float]:
    """95% interval of the largest absolute correlation of several that were searched.

    Fisher's, made to hold for as many candidates as lie within four standard errors of the best on
    his scale, each of which might have been picked instead. The tests hold it to the true |r| of
    the best candidate in at least 92 of 100 simulated searches, also where nothing is there.
    """
    if n < 4:
        return math.nan, math.nan
    z = torch.atanh(correlations.double().abs().clamp(max=1))
    error = 1 / math.sqrt(n - 3)
    best = float(z.max())
    half = error * _quantile(int((z >= best - _REACH * error).sum()))
    return max(0.0, math.tanh(best - half)), math.tanh(best + half)


def _correlation(
    x: Float[np.ndarray, "sample"],
    y: Float[np.ndarray, "sample"],
    n_controls: int,
    n_searched: int = 1,
) -> Correlation:
    n, freedom = len(x), len(x) - 2 - n_controls
    r = float(np.corrcoef(x, y)[0, 1])
    # Exact null distribution of r, as scipy.stats.pearsonr has it, with the controls taken off.
    p = 2 * stats.beta.sf(abs(r), freedom / 2, freedom / 2, loc=-1, scale=2)
    low = high = math.nan
    if freedom > 1:
        with np.errstate(divide="ignore"):
            half = _quantile(n_searched) / math.sqrt(freedom - 1)
            low, high = np.tanh(np.arctanh(r) + np.array([-half, half]))
    for_all = abs(math.expm1(n_searched * math.log1p(-float(p)))) if p < 1 else 1.0
    return Correlation(r=r, n=n, low=float(low), high=float(high), p=for_all)


@functools.cache
def _quantile(n_searched: int) -> float:
    """Return how many standard errors on either side hold for several normal numbers at once."""
    return float(stats.norm.ppf(0.5 + _CONFIDENCE ** (1 / n_searched) / 2))


def _series(
    values: Float[Tensor, "sample"], name: str, minimum: int = 3
) -> Float[np.ndarray, "sample"]:
    series = values.double().numpy(force=True)
    if len(series) < minimum:
        raise InvalidInput(f"Expected at least {minimum} samples, got {len(series)}.")
    if not np.isfinite(series).all():
        raise DataError(f"Expected finite numbers in {name}, got NaN or infinity. Leave them out.")
    if np.linalg.norm(series - series.mean()) <= _CONSTANT * np.linalg.norm(series):
        raise DataError(f"Expected {name} to vary, got a constant. Leave it out.")
    return series
