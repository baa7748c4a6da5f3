"""Directions that the same words are read along: valence, its null, and each emotion's own.

The valence axis of a pair is learned without the emotions that the pair implies. Its null is the
same axis with ratings dealt anew among the rated words.
"""

from collections.abc import Collection, Sequence

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from probes.analysis.agreement import MIN_RATED, rating_table
from probes.analysis.rating_plane import NEAR_NEUTRAL, axis_weights, has_sides
from probes.analysis.resampling import permute_within
from probes.vectors.normalize import normalize

Vectors = Float[Tensor, "layer emotion d_model"]


def ratings_of(emotions: Sequence[str], without: Collection[str] = ()) -> Float[Tensor, "emotion"]:
    """Return people's valence of each emotion; 0 where it is near neutral, unrated or left out."""
    table = rating_table([name for name in emotions if name not in without])
    rated = torch.tensor([table[name]["valence"] if name in table else 0.0 for name in emotions])
    return rated.where(rated.abs() >= NEAR_NEUTRAL, 0.0).double()


def has_axis(ratings: Float[Tensor, "emotion"]) -> bool:
    """Whether ratings are enough, and on both sides."""
    return int((ratings != 0).sum()) >= MIN_RATED and has_sides(ratings)


def valence_axes(
    vectors: Vectors, ratings: Float[Tensor, "emotion"]
) -> Float[Tensor, "layer d_model"]:
    """Return the axis from unpleasant to pleasant vectors at each layer, of length one."""
    weight = axis_weights(ratings).to(vectors)
    return normalize(einsum(weight, vectors, "emotion, layer emotion d -> layer d"))


def axis_without(
    vectors: Vectors, emotions: Sequence[str], without: Collection[str]
) -> Float[Tensor, "layer d_model"]:
    """Return the valence axis of the other emotions; of all where too few are left."""
    left = ratings_of(emotions, without)
    return valence_axes(vectors, left if has_axis(left) else ratings_of(emotions))


def limits_in_play(
    name: str, emotions: Sequence[str], in_play: Sequence[Collection[str]]
) -> list[str]:
    """Say of how many texts the axis was learned with their own emotions (`axis_without`)."""
    n = sum(not has_axis(ratings_of(emotions, without)) for without in in_play)
    if not n:
        return []
    return [
        f"{name}: too few rated emotions are left without those in play, so that for {n} of "
        f"{len(in_play)} texts the valence axis was learned with them."
    ]


def permuted_effects(
    effect: Float[Tensor, "layer d_model"],
    vectors: Vectors,
    ratings: Float[Tensor, "emotion"],
    n: int,
    seed: int,
) -> Float[Tensor, "layer draw"]:
    """Project on valence axes made of ratings dealt anew among the words that have one.

    Through dot products of the vectors, so that no axis has to be made.
    """
    rated = (ratings != 0).nonzero()[:, 0]
    weight = axis_weights(permute_within(ratings[rated], None, n, seed))
    of_rated = vectors[:, rated].double()
    dots = einsum(effect.double(), of_rated, "layer d, layer emotion d -> layer emotion")
    gram = einsum(of_rated, of_rated, "layer emotion d, layer other d -> layer emotion other")
    square = einsum(
        weight, gram, weight, "draw emotion, layer emotion other, draw other -> layer draw"
    )
    return einsum(weight, dots, "draw emotion, layer emotion -> layer draw") / square.sqrt()


def place_among(
    scores: Float[Tensor, "emotion"], own: Collection[int], among: Sequence[int]
) -> float | None:
    """Return the share of other emotions that score below the own ones; chance is one half.

    None where there is no own one, or nothing else among them.
    """
    others = scores[[emotion for emotion in among if emotion not in own]]
    if not own or not len(others):
        return None
    below = [float((others < scores[emotion]).double().mean()) for emotion in own]
    return sum(below) / len(below)
