"""What judges say of continuations: an emotion's gain, and whether it is the one steered to.

* gain: score in a text steered toward the emotion minus that in the unsteered text of the same
  prompt; beside it the same emotion's gain in random-steered texts.
* percentile: share of the other emotions that gain less in a text than its own; chance is a half.
* hit: a judge that names one emotion names the one steered to.

95% bootstrap intervals draw emotions, prompts and directions anew, each on its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor

from probes.analysis.findings import Control, Estimate
from probes.analysis.intervals import mean_over_crossed
from probes.experiments.steering.judges import NONE
from probes.experiments.steering.nulls import Ends, TextExcess, ends, text_excess


@dataclass(frozen=True)
class Continuations:
    """Texts by prompt: unsteered, under each emotion's vector, under each random direction."""

    unsteered: list[str]
    steered: Mapping[str, list[str]]
    random: list[list[str]]

    @property
    def each(self) -> list[str]:
        """All, in that order."""
        return [*self.unsteered, *chain(*self.steered.values(), *self.random)]


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
    gain_interval: Ends
    gain_in_random: float | None
    gain_in_others: float
    excess: float
    excess_interval: Ends
    percentile: float
    percentile_interval: Ends
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


@dataclass(frozen=True, kw_only=True)
class JudgedAnswers(TextExcess):
    """What a judge that names one emotion says of `n` steered texts; shares of texts.

    `right` answers are the emotion steered to; beside them how often the same comes for other
    texts.
    """

    model: str
    n: int
    right: float
    right_interval: Ends
    right_unsteered: float
    right_random: float | None
    none: float
    unreadable: float

    @property
    def hits(self) -> Estimate:
        """Share of texts whose emotion is named."""
        return Estimate(self.right, *self.right_interval)

    def controls(self) -> list[Control]:
        """How often the same is named without the vector."""
        return self.over(self.right_unsteered, self.right_random)


def judged_gains(
    scores: Float[Tensor, "text emotion"],
    columns: Sequence[int],
    n_prompts: int,
) -> JudgedGains:
    """Compare scores of unsteered, steered and random texts; `columns`: the emotions steered to."""
    by_condition = rearrange(
        scores.double(), "(condition prompt) emotion -> condition prompt emotion", prompt=n_prompts
    )
    gains = (by_condition - by_condition[:1])[1:]
    n = len(columns)
    among = gains[..., list(columns)]
    own = rearrange(among[:n].diagonal(dim1=0, dim2=2), "prompt emotion -> emotion prompt")
    others = rearrange(among[:n].sum(dim=0), "prompt emotion -> emotion prompt") - own
    others = others / max(n - 1, 1)
    own_each = repeat(own, "emotion prompt -> emotion prompt 1")
    below = (gains[:n] < own_each).double()
    percentile = below.sum(dim=2) / (scores.shape[1] - 1)
    random, apart = None, own - others
    if len(gains) > n:
        beside = rearrange(among[n:], "direction prompt emotion -> emotion prompt direction")
        random, apart = float(beside.mean()), own_each - beside
    return JudgedGains(
        gain=float(own.mean()),
        gain_interval=ends(mean_over_crossed(own)),
        gain_in_random=random,
        gain_in_others=float(others.mean()),
        excess=float(apart.mean()),
        excess_interval=ends(mean_over_crossed(apart)),
        percentile=float(percentile.mean()),
        percentile_interval=ends(mean_over_crossed(percentile)),
        per_emotion=EmotionGains(own.mean(dim=1).tolist(), percentile.mean(dim=1).tolist()),
    )


def judged_answers(
    answers: Sequence[str | None],
    emotions: Sequence[str],
    n_prompts: int,
    judge: str,
) -> JudgedAnswers:
    """Count the hits of a judge, in the order of `judged_gains`; None is an unreadable answer."""
    table = [[float(answer == name) for answer in answers] for name in emotions]
    hits = rearrange(
        torch.tensor(table, dtype=torch.float64),
        "emotion (condition prompt) -> emotion prompt condition",
        prompt=n_prompts,
    )
    n, steered = len(emotions), answers[n_prompts:][: len(emotions) * n_prompts]
    own = rearrange(
        hits[..., 1 : n + 1].diagonal(dim1=0, dim2=2), "prompt emotion -> emotion prompt"
    )
    plain, random = hits[..., 0], hits[..., n + 1 :]
    return JudgedAnswers(
        **vars(text_excess(own, plain, random)),
        model=judge,
        n=len(steered),
        right=float(own.mean()),
        right_interval=ends(mean_over_crossed(own)),
        right_unsteered=float(plain.mean()),
        right_random=float(random.mean()) if random.numel() else None,
        none=sum(answer == NONE for answer in steered) / len(steered),
        unreadable=sum(answer is None for answer in steered) / len(steered),
    )
