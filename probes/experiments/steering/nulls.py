"""An effect beside the effects of directions that should not have it.

For each emotion, with `own` the effect of its vector on its word and n(1), n(2), ... the effects
of the null's directions on the same word: excess = own - mean n; z = excess / sd n; percentile =
share of the null's effects below `own`. A rival has one effect per emotion (`compare_rival`).

Contract: pure numbers. 95% bootstrap intervals draw emotions, and a null's directions, anew.
"""

from dataclasses import dataclass

import torch
from einops import einsum, rearrange, reduce, repeat
from jaxtyping import Float
from torch import Tensor

from hooks.errors import InvalidInput
from probes.analysis.findings import Control, Estimate
from probes.analysis.intervals import estimate_from_draws
from probes.analysis.resampling import resample


@dataclass(frozen=True)
class Resampling:
    """How often units are drawn again for an interval (`validation.n_bootstrap`), and the seed."""

    n: int
    seed: int


@dataclass(frozen=True)
class NullComparison:
    """Own effects beside a null, in nats.

    `z` and `percentile` are per emotion (z None where the null does not vary); `beats_all` names
    the emotions above every direction; `effects` are [direction][emotion].
    """

    n_directions: int
    matching: float
    matching_interval: tuple[float, float]
    excess: float
    excess_interval: tuple[float, float]
    z: list[float | None]
    percentile: list[float]
    mean_z: float | None
    beats_all: list[str]
    kl: float
    effects: list[list[float]]

    def control(self, name: str) -> Control:
        """Return what the null reached, and by how much the own effects exceed it."""
        reached = Estimate(self.matching, *self.matching_interval)
        return Control(name, reached, Estimate(self.excess, *self.excess_interval))


@dataclass(frozen=True)
class RivalComparison:
    """Own effects beside a rival with one per emotion, in nats; `beats` has the larger own ones."""

    n: int
    own: float
    rival: float
    excess: float
    excess_interval: tuple[float, float]
    beats: list[str]

    def control(self, name: str) -> Control:
        """Return what the rival reached, and by how much the own effects exceed it."""
        return Control(name, Estimate(self.rival), Estimate(self.excess, *self.excess_interval))


@dataclass(frozen=True, kw_only=True)
class TextExcess:
    """By how much texts steered toward an emotion exceed unsteered and random-steered ones."""

    excess: float
    excess_interval: tuple[float, float]
    excess_over_random: float | None
    excess_over_random_interval: tuple[float, float] | None

    def over(self, unsteered: float, random: float | None) -> list[Control]:
        """Set the excesses beside what the other texts reached."""
        excess = Estimate(self.excess, *self.excess_interval)
        controls = [Control("unsteered text", Estimate(unsteered), excess)]
        if random is not None and self.excess_over_random is not None:
            ends = self.excess_over_random_interval or (None, None)
            excess = Estimate(self.excess_over_random, *ends)
            controls.append(Control("random-steered text", Estimate(random), excess))
        return controls


def text_excess(
    own: Float[Tensor, "emotion prompt"],
    unsteered: Float[Tensor, "emotion prompt"],
    random: Float[Tensor, "emotion prompt direction"],
    resampling: Resampling,
) -> TextExcess:
    """Compare steered texts with those of the same prompts; there may be no random direction."""
    over_random = repeat(own, "emotion prompt -> emotion prompt 1") - random
    none = not over_random.numel()
    return TextExcess(
        excess=float((own - unsteered).mean()),
        excess_interval=crossed_interval(own - unsteered, resampling),
        excess_over_random=None if none else float(over_random.mean()),
        excess_over_random_interval=None if none else crossed_interval(over_random, resampling),
    )


def mean_interval(values: Float[Tensor, "unit"], resampling: Resampling) -> tuple[float, float]:
    """95% bootstrap interval of the mean, resampling units."""
    draws = resample(len(values), resampling.n, resampling.seed)
    means = reduce(values.double()[draws], "resample unit -> resample", "mean")
    return estimate_from_draws(float(values.mean()), means).ends


def crossed_interval(values: Float[Tensor, "*axes"], resampling: Resampling) -> tuple[float, float]:
    """95% bootstrap interval of the mean of a table of crossed units, drawing each axis anew."""
    means = rearrange(values.double(), "first ... -> first (...)")
    means = _shares(len(means), resampling.n, resampling.seed) @ means
    for axis, n in enumerate(values.shape[1:], start=1):
        table = rearrange(means, "draw (n rest) -> draw n rest", n=n)
        shares = _shares(n, resampling.n, resampling.seed + axis)
        means = einsum(shares, table, "draw n, draw n rest -> draw rest")
    return estimate_from_draws(float(values.mean()), rearrange(means, "draw 1 -> draw")).ends


def _shares(n_units: int, n_draws: int, seed: int) -> Float[Tensor, "draw unit"]:
    """How much of each bootstrap draw is each unit."""
    draws = resample(n_units, n_draws, seed)
    counts = torch.zeros(n_draws, n_units, dtype=torch.float64)
    return counts.scatter_add_(1, draws, torch.ones_like(draws, dtype=torch.float64)) / n_units


def compare(
    own: Float[Tensor, "emotion"],
    null: Float[Tensor, "direction emotion"],
    emotions: list[str],
    *,
    kl: float,
    resampling: Resampling,
) -> NullComparison:
    """Set effects beside a null's; raises `InvalidInput` with fewer than two directions."""
    if len(null) < 2:
        raise InvalidInput(f"a null needs at least two directions, got {len(null)}.")
    own, null = own.double(), null.double()
    spread = null.std(dim=0)
    apart = rearrange(own, "emotion -> 1 emotion") - null
    excess = reduce(apart, "direction emotion -> emotion", "mean")
    known = spread > 1e-12
    z = excess / spread
    below = reduce((apart > 0).double(), "direction emotion -> emotion", "mean").tolist()
    return NullComparison(
        n_directions=len(null),
        matching=float(null.mean()),
        matching_interval=crossed_interval(null, resampling),
        excess=float(excess.mean()),
        excess_interval=crossed_interval(apart, resampling),
        z=[each if varies else None for each, varies in zip(z.tolist(), known, strict=True)],
        percentile=below,
        mean_z=float(z[known].mean()) if known.any() else None,
        beats_all=[name for name, share in zip(emotions, below, strict=True) if share == 1.0],
        kl=kl,
        effects=[[round(effect, 4) for effect in row] for row in null.tolist()],
    )


def compare_rival(
    own: Float[Tensor, "emotion"],
    rival: Float[Tensor, "emotion"],
    emotions: list[str],
    resampling: Resampling,
) -> RivalComparison:
    """Set effects beside a rival's on the same words."""
    apart = own.double() - rival.double()
    return RivalComparison(
        n=len(apart),
        own=float(own.mean()),
        rival=float(rival.mean()),
        excess=float(apart.mean()),
        excess_interval=mean_interval(apart, resampling),
        beats=[name for name, more in zip(emotions, (apart > 0).tolist(), strict=True) if more],
    )


def matched_directions(
    samples: Float[Tensor, "sample d_model"], n: int, seed: int
) -> Float[Tensor, "direction d_model"]:
    """Random directions with the covariance of the samples around their mean."""
    if len(samples) < 2:
        raise InvalidInput(f"a covariance needs at least two samples, got {len(samples)}.")
    centered = samples.double() - reduce(samples.double(), "sample d_model -> 1 d_model", "mean")
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(n, len(samples), dtype=torch.float64, generator=generator)
    return (mixing @ centered / (len(samples) - 1) ** 0.5).float()
