"""Alignment: cosines and lengths as planted, whatever noise there is."""

import pytest
import torch
from planted_dialogues import plant, speakers_crossing

from probes.experiments.dialogues.alignment import (
    DirectionSet,
    compare_sets,
    kept_norm,
    kept_outside,
)
from probes.experiments.dialogues.crossing import without_span
from probes.experiments.dialogues.reading import gram_of

WIDE = 400
"""Dimensions, so that random directions have a cosine near zero."""
PAIRS = {"own": [(0, 1)], "other": [(2, 3)], "across": [(0, 2), (0, 3), (1, 2), (1, 3)]}


def sets(crossing):
    of_a = torch.arange(288) < 144
    different = crossing.levels[0] != crossing.levels[1]
    return {
        "own A": DirectionSet(0, of_a),
        "own B": DirectionSet(0, ~of_a),
        "other A": DirectionSet(1, of_a & different),
        "other B": DirectionSet(1, ~of_a & different),
    }


def compared(planted):
    chosen = sets(planted.crossing)
    return compare_sets(gram_of(planted.rows), planted.crossing, chosen, PAIRS, 0)


@pytest.mark.parametrize("alike", [0.0, 0.3, 0.8])
def test_cosines_without_noise_are_those_of_the_directions(alike):
    planted = plant(speakers_crossing(), alike=alike, noise=4.0, d_model=WIDE)
    table, pairs = compared(planted)
    for name, true in (("own", 1.0), ("other", 1.0), ("across", alike)):
        clean = pairs[name].without_noise
        low, high = clean.ends
        assert clean.value == pytest.approx(true, abs=0.12), name
        assert low - 0.05 < true < high + 0.05, name
    assert pairs["own"].cosine.value < 0.8
    assert table.sets == ["own A", "own B", "other A", "other B"]
    assert table.without_noise[0][1] == pytest.approx(pairs["own"].without_noise.value)
    # 12 rows of a level in A's words: a signal of 1 beside a noise of 16 / 12.
    assert table.reliability == pytest.approx([12 / 28] * 4, abs=0.1)


def test_directions_that_do_not_repeat_have_no_cosine_without_noise():
    silent = [
        compared(plant(speakers_crossing(), second=0.0, noise=2.0, d_model=WIDE, seed=seed))
        for seed in range(3)
    ]
    assert all(pairs["other"].without_noise is None for _, pairs in silent)
    assert all(table.without_noise[2] == [None] * 4 for table, _ in silent)
    for table, pairs in silent:
        assert abs(pairs["other"].cosine.value) < 0.15
        assert max(table.reliability[2:]) < 0.3 < min(table.reliability[:2])


@pytest.mark.parametrize("alike", [0.0, 0.6])
def test_what_is_left_of_a_length_is_known_without_noise(alike):
    planted = plant(speakers_crossing(), alike=alike, noise=2.0, d_model=WIDE)
    gram, crossing = gram_of(planted.rows), planted.crossing
    left = without_span(gram, crossing.effects(0, torch.ones(288)))
    other = DirectionSet(1, crossing.levels[0] != crossing.levels[1])
    kept = kept_norm(gram, left, crossing, other, 30, 0)
    true = (1 - alike**2) ** 0.5
    assert kept.without_noise.value == pytest.approx(true, abs=0.06)
    low, high = kept.dealt.ends
    assert low > 0.9
    assert kept.kept.value < high
    if alike:
        assert kept.without_noise.value < kept.kept.value < low


def test_labels_dealt_anew_leave_as_much_as_noise_does():
    planted = plant(speakers_crossing(), second=0.0, noise=2.0, d_model=WIDE)
    gram, crossing = gram_of(planted.rows), planted.crossing
    left = without_span(gram, crossing.effects(0, torch.ones(288)))
    other = DirectionSet(1, crossing.levels[0] != crossing.levels[1])
    kept = kept_norm(gram, left, crossing, other, 60, 0)
    low, high = kept.dealt.ends
    assert low - 0.01 < kept.kept.value < high + 0.01
    assert kept.without_noise is None


@pytest.mark.parametrize("alike", [0.0, 0.8, 1.0])
def test_outside_a_span_that_is_learned_lies_what_is_planted_and_what_noise_leaves(alike):
    planted = plant(speakers_crossing(), alike=alike, noise=2.0, d_model=WIDE)
    gram, crossing = gram_of(planted.rows), planted.crossing
    own = DirectionSet(0, torch.ones(288, dtype=torch.bool))
    other = DirectionSet(1, crossing.levels[0] != crossing.levels[1])
    kept, left = (kept_outside(gram, crossing, own, of, 0).value for of in (other, own))
    # What is outside, and of what is inside as much as of the own directions themselves.
    true = (1 - alike**2 + alike**2 * left**2) ** 0.5
    assert kept == pytest.approx(true, abs=0.08)
    assert 0.3 < left < 0.7


def test_what_does_not_repeat_has_no_length_outside():
    planted = plant(speakers_crossing(), second=0.0, noise=2.0, d_model=WIDE)
    own = DirectionSet(0, torch.ones(288, dtype=torch.bool))
    other = DirectionSet(1, planted.crossing.levels[0] != planted.crossing.levels[1])
    assert kept_outside(gram_of(planted.rows), planted.crossing, own, other, 0) is None
