"""Numbers that say how far a finding can be trusted: intervals, permutation tests, corrections.

Contract
--------
* A correlation never travels alone: it comes with n, a 95% interval and a p-value.
* Whoever searches pays for the search: `search_components` compares the best correlation with the
  best correlations of shuffled targets (max-statistic permutation, Westfall & Young 1993), not
  with the null distribution of one correlation chosen beforehand; `interval_of_best` holds for all
  that might have been picked at once (Šidák 1967, doi:10.1080/01621459.1967.10482935).
* A permutation p-value counts the observed order as one of the permutations (Phipson & Smyth 2010,
  doi:10.2202/1544-6115.1585), so it is never zero.
* Randomness enters through `seed` alone. Undefined results (constant or non-finite input) are
  errors; the one exception, documented at `pearson`, is an interval for fewer than four points.

Does not know what is correlated with what, nor which units are exchangeable: resample topics, not
the stories that share one.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from einops import einsum, rearrange, reduce
from jaxtyping import Float, Int
from scipy import stats
from torch import Tensor

from hooks.errors import DataError, InvalidInput

Alternative = Literal["greater", "less", "two-sided"]

# A permutation that restores the observed order must count as a tie, whatever its rounding.
_TIE = 1e-12
# Spread below this share of a series' magnitude is rounding, not variation (scipy's own limit).
_CONSTANT = 1e-13
_CONFIDENCE = 0.95
# Standard errors below the best correlation at which another might have been the best instead.
_REACH = 4.0


@dataclass(frozen=True)
class Correlation:
    """A correlation coefficient with what is needed to judge it.

    Attributes
    ----------
    r
        The coefficient, in -1..1.
    n
        Number of pairs.
    low, high
        95% confidence interval after Fisher's z transformation; NaN where it is undefined.
    p
        Two-sided p-value against zero correlation of normal data.
    """

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
    component
        Its 0-based index.
    layer
        Its 0-based index along the layer axis; None when one layer was searched.
    correlation
        Absolute correlation with the target.
    low, high
        95% interval that pays for the search (`interval_of_best`); NaN where it is undefined.
    sign
        1 or -1: multiply the component by it to make it rise with the target.
    p_corrected
        Probability of so large a correlation of *any* searched component with a shuffled target.
    n_searched
        Number of components, over all layers, among which this one was picked.
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
    """Pearson correlation; the interval is NaN for three samples, where it is undefined.

    Raises
    ------
    InvalidInput
        With fewer than three samples.
    DataError
        When a series is constant or not finite.
    """
    _require_samples(len(x), minimum=3)
    first, second = _series(x, "x"), _series(y, "y")
    return _correlation(first, second, n_controls=0)


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
    x, y
        The two series.
    given
        One series to control for, or one per column. An intercept is added. The interval and the
        p-value count the degrees of freedom that the controls use up.
    n_searched
        Of how many series `x` was picked, by whatever rule: interval and p-value hold for all of
        them at once.

    Raises
    ------
    InvalidInput
        With fewer than three samples more than there are controls.
    DataError
        When a series is not finite, or nothing of `x` or `y` is left after the regression.
    """
    controls = rearrange(given.double(), "sample ... -> sample (...)").numpy(force=True)
    n_controls = controls.shape[1]
    _require_samples(len(x), minimum=3 + n_controls)
    if not np.isfinite(controls).all():
        raise DataError(
            "Expected finite controls, got NaN or infinity. Leave out samples without a rating."
        )
    design = np.column_stack([np.ones(len(controls)), controls])
    residuals = []
    for name, series in (("x", _series(x, "x")), ("y", _series(y, "y"))):
        fitted = design @ np.linalg.lstsq(design, series, rcond=None)[0]
        residual = series - fitted
        if np.linalg.norm(residual) <= _CONSTANT * max(1, len(series)) * np.linalg.norm(series):
            raise DataError(
                f"Expected {name} to vary beyond the controls, but they determine it fully. "
                "Drop the control that repeats it."
            )
        residuals.append(residual)
    return _correlation(*residuals, n_controls=n_controls, n_searched=n_searched)


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
        Coordinates of the words on the components of one layer, or of several.
    target
        Human ratings of the same words.
    n_permutations
        Shuffles of the target; the smallest possible p-value is 1 / (n_permutations + 1).
    seed
        Seed of the shuffles.

    Raises
    ------
    InvalidInput
        With fewer than three words, no component, no permutation, or more axes than three.
    DataError
        When the target or a component is constant or not finite.
    """
    if coordinates.ndim > 3 or coordinates.numel() == 0 or n_permutations < 1:
        raise InvalidInput(
            "Expected coordinates of (word, component) or (layer, word, component) and at least "
            f"one permutation, got shape {tuple(coordinates.shape)} and {n_permutations}."
        )
    _require_samples(len(target), minimum=3)
    _series(target, "target")
    features = rearrange(coordinates.double().cpu(), "... word component -> (... component) word")
    for index, feature in enumerate(features):
        _series(feature, f"component {index % coordinates.shape[-1]}")
    features, score = _standardize(features), _standardize(target.double().cpu())
    observed = einsum(features, score, "feature word, word -> feature")
    best = int(observed.abs().argmax())
    shuffled = score[_permutations(len(score), n_permutations, seed)]
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


def interval_of_best(correlations: Float[Tensor, "candidate"], n: int) -> tuple[float, float]:
    """95% interval of the largest absolute correlation of several that were searched.

    Fisher's, made to hold for several candidates at once: for as many as lie within four standard
    errors of the best on his scale, each of which might have been picked instead. Where one stands
    out it is Fisher's own. The tests hold it to the true |r| of the candidate found in at least 92
    of 100 simulated searches, also where nothing is there.

    Parameters
    ----------
    correlations
        Of all candidates.
    n
        Samples behind each; below four both ends are NaN.
    """
    if n < 4:
        return math.nan, math.nan
    z = torch.atanh(correlations.double().abs().clamp(max=1))
    error = 1 / math.sqrt(n - 3)
    best = float(z.max())
    half = error * _quantile(int((z >= best - _REACH * error).sum()))
    return max(0.0, math.tanh(best - half)), math.tanh(best + half)


def permutation_p_value(
    observed: float,
    null: Float[Tensor, "permutation"],
    alternative: Alternative,
) -> float:
    """Share of null statistics at least as extreme as the observed one, which is counted too.

    Parameters
    ----------
    observed
        The statistic of the data.
    null
        The statistic of each permutation.
    alternative
        "greater" or "less": extreme in that direction; "two-sided": twice the smaller of both.

    Returns
    -------
    float
        In 1 / (permutations + 1) .. 1.

    Raises
    ------
    InvalidInput
        When `null` is empty.
    DataError
        When a statistic is NaN.
    """
    if len(null) == 0:
        raise InvalidInput("Expected at least one permutation, got none. Raise n_permutations.")
    if math.isnan(observed) or bool(null.isnan().any()):
        raise DataError("Expected statistics that are numbers, got NaN. Check the data permuted.")
    wide = null.double()
    tie = _TIE * abs(observed)
    greater = (int((wide >= observed - tie).sum()) + 1) / (len(null) + 1)
    less = (int((wide <= observed + tie).sum()) + 1) / (len(null) + 1)
    if alternative == "greater":
        return greater
    if alternative == "less":
        return less
    return min(1.0, 2 * min(greater, less))


def bootstrap_indices(n: int, n_resamples: int, seed: int) -> Int[Tensor, "resample n"]:
    """Draw indices 0..n-1 with replacement, one row per resample.

    Raises
    ------
    InvalidInput
        When `n` or `n_resamples` is below one.
    """
    if n < 1 or n_resamples < 1:
        raise InvalidInput(
            f"Expected at least one unit and one resample, got {n} and {n_resamples}."
        )
    return torch.randint(n, (n_resamples, n), generator=torch.Generator().manual_seed(seed))


def percentile_interval(
    values: Float[Tensor, "resample *statistic"], level: float = _CONFIDENCE
) -> tuple[Float[Tensor, "*statistic"], Float[Tensor, "*statistic"]]:
    """Lower and upper end of the central interval that holds `level` of the resampled values.

    Raises
    ------
    InvalidInput
        When `level` is outside 0..1, or there is no resample.
    DataError
        When a value is NaN.
    """
    if not 0.0 < level < 1.0 or len(values) == 0:
        raise InvalidInput(
            f"Expected a level between 0 and 1 and at least one resample, got {level} and "
            f"{len(values)}."
        )
    if bool(values.isnan().any()):
        raise DataError("Expected statistics that are numbers, got NaN. Check the resampling.")
    tail = (1.0 - level) / 2
    ends = np.quantile(values.double().numpy(force=True), [tail, 1.0 - tail], axis=0)
    low, high = torch.from_numpy(ends).to(values.dtype)
    return low, high


def spread_interval(
    value: Float[Tensor, "*statistic"], draws: Float[Tensor, "resample *statistic"], n_units: int
) -> tuple[Float[Tensor, "*statistic"], Float[Tensor, "*statistic"]]:
    """95% interval around a number, as wide as the number spreads when units are drawn again.

    For what is made of means in which noise biases it, such as agreement of clusters and shares of
    variance. A draw holds fewer different units, so its means are noisier and what is made of them
    lies to one side of `value`: where the draws lie says little, how far they spread does. The
    interval holds what as many other units give on average, not what endless ones would; for
    agreement of k-means, which jumps, the tests hold it to at least 87 of 100 simulated runs.

    Parameters
    ----------
    value
        The number, of all units.
    draws
        The same of each resample.
    n_units
        Units that were drawn from; Student's t with one less degree of freedom.

    Raises
    ------
    InvalidInput
        With fewer than two units or resamples.
    DataError
        When a value is NaN.
    """
    if n_units < 2 or len(draws) < 2:
        raise InvalidInput(
            f"Expected two units and two resamples or more, got {n_units} and {len(draws)}."
        )
    if bool(draws.isnan().any()):
        raise DataError("Expected statistics that are numbers, got NaN. Check the resampling.")
    half = float(stats.t.ppf(0.5 + _CONFIDENCE / 2, n_units - 1)) * draws.double().std(dim=0)
    return (value.double() - half).to(value.dtype), (value.double() + half).to(value.dtype)


def binomial_interval(successes: int, trials: int) -> tuple[float, float]:
    """95% interval of the share of successes (Clopper & Pearson 1934).

    Raises
    ------
    InvalidInput
        When there is no trial, or successes are not among the trials.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise InvalidInput(
            f"Expected successes among one or more trials, got {successes} of {trials}."
        )
    found = stats.binomtest(successes, trials).proportion_ci(_CONFIDENCE, method="exact")
    return float(found.low), float(found.high)


