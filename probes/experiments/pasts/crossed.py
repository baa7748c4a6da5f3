"""Eight versions of a scene of two people, and what each of three crossed causes does in them.

Causes are crossed, so that each is averaged over the others: which fate is mentioned, which is told
last, and which of two names is mentioned.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from probes.analysis.emotion_groups import EmotionGroups
from probes.analysis.findings import Estimate
from probes.analysis.intervals import SHARE, mean_over
from probes.analysis.resampling import permutation_p_value, permute_within
from probes.experiments.pasts.axes import place_among
from probes.stimuli.pasts import BindingScene

N_PERMUTATIONS = 1999
SHAPE = {"lucky": 2, "last": 2, "mentioned": 2}
"""Of a scene's versions: which name is lucky, which fate is told last, which is mentioned."""
_FATES = {"lucky": 1, "unlucky": -1}
"""By their side of valence."""


def versions(scene: BindingScene) -> list[str]:
    """Return all eight: [which name is lucky][the fate told last][the fate of who is mentioned].

    Of both fates the lucky one comes first.
    """
    texts = []
    for lucky, unlucky in (scene.names, scene.names[::-1]):
        fates = scene.lucky.replace("{name}", lucky), scene.unlucky.replace("{name}", unlucky)
        for told in (fates[::-1], fates):
            texts += [
                " ".join([*told, scene.mention.replace("{name}", name)])
                for name in (lucky, unlucky)
            ]
    return texts


class Effects(NamedTuple):
    """What each cause moves the mention by, averaged over the others."""

    binding: Float[Tensor, "scene layer d_model"]
    recency: Float[Tensor, "scene layer d_model"]
    names: Float[Tensor, "scene layer d_model"]

    @classmethod
    def of(cls, streams: Float[Tensor, "scene lucky last mentioned layer d_model"]) -> "Effects":
        """Take crossed causes apart; `streams` are in the order of `versions`."""
        sign = torch.tensor([1.0, -1.0])
        axes = "scene lucky last mentioned layer d"
        return cls(
            einsum(streams, sign, f"{axes}, mentioned -> scene layer d") / 4,
            einsum(streams, sign, f"{axes}, last -> scene layer d") / 4,
            einsum(streams, sign, sign, f"{axes}, lucky, mentioned -> scene layer d") / 4,
        )


@dataclass(frozen=True, kw_only=True)
class OwnEmotion:
    """The mentioned one's emotions less the other one's, in mean residual norms.

    `recency` is the same of the fate told last; `place` is where the own emotion lies among those
    of its side of valence, as a share of them that lies below.
    """

    n_scenes: int
    own: Estimate
    recency: Estimate
    over_recency: Estimate
    p: float
    place: Estimate | None


def own_emotion(
    scenes: Sequence[BindingScene],
    emotions: Sequence[str],
    binding: Float[Tensor, "scene emotion"],
    recency: Float[Tensor, "scene emotion"],
    *,
    seed: int,
) -> OwnEmotion | None:
    """Set the own emotions beside the other person's, and among those of their side.

    None where the run has both fates' emotions in fewer than two scenes.
    """
    implied = [
        [[emotions.index(it) for it in scene.implies[fate] if it in emotions] for fate in _FATES]
        for scene in scenes
    ]
    kept = [number for number, fates in enumerate(implied) if all(fates)]
    if len(kept) < 2:
        return None
    # A mention of the lucky one lies toward the lucky emotions, one of the unlucky one away.
    weight = torch.zeros(len(kept), len(emotions), dtype=torch.float64)
    for row, number in zip(weight, kept, strict=True):
        lucky, unlucky = implied[number]
        row[lucky], row[unlucky] = 0.5 / len(lucky), -0.5 / len(unlucky)
    binding, recency = binding[kept], recency[kept]
    own, last = (weight * binding).sum(dim=1), (weight * recency).sum(dim=1)
    by_name = einsum(weight, binding, "scene own, scene emotion -> own emotion") / len(kept)
    dealt = permute_within(torch.arange(len(emotions)), None, N_PERMUTATIONS, seed)
    null = by_name.gather(1, dealt.T).sum(dim=0)
    side, places = EmotionGroups.of(emotions).side, []
    for row, number in zip(binding, kept, strict=True):
        of_fates = [
            place_among(sign * row, of_fate, (side == sign).nonzero()[:, 0].tolist())
            for of_fate, sign in zip(implied[number], _FATES.values(), strict=True)
        ]
        known = [place for place in of_fates if place is not None]
        if known:
            places.append(sum(known) / len(known))
    return OwnEmotion(
        n_scenes=len(kept),
        own=mean_over(own),
        recency=mean_over(last),
        over_recency=mean_over(own - last),
        p=permutation_p_value(float(own.mean()), null, "greater"),
        place=mean_over(torch.tensor(places), within=SHARE) if places else None,
    )
