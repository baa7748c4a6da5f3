"""Closings: what other topics' vectors read on them, layer by layer and token by token."""

import pytest
import torch
from expressed_worlds import EMOTIONS, World

from probes.experiments.pasts import closings
from probes.experiments.pasts.closings import N_PARTS, read_closings


class Unread(World):
    """A world of activations alone: nothing is read again."""

    def steered_emotions(self, *_also):
        return []

    def placed_texts(self, way):
        return []


@pytest.fixture
def in_a_world(monkeypatch):
    monkeypatch.setattr(closings, "_N_PERMUTATIONS", 99)
    return lambda **parts: read_closings(Unread(**parts))


def test_a_direction_of_all_ways_is_carried(in_a_world):
    carried = in_a_world()
    assert [it.way for it in carried.sources] == ["said", "narrated", "voiced"]
    for source in carried.sources:
        assert source.own.above_zero
        assert source.p == 0.01  # the floor
        assert min(source.by_emotion.values()) > 0
        # In layer 0 no row holds its emotion.
        assert source.by_layer[0].value < 0.2 * source.own.value
    assert [finding.verdict for finding in carried.findings()] == ["shown"] * 3


def test_size_is_in_mean_residual_norms(in_a_world):
    """Directions of 48 normal numbers, less their mean, over a norm of 10."""
    said = in_a_world(noise=0.01).sources[0]
    assert said.own.value == pytest.approx(48**0.5 * 12 / 11 / 10, rel=0.1)


def test_directions_of_their_own_are_not_carried(in_a_world):
    carried = in_a_world(alike=0.0)
    for source in carried.sources:
        assert abs(source.own.value) < 0.1
        assert source.p > 0.05
    assert "not shown" in {finding.verdict for finding in carried.findings()}


def test_without_closings_there_is_nothing_to_read(in_a_world):
    assert in_a_world(ways=["said", "narrated", "shown"]) is None
    assert in_a_world(ways=["shown", "carried"]) is None


def test_paragraph_names_the_most_and_the_least_carried(in_a_world):
    carried = in_a_world()
    best = max(carried.sources, key=lambda it: it.own.value)
    ranked = sorted(best.by_emotion, key=best.by_emotion.get)
    text = carried.paragraph()
    assert f"most of all {ranked[-1]}" in text
    assert f"least {ranked[0]}" in text
    assert f"of {len(EMOTIONS)} emotions" in text


def test_closings_read_again_agree_with_what_was_kept(with_closings):
    """Token by token, then averaged, is what the extraction pooled (tenths differ by a token)."""
    carried = read_closings(with_closings)
    assert carried.read == with_closings.emotions
    assert len(carried.parts) == len(carried.layers)
    assert all(len(row) == N_PARTS for row in carried.parts)
    said = carried.sources[0]
    by_layer = torch.tensor([it.value for it in said.by_layer])
    again = torch.tensor(carried.parts).mean(dim=1)
    torch.testing.assert_close(again, by_layer, rtol=0.1, atol=2e-4)
