"""An effect beside the effects of directions that should not have it.

For each emotion, with `own` the effect of its vector on its word and n(1), n(2), ... the effects
of the null's directions on the same word:

* z = (own - mean n) / sd n
* percentile = share of the null's effects that are smaller than `own`

Contract: pure numbers. Intervals are 95% bootstrap intervals over emotions: they say how far other
emotions of the same kind might differ, not how far other null directions might.
"""

from dataclasses import dataclass

import torch
from einops import rearrange, reduce
from jaxtyping import Float
from torch import Tensor

from hooks.errors import InvalidInput
from probes.statistics import bootstrap_indices, percentile_interval

N_BOOTSTRAP = 2000


@dataclass(frozen=True)
class NullComparison:
    """Own effects beside a null.

    Attributes
    ----------
    n_directions
        Directions of the null.
    matching
        Their mean effect on the words, in nats.
    excess, excess_interval
        Mean over emotions of own minus mean null effect, in nats, with 95% interval.
    z, percentile
        See the module's text, one per emotion; z is None where the null does not vary.
    mean_z, z_interval
        Mean z over emotions, with 95% interval.
    beats_all
        Emotions whose own effect is larger than that of every direction.
    kl
        Mean KL divergence of the next token under the null's directions, in nats.
    """

    n_directions: int
    matching: float
    excess: float
    excess_interval: tuple[float, float]
    z: list[float | None]
    percentile: list[float]
    mean_z: float | None
    z_interval: tuple[float, float] | None
    beats_all: list[str]
    kl: float


def mean_interval(values: Float[Tensor, "unit"], seed: int) -> tuple[float, float]:
    """95% bootstrap interval of the mean, resampling units."""
    draws = bootstrap_indices(len(values), N_BOOTSTRAP, seed)
    means = reduce(values.double()[draws], "resample unit -> resample", "mean")
    low, high = percentile_interval(means)
    return float(low), float(high)


def compare(
    own: Float[Tensor, "emotion"],
    null: Float[Tensor, "direction emotion"],
    emotions: list[str],
    *,
    kl: float,
    seed: int,
) -> NullComparison:
    """Set effects beside a null's.

    Raises
    ------
    InvalidInput
        With fewer than two directions.
    """
    if len(null) < 2:
        raise InvalidInput(f"a null needs at least two directions, got {len(null)}.")
    own, null = own.double(), null.double()
    center = reduce(null, "direction emotion -> emotion", "mean")
    spread = null.std(dim=0)
    excess = own - center
    known = spread > 1e-12
    z = excess[known] / spread[known]
    places = iter(z.tolist())
    below = reduce(
        (null < rearrange(own, "emotion -> 1 emotion")).double(),
        "direction emotion -> emotion",
        "mean",
    )
    return NullComparison(
        n_directions=len(null),
        matching=float(center.mean()),
        excess=float(excess.mean()),
        excess_interval=mean_interval(excess, seed),
        z=[next(places) if varies else None for varies in known.tolist()],
        percentile=below.tolist(),
        mean_z=float(z.mean()) if len(z) else None,
        z_interval=mean_interval(z, seed) if len(z) else None,
        beats_all=[
            name for name, share in zip(emotions, below.tolist(), strict=True) if share == 1.0
        ],
        kl=kl,
    )


def matched_directions(
    samples: Float[Tensor, "sample d_model"], n: int, seed: int
) -> Float[Tensor, "direction d_model"]:
    """Random directions with the covariance of the samples around their mean.

    Isotropic directions lie mostly where a residual stream never goes; these lie where it does.

    Raises
    ------
    InvalidInput
        With fewer than two samples.
    """
    if len(samples) < 2:
        raise InvalidInput(f"a covariance needs at least two samples, got {len(samples)}.")
    centered = samples.double() - reduce(samples.double(), "sample d_model -> 1 d_model", "mean")
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(n, len(samples), dtype=torch.float64, generator=generator)
    return (mixing @ centered / (len(samples) - 1) ** 0.5).float()
