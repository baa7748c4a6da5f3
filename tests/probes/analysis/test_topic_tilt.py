"""A pleasant topic is found, a fair one is not, and missing cells do not make one."""

import pytest
import torch

from probes.analysis.topic_tilt import topic_tilt

N_EMOTIONS, N_TOPICS, D = 24, 8, 16


def crossed():
    emotion = torch.arange(N_EMOTIONS).repeat_interleave(N_TOPICS)
    topic = torch.arange(N_TOPICS).repeat(N_EMOTIONS)
    return emotion, topic


def stories(generator, tilt):
    """Rows of unit noise, emotions along an axis of length 2, topics `tilt` axes along it."""
    emotion, topic = crossed()
    axis = torch.zeros(D)
    axis[0] = 2.0
    rows = torch.randn(len(emotion), D, generator=generator)
    rows[:, 0] += torch.randn(N_EMOTIONS, generator=generator)[emotion]
    rows[:, 0] += 2.0 * tilt[topic]
    return rows, emotion, topic, axis


def test_a_tilt_is_found_as_a_share_of_the_axis():
    tilt = torch.tensor([0.75, -0.75, 0, 0, 0, 0, 0, 0])
    tilts = topic_tilt(*stories(torch.Generator().manual_seed(0), tilt))
    assert list(tilts) == list(range(N_TOPICS))
    assert tilts[0].value == pytest.approx(0.75, abs=0.3)
    assert tilts[0].low > 0
    assert tilts[1].high < 0
    assert sum(it.value for it in tilts.values()) == pytest.approx(0, abs=1e-6)


def test_intervals_of_fair_topics_hold_zero_in_95_of_100():
    generator, fair = torch.Generator().manual_seed(1), torch.zeros(N_TOPICS)
    held = [
        it.low <= 0 <= it.high
        for _ in range(60)
        for it in topic_tilt(*stories(generator, fair)).values()
    ]
    assert 0.93 <= sum(held) / len(held) <= 0.98


def test_pleasant_emotions_on_one_topic_alone_are_no_tilt_of_it():
    emotion, topic = crossed()
    axis = torch.ones(D)
    rows = torch.outer(torch.linspace(-1, 1, N_EMOTIONS), axis)[emotion]
    kept = (topic < 6) | (emotion > 12)  # two topics have stories of pleasant emotions only
    tilts = topic_tilt(rows[kept], emotion[kept], topic[kept], axis)
    assert [it.value for it in tilts.values()] == pytest.approx([0.0] * N_TOPICS, abs=1e-6)


def test_a_topic_of_one_emotion_has_none():
    emotion, topic = crossed()
    kept = (topic > 0) | (emotion == 0)
    rows = torch.randn(len(emotion), D, generator=torch.Generator().manual_seed(2))
    assert 0 not in topic_tilt(rows[kept], emotion[kept], topic[kept], torch.ones(D))
