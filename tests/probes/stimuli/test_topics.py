"""The topics are many, diverse from the first on, and name no emotion."""

import csv
import math
from itertools import accumulate

import pytest

from probes.stimuli import emotions, leaks, topics, topics_by_area
from probes.stimuli._data import read_text


def test_there_are_100_different_topics_in_ten_areas_of_ten():
    assert len(topics()) == len(set(topics())) == 100
    assert [len(names) for names in topics_by_area().values()] == [10] * 10


@pytest.mark.parametrize("n", [5, 10, 12, 30, 55])
def test_the_first_n_topics_are_spread_evenly_over_the_areas(n):
    counts = [len(set(names) & set(topics()[:n])) for names in topics_by_area().values()]
    assert max(counts) - min(counts) <= 1


def test_topics_are_short_phrases_that_continue_a_sentence():
    for topic in topics():
        assert topic[0].islower(), topic
        assert topic[-1].isalpha(), topic
        assert 3 <= len(topic.split()) <= 12, topic


def test_no_topic_names_any_emotion():
    leaked = {topic: words for topic in topics() for e in emotions() if (words := leaks(topic, e))}
    assert leaked == {}


def test_topics_are_pleasant_and_unpleasant_in_equal_parts_from_the_first_on():
    rows = {row["topic"]: row for row in csv.DictReader(read_text("topic_tilts.csv").splitlines())}
    assert list(rows) == list(topics())
    tilts = [float(rows[topic]["tilt"]) for topic in topics()]
    for n, total in enumerate(accumulate(tilts), start=1):
        assert abs(total / n) < 0.05, n
    level = math.hypot(*tilts[:20]) / math.sqrt(20)
    assert level < 0.3 * math.hypot(*tilts) / math.sqrt(100)