def benjamini_hochberg(p: Float[Tensor, "test"]) -> Float[Tensor, "test"]:
    """p-values adjusted to control the false discovery rate (Benjamini & Hochberg 1995).

    Raises
    ------
    InvalidInput
        When a p-value is outside 0..1 or NaN, or there is none.
    """
    if len(p) == 0 or not bool(((p >= 0) & (p <= 1)).all()):
        raise InvalidInput("Expected p-values in 0..1, got none or one outside. Check the tests.")
    adjusted = stats.false_discovery_control(p.double().numpy(force=True), method="bh")
    return torch.from_numpy(adjusted).to(p.dtype)


def _correlation(
    x: Float[np.ndarray, "sample"],
    y: Float[np.ndarray, "sample"],
    n_controls: int,
    n_searched: int = 1,
) -> Correlation:
    n, freedom = len(x), len(x) - 2 - n_controls
    r = float(np.corrcoef(x, y)[0, 1])
    # Exact null distribution of r, as scipy.stats.pearsonr has it, with the controls taken off.
    p = 2 * stats.beta(freedom / 2, freedom / 2, loc=-1, scale=2).sf(abs(r))
    low = high = math.nan
    if freedom > 1:
        with np.errstate(divide="ignore"):
            half = _quantile(n_searched) / math.sqrt(freedom - 1)
            low, high = np.tanh(np.arctanh(r) + np.array([-half, half]))
    for_all = abs(math.expm1(n_searched * math.log1p(-float(p)))) if p < 1 else 1.0
    return Correlation(r=r, n=n, low=float(low), high=float(high), p=for_all)


