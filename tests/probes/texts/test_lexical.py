"""The reader that only looks words up: perfect where words give it away, chance where none can."""

import pytest
import torch

from probes.corpus.audit import AuditedText
from probes.texts import lexical

EMOTIONS = ("angry", "happy", "sad")
MARKS = {"angry": "door slammed", "happy": "bus sang", "sad": "rain fell"}
OTHER = {"angry": "uno", "happy": "dos", "sad": "tres"}


def corpus(marks, form, n_topics=4):
    return [
        AuditedText(emotion, f"topic {n}", f"On day {n} the {marks[emotion]}.", "", {"form": form})
        for emotion in EMOTIONS
        for n in range(n_topics)
    ]


def read(texts):
    counts = lexical.word_counts(texts)
    readings = lexical.read_all(texts, {"words": counts})
    return {(reading.learned, reading.read): reading for reading in readings}


def test_words_that_give_it_away_are_read_on_held_out_topics():
    [reading] = read(corpus(MARKS, "a")).values()
    assert reading.accuracy.value == 1
    assert reading.mean_rank == 0
    assert reading.chance == pytest.approx(1 / 3)
    assert reading.within_side is not None
    assert reading.within_side.value == 1


def test_what_is_learned_in_one_form_is_nothing_in_another_that_shares_no_words():
    readings = read([*corpus(MARKS, "a"), *corpus(OTHER, "b")])
    assert set(readings) == {(None, "a"), (None, "b"), ("a", "b"), ("b", "a")}
    assert readings[None, "b"].accuracy.value == 1
    for pair in (("a", "b"), ("b", "a")):
        assert readings[pair].accuracy.value <= 1 / 3
        assert readings[pair].accuracy.high <= 1 / 3 + 1e-9


def test_texts_that_say_nothing_are_not_read_by_luck():
    same = dict.fromkeys(EMOTIONS, "bus came")
    [reading] = read(corpus(same, "a")).values()
    assert reading.accuracy.value == 0  # a tie counts against the reader
    assert reading.clusters is not None
    assert reading.clusters.value == 0


def test_one_topic_can_be_read_across_and_not_within():
    readings = read([*corpus(MARKS, "a", 1), *corpus(MARKS, "b", 2)])
    assert (None, "a") not in readings
    assert readings["a", "b"].accuracy.value == 1


def test_chance_counts_the_emotions_that_both_forms_have():
    fewer = [text for text in corpus(MARKS, "b") if text.emotion != "sad"]
    readings = read([*corpus(MARKS, "a"), *fewer])
    assert readings[None, "a"].chance == pytest.approx(1 / 3)
    assert readings[None, "b"].chance == pytest.approx(1 / 2)
    for pair in (("a", "b"), ("b", "a")):
        assert readings[pair].chance == pytest.approx(1 / 2)
        assert readings[pair].accuracy.value == 1


def test_forms_that_share_no_two_emotions_are_not_read_across():
    one = [text for text in corpus(MARKS, "b") if text.emotion == "sad"]
    assert set(read([*corpus(MARKS, "a"), *one])) == {(None, "a")}


def test_counts_have_length_one():
    counts = lexical.word_counts(corpus(MARKS, "a"))
    assert torch.allclose(counts.norm(dim=1), torch.ones(len(counts)))
