"""Scores as cosines and as z, and which emotions are highest by either."""

import dataclasses

import pytest
import torch

from probes.texts.app.look import COSINE, Look, difference, largest_of, strongest_of
from probes.texts.app.reading import Reading
from probes.vectors.zero import Zero

NAMES = ["sad", "happy", "calm"]
ZERO = Zero(torch.tensor([[0.1, 0.0, 0.0]]), torch.tensor([[0.1, 0.4, 0.0]]))
"""What neutral tokens score: of "calm" always the same."""


def look(*scores: list[float], turn: list[int] | None = None, **others) -> Look:
    tokens = [f"t{number}" for number in range(len(scores))]
    reading = Reading(tokens, turn or [0] * len(tokens), torch.tensor([list(scores)]))
    return Look(reading, 0, 0, NAMES, **others)


def test_scores_are_cosines_or_standard_deviations_above_neutral_tokens():
    cosines = look([0.3, 0.2, 0.5])
    z = dataclasses.replace(cosines, zero=ZERO)
    assert cosines.scores[0].tolist() == pytest.approx([0.3, 0.2, 0.5])
    assert z.scores[0].tolist() == pytest.approx([2.0, 0.5, 0.0])
    assert (cosines.unit, cosines.number(0.125), cosines.explained) == ("cosine", "+0.12", COSINE)
    assert (z.unit, z.number(0.125)) == ("z", "+0.1")
    assert "standard deviations" in z.explained
    assert z.spelled(z.scores[0], n=2) == "sad +2.0, happy +0.5"


def test_a_turn_has_the_mean_of_its_tokens_and_one_without_tokens_has_no_emotions():
    seen = look([0.3, 0.1, 0.0], [0.1, 0.1, 0.0], [0.9, 0.0, 0.0], turn=[0, 0, -1])
    assert seen.of_turn().tolist() == pytest.approx([0.2, 0.1, 0.0])
    assert seen.spelled(seen.of_turn()) == "sad +0.20, happy +0.10, calm +0.00"
    assert seen.of_turn(1).isnan().all()
    assert seen.spelled(seen.of_turn(1)) == ""
    z = dataclasses.replace(seen, zero=ZERO)
    assert z.of_turn()[0] == pytest.approx(1.0)


def test_a_text_says_cosine_and_z_and_its_highest_are_those_of_what_is_looked_at():
    seen = look([0.3, 0.1, 0.2])
    assert seen.spelled_text() == "sad +0.30, calm +0.20, happy +0.10"
    z = torch.tensor([[1.25, 3.0, -1.0]])
    known = dataclasses.replace(seen, reading=dataclasses.replace(seen.reading, z=z))
    assert known.spelled_text(2) == "sad +0.30 (z +1.2), calm +0.20 (z -1.0)"
    by_z = dataclasses.replace(known, zero=ZERO)
    assert by_z.spelled_text(2) == "happy +0.10 (z +3.0), sad +0.30 (z +1.2)"
    some = dataclasses.replace(known.reading, z=torch.tensor([[1.25, torch.nan, 1.0]]))
    assert dataclasses.replace(by_z, reading=some).spelled_text(1) == "sad +0.30 (z +1.2)"


def test_colors_of_several_texts_have_one_scale_and_marks_have_none():
    first = look([0.3, -0.7, 0.0], [0.9, 0.9, 0.9], turn=[0, -1])
    second = look([-0.4, 0.1, 0.0])
    assert largest_of([first]) == pytest.approx(0.3)
    assert largest_of([first, second]) == pytest.approx(0.4)
    assert largest_of([first, second], [0, 1]) == pytest.approx(0.7)
    assert largest_of([]) == largest_of([look([0.3, 0.0, 0.0], turn=[-1])]) == 0.0


def test_the_rows_of_a_heat_map_are_the_selected_emotion_and_the_highest_of_any_text():
    first, second = look([0.0, 0.2, 0.1]), look([0.0, 0.0, 0.3])
    assert strongest_of([first, second], 3) == [0, 2, 1]
    assert strongest_of([first], 2) == [0, 1]


def test_two_texts_differ_in_emotions_named_both_ways():
    first, second = look([0.5, 0.2, 0.1]), look([0.0, 0.5, 0.1])
    assert difference(first, second, 1) == ("sad +0.50", "happy +0.30")