def _quantile(n_searched: int) -> float:
    """Return the standard errors on either side that hold for several normal numbers at once."""
    return float(stats.norm.ppf(0.5 + _CONFIDENCE ** (1 / n_searched) / 2))


def _require_samples(n: int, minimum: int) -> None:
    if n < minimum:
        raise InvalidInput(
            f"Expected at least {minimum} samples for a correlation, got {n}. Use more words."
        )


def _series(values: Float[Tensor, "sample"], name: str) -> Float[np.ndarray, "sample"]:
    series = values.double().numpy(force=True)
    if not np.isfinite(series).all():
        raise DataError(
            f"Expected finite numbers in {name}, got NaN or infinity. Leave those samples out."
        )
    if np.linalg.norm(series - series.mean()) <= _CONSTANT * np.linalg.norm(series):
        raise DataError(
            f"Expected {name} to vary, got a constant: its correlation is undefined. Leave it out."
        )
    return series


def _standardize(values: Float[Tensor, "*feature word"]) -> Float[Tensor, "*feature word"]:
    # Centered and scaled to length one, so that a dot product is a Pearson correlation.
    centered = values - reduce(values, "... word -> ... 1", "mean")
    return centered / torch.linalg.vector_norm(centered, dim=-1, keepdim=True)


def _permutations(n: int, n_permutations: int, seed: int) -> Int[Tensor, "shuffle n"]:
    generator = torch.Generator().manual_seed(seed)
    keys = torch.rand(n_permutations, n, dtype=torch.float64, generator=generator)
    return keys.argsort(dim=1)
