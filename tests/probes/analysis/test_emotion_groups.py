"""Emotion groups: clusters of the paper, sides as people rated the words, and their chances."""

import pytest
import torch

from probes.analysis.emotion_groups import EmotionGroups

EMOTIONS = ["happy", "angry", "furious", "no such word"]
NOTHING = EmotionGroups.of(["no such word", "nor this"])


def test_words_are_on_the_side_that_people_rated_and_unknown_ones_on_none():
    groups = EmotionGroups.of(EMOTIONS)
    assert groups.side.tolist() == [1, -1, -1, 0]
    assert int(groups.cluster[3]) == -1
    assert groups.cluster[1] == groups.cluster[2] != groups.cluster[0]


def test_a_neighbor_of_the_own_cluster_is_right_by_cluster():
    groups = EmotionGroups.of(EMOTIONS)
    named = torch.tensor([[2, 0], [1, 1]])
    right = groups.same_cluster(named, torch.tensor([1, 1]))
    assert right.tolist() == [[True, False], [True, True]]


def test_emotions_of_the_other_side_are_out_of_the_running():
    groups = EmotionGroups.of(EMOTIONS)
    left = groups.within_side(torch.ones(1, 4), torch.tensor([1]))
    assert left.isfinite().tolist() == [[False, True, True, False]]


def test_chance_is_that_of_drawing_an_emotion():
    groups = EmotionGroups(torch.tensor([0, 0, 1, -1]), torch.tensor([1, -1, -1, 0]))
    assert groups.chance_of_cluster == pytest.approx((2 / 4 + 2 / 4 + 1 / 4) / 3)
    assert groups.chance_within_side == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)
    assert NOTHING.chance_of_cluster is None
    assert NOTHING.chance_within_side is None
