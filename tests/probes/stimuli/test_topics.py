"""The topics are many, diverse from the first on, and name no emotion."""

import pytest

from probes.stimuli import emotions, leaks, topics, topics_by_area


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
