"""What judges say of continuations: an emotion's gain, and whether it is the one steered to.

* gain: score in a text steered toward the emotion minus that in the unsteered text of the same
  prompt; beside it the same emotion's gain in random-steered texts.
* percentile: share of the other emotions that gain less in a text than its own; chance is a half.
* hit: a judge that names one emotion names the one steered to.

Contract: pure numbers. Every emotion meets the same prompts and the same random directions, so the
95% bootstrap intervals draw emotions, prompts and directions anew, each on its own.
"""

from collections.abc import Sequence
from typing import Any

import torch
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor

from probes.experiments.steering.judges import NONE
from probes.experiments.steering.nulls import crossed_interval


def judged_gains(
    scores: Float[Tensor, "text emotion"], places: Sequence[int], n_prompts: int, seed: int
) -> dict[str, Any]:
    """Compare a judge's scores; texts are ordered unsteered, steered by `places`, random."""
    by_condition = rearrange(
        scores.double(), "(condition prompt) emotion -> condition prompt emotion", prompt=n_prompts
    )
    gains = (by_condition - by_condition[:1])[1:]
    n, own_places = len(places), list(places)
    steered = gains[:n]
    among = steered[..., own_places]
    own = rearrange(among.diagonal(dim1=0, dim2=2), "prompt emotion -> emotion prompt")
    others = rearrange(among.sum(dim=0), "prompt emotion -> emotion prompt") - own
    others = others / max(n - 1, 1)
    below = steered < repeat(own, "emotion prompt -> emotion prompt 1")
    percentile = below.double().sum(dim=2) / (scores.shape[1] - 1)
    random, apart = None, own - others
    if len(gains) > n:
        beside = rearrange(
            gains[n:][..., own_places], "direction prompt emotion -> emotion prompt direction"
        )
        random = float(beside.mean())
        apart = repeat(own, "emotion prompt -> emotion prompt 1") - beside
    return {
        "gain": float(own.mean()),
        "gain_interval": crossed_interval(own, seed),
        "gain_in_random": random,
        "gain_in_others": float(others.mean()),
        "excess": float(apart.mean()),
        "excess_interval": crossed_interval(apart, seed),
        "percentile": float(percentile.mean()),
        "percentile_interval": crossed_interval(percentile, seed),
        "per_emotion": {
            "gain": own.mean(dim=1).tolist(),
            "percentile": percentile.mean(dim=1).tolist(),
        },
    }


def judged_answers(
    unsteered: Sequence[str | None],
    steered: Sequence[str | None],
    random: Sequence[str | None],
    emotions: Sequence[str],
    seed: int,
) -> dict[str, Any]:
    """Count the hits of a judge that names one emotion.

    Parameters
    ----------
    unsteered
        Its answer to each prompt's text; None where it cannot be read.
    steered, random
        The same under each emotion's vector and under each random direction, one after another.
    emotions
        The emotions steered to.
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
    found: dict[str, Any] = {
        "n": len(steered),
        "right": float(own.mean()),
        "right_interval": crossed_interval(own, seed),
        "right_unsteered": float(plain.mean()),
        "excess": float((own - plain).mean()),
        "excess_interval": crossed_interval(own - plain, seed),
        "right_random": None,
        "excess_over_random": None,
        "excess_over_random_interval": None,
        NONE: sum(answer == NONE for answer in steered) / len(steered),
        "unreadable": sum(answer is None for answer in steered) / len(steered),
    }
    if random:
        beside = rearrange(hits(random), "emotion direction prompt -> emotion prompt direction")
        apart = repeat(own, "emotion prompt -> emotion prompt 1") - beside
        found["right_random"] = float(beside.mean())
        found["excess_over_random"] = float(apart.mean())
        found["excess_over_random_interval"] = crossed_interval(apart, seed)
    return found
