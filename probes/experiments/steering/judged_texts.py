"""What judges say of continuations: an emotion's gain, and whether it is the one steered to.

* gain: score in a text steered toward the emotion minus that in the unsteered text of the same
  prompt; beside it the same emotion's gain in random-steered texts.
* percentile: share of the other emotions that gain less in a text than its own; chance is a half.
* hit: a judge that names one emotion names the one steered to.

Contract: pure numbers. Emotions, prompts and random directions are crossed, so the 95% bootstrap
intervals draw each of them anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor

from probes.analysis.findings import Control, Estimate
from probes.experiments.steering.judges import NONE
from probes.experiments.steering.nulls import Resampling, crossed_interval


@dataclass(frozen=True)
class EmotionGains:
    """Gain and percentile of each emotion, averaged over prompts."""

    gain: list[float]
    percentile: list[float]


@dataclass(frozen=True)
class JudgedGains:
    """What a judge that scores every emotion says; see the module's text.

    `gain_in_random` is None without random-steered texts; `excess` is the gain less that, or else
    less `gain_in_others`, the gain in texts steered toward other emotions.
    """

    gain: float
    gain_interval: tuple[float, float]
    gain_in_random: float | None
    gain_in_others: float
    excess: float
    excess_interval: tuple[float, float]
    percentile: float
    percentile_interval: tuple[float, float]
    per_emotion: EmotionGains

    @property
    def own(self) -> Estimate:
        """Gain of the emotion steered to."""
        return Estimate(self.gain, *self.gain_interval)

    @property
    def beaten(self) -> Estimate:
        """Share of the other emotions that gain less."""
        return Estimate(self.percentile, *self.percentile_interval)

    @property
    def control(self) -> Control:
        """What `excess` is measured against."""
        excess = Estimate(self.excess, *self.excess_interval)
        if self.gain_in_random is None:
            return Control("text steered elsewhere", Estimate(self.gain_in_others), excess)
        return Control("random-steered text", Estimate(self.gain_in_random), excess)


@dataclass(frozen=True)
class JudgedAnswers:
    """What a judge that names one emotion says; shares of the `n` steered texts.

    `right` answers are the emotion steered to; beside them how often the same answer comes for
    unsteered and random-steered texts, and the excess over these; `none`, `unreadable`: texts
    without an emotion, and without a readable answer.
    """

    model: str
    n: int
    right: float
    right_interval: tuple[float, float]
    right_unsteered: float
    excess: float
    excess_interval: tuple[float, float]
    right_random: float | None
    excess_over_random: float | None
    excess_over_random_interval: tuple[float, float] | None
    none: float
    unreadable: float

    @property
    def hits(self) -> Estimate:
        """Share of texts whose emotion is named."""
        return Estimate(self.right, *self.right_interval)

    def controls(self) -> list[Control]:
        """How often the same is named without the vector."""
        excess = Estimate(self.excess, *self.excess_interval)
        controls = [Control("unsteered text", Estimate(self.right_unsteered), excess)]
        if self.right_random is None or self.excess_over_random is None:
            return controls
        ends = self.excess_over_random_interval or (None, None)
        excess = Estimate(self.excess_over_random, *ends)
        return [*controls, Control("random-steered text", Estimate(self.right_random), excess)]


def judged_gains(
    scores: Float[Tensor, "text emotion"],
    columns: Sequence[int],
    n_prompts: int,
    resampling: Resampling,
) -> JudgedGains:
    """Compare scores of unsteered, steered and random texts; `columns`: the emotions steered to."""
    by_condition = rearrange(
        scores.double(), "(condition prompt) emotion -> condition prompt emotion", prompt=n_prompts
    )
    gains = (by_condition - by_condition[:1])[1:]
    n = len(columns)
    steered = gains[:n]
    among = steered[..., list(columns)]
    own = rearrange(among.diagonal(dim1=0, dim2=2), "prompt emotion -> emotion prompt")
    others = rearrange(among.sum(dim=0), "prompt emotion -> emotion prompt") - own
    others = others / max(n - 1, 1)
    below = steered < repeat(own, "emotion prompt -> emotion prompt 1")
    percentile = below.double().sum(dim=2) / (scores.shape[1] - 1)
    random, apart = None, own - others
    if len(gains) > n:
        beside = rearrange(
            gains[n:][..., list(columns)], "direction prompt emotion -> emotion prompt direction"
        )
        random = float(beside.mean())
        apart = repeat(own, "emotion prompt -> emotion prompt 1") - beside
    return JudgedGains(
        gain=float(own.mean()),
        gain_interval=crossed_interval(own, resampling),
        gain_in_random=random,
        gain_in_others=float(others.mean()),
        excess=float(apart.mean()),
        excess_interval=crossed_interval(apart, resampling),
        percentile=float(percentile.mean()),
        percentile_interval=crossed_interval(percentile, resampling),
        per_emotion=EmotionGains(own.mean(dim=1).tolist(), percentile.mean(dim=1).tolist()),
    )


def judged_answers(
    unsteered: Sequence[str | None],
    steered: Sequence[str | None],
    random: Sequence[str | None],
    emotions: Sequence[str],
    judge: str,
    resampling: Resampling,
) -> JudgedAnswers:
    """Count the hits of a judge that names one emotion; an answer that cannot be read is None.

    `unsteered` has its answer to each prompt's text, `steered` and `random` the same under each
    direction, one after another.
    """
    n_prompts = len(unsteered)

    def hits(answers: Sequence[str | None]) -> Float[Tensor, "emotion condition prompt"]:
        table = torch.tensor(
            [[float(answer == name) for answer in answers] for name in emotions],
            dtype=torch.float64,
        )
        return rearrange(
            table, "emotion (condition prompt) -> emotion condition prompt", prompt=n_prompts
        )

    own = rearrange(hits(steered).diagonal(dim1=0, dim2=1), "prompt emotion -> emotion prompt")
    plain = rearrange(hits(unsteered), "emotion 1 prompt -> emotion prompt")
    beside, over_random = None, None
    if random:
        beside = rearrange(hits(random), "emotion direction prompt -> emotion prompt direction")
        over_random = repeat(own, "emotion prompt -> emotion prompt 1") - beside
    return JudgedAnswers(
        model=judge,
        n=len(steered),
        right=float(own.mean()),
        right_interval=crossed_interval(own, resampling),
        right_unsteered=float(plain.mean()),
        excess=float((own - plain).mean()),
        excess_interval=crossed_interval(own - plain, resampling),
        right_random=None if beside is None else float(beside.mean()),
        excess_over_random=None if over_random is None else float(over_random.mean()),
        excess_over_random_interval=None
        if over_random is None
        else crossed_interval(over_random, resampling),
        none=sum(answer == NONE for answer in steered) / len(steered),
        unreadable=sum(answer is None for answer in steered) / len(steered),
    )
