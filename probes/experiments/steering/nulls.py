"""An effect beside the effects of directions that should not have it.

For each emotion, with `own` the effect of its vector on its word and n(1), n(2), ... the effects
of the null's directions on the same word: excess = own - mean n; z = excess / sd n; percentile =
share of the null's effects below `own`. A rival has one effect per emotion (`compare_rival`).

Contract: pure numbers. 95% intervals are over emotions, and over a null's directions.
"""

from dataclasses import dataclass

import torch
from einops import rearrange, reduce, repeat
from jaxtyping import Float
from torch import Tensor

from hooks.errors import InvalidInput
from probes.analysis.findings import Control, Estimate
from probes.analysis.intervals import mean_over, mean_over_crossed

Ends = tuple[float | None, float | None]
"""Of an interval; None where there is none."""


@dataclass(frozen=True)
class NullComparison:
    """Own effects beside a null, in nats.

    `z` and `percentile` are per emotion (z None where the null does not vary); `beats_all` names
    the emotions above every direction; `effects` are [direction][emotion].
    """

    n_directions: int
    matching: float
    matching_interval: Ends
    excess: float
    excess_interval: Ends
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
    excess_interval: Ends
    beats: list[str]

    def control(self, name: str) -> Control:
        """Return what the rival reached, and by how much the own effects exceed it."""
        return Control(name, Estimate(self.rival), Estimate(self.excess, *self.excess_interval))


@dataclass(frozen=True, kw_only=True)
class TextExcess:
    """By how much texts steered toward an emotion exceed unsteered and random-steered ones."""

    excess: float
    excess_interval: Ends
    excess_over_random: float | None
    excess_over_random_interval: Ends | None

    def over(self, unsteered: float, random: float | None) -> list[Control]:
        """Set the excesses beside what the other texts reached."""
        excess = Estimate(self.excess, *self.excess_interval)
        controls = [Control("unsteered text", Estimate(unsteered), excess)]
        if random is not None and self.excess_over_random is not None:
            known = self.excess_over_random_interval or (None, None)
            excess = Estimate(self.excess_over_random, *known)
            controls.append(Control("random-steered text", Estimate(random), excess))
        return controls


def text_excess(
    own: Float[Tensor, "emotion prompt"],
    unsteered: Float[Tensor, "emotion prompt"],
    random: Float[Tensor, "emotion prompt direction"],
) -> TextExcess:
    """Compare steered texts with those of the same prompts; there may be no random direction."""
    over_random = repeat(own, "emotion prompt -> emotion prompt 1") - random
    none = not over_random.numel()
    return TextExcess(
        excess=float((own - unsteered).mean()),
        excess_interval=ends(mean_over_crossed(own - unsteered)),
        excess_over_random=None if none else float(over_random.mean()),
        excess_over_random_interval=None if none else ends(mean_over_crossed(over_random)),
    )


def ends(estimate: Estimate) -> Ends:
    """Return both ends of an interval, None where a single unit has none."""
    return estimate.low, estimate.high


def compare(
    own: Float[Tensor, "emotion"],
    null: Float[Tensor, "direction emotion"],
    emotions: list[str],
    *,
    kl: float,
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
        matching_interval=ends(mean_over_crossed(null)),
        excess=float(excess.mean()),
        excess_interval=ends(mean_over_crossed(apart)),
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
) -> RivalComparison:
    """Set effects beside a rival's on the same words."""
    apart = own.double() - rival.double()
    return RivalComparison(
        n=len(apart),
        own=float(own.mean()),
        rival=float(rival.mean()),
        excess=float(apart.mean()),
        excess_interval=ends(mean_over(apart)),
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
