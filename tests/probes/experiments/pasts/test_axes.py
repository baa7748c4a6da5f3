"""Axes of valence without some words, and what they are when ratings are dealt anew."""

import pytest
import torch

from probes.analysis.rating_plane import axis_weights
from probes.experiments.pasts.axes import (
    axis_without,
    has_axis,
    limits_in_play,
    permuted_effects,
    place_among,
    ratings_of,
    valence_axes,
)

EMOTIONS = ["happy", "proud", "kind", "sad", "angry", "lonely", "anxious", "smug"]


def _vectors():
    return torch.randn(2, len(EMOTIONS), 16, generator=torch.Generator().manual_seed(0))


def test_near_neutral_unrated_and_left_out_words_weigh_nothing():
    ratings = ratings_of(EMOTIONS, without={"happy"})
    named = dict(zip(EMOTIONS, ratings.tolist(), strict=True))
    assert named["happy"] == named["anxious"] == named["smug"] == 0
    assert named["proud"] > 0 > named["sad"]
    assert has_axis(ratings)


def test_one_side_alone_makes_no_axis():
    assert not has_axis(ratings_of(["happy", "proud", "kind", "joyful", "grateful"]))
    assert not has_axis(ratings_of(["happy", "sad"]))


def test_an_axis_points_from_unpleasant_to_pleasant():
    vectors, ratings = _vectors(), ratings_of(EMOTIONS)
    axes = valence_axes(vectors, ratings)
    torch.testing.assert_close(axes.norm(dim=1), torch.ones(2))
    along = (vectors * axes[:, None]).sum(dim=2)
    assert (along @ ratings.float() > 0).all()


def test_permuted_effects_are_projections_on_axes_of_permuted_ratings():
    """By dot products as by axes that are made; another seed gives others."""
    vectors, ratings = _vectors(), ratings_of(EMOTIONS)
    effect = torch.randn(2, 16, generator=torch.Generator().manual_seed(1))
    null = permuted_effects(effect, vectors, ratings, 9000, seed=0)
    rated = ratings[ratings != 0]
    order = rated.flip(0)
    dealt = ratings.clone()
    dealt[ratings != 0] = order
    one = (valence_axes(vectors, dealt) * effect).sum(dim=1).double()
    nearest = (null - one[:, None]).abs().amax(dim=0).min()
    assert nearest < 1e-4
    assert not torch.equal(null, permuted_effects(effect, vectors, ratings, 9000, seed=1))
    assert axis_weights(ratings).sum() == pytest.approx(0)


def test_place_is_the_share_of_others_below():
    scores = torch.tensor([3.0, 1.0, 2.0, 9.0])
    assert place_among(scores, [0], [0, 1, 2]) == 1.0
    assert place_among(scores, [2, 1], [0, 1, 2]) == 0.0
    assert place_among(scores, [0], [0, 1, 3]) == 0.5
    assert place_among(scores, [], [0, 1]) is None
    assert place_among(scores, [0], [0]) is None


def test_an_axis_that_holds_what_is_in_play_says_so():
    few, enough = ["happy", "proud", "sad", "angry", "lonely"], {"smug"}
    whole = valence_axes(_vectors()[:, :5], ratings_of(few))
    assert torch.equal(axis_without(_vectors()[:, :5], few, {"sad"}), whole)
    [limit] = limits_in_play("Here", few, [{"sad"}, enough])
    assert limit.startswith("Here: ") and "1 of 2 texts" in limit
    assert limits_in_play("Here", few, [enough]) == []
