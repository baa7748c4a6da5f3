"""Messages and activities: complete, and silent about the emotion they stand for."""

import collections
import string

import pytest

from probes.stimuli import (
    activities,
    emotions,
    intensity_templates,
    leaks,
    named_emotions,
    scenarios,
)

TWELVE = {
    *("happy", "inspired", "loving", "proud", "calm", "desperate"),
    *("angry", "guilty", "sad", "afraid", "nervous", "surprised"),
}


def test_two_batteries_of_four_messages_for_twelve_emotions_and_six_for_none():
    by_battery = collections.defaultdict(list)
    for scenario in scenarios():
        by_battery[scenario.battery].append(scenario.emotion)
    assert list(by_battery) == ["first", "held-out", "neutral"]
    for battery in ("first", "held-out"):
        assert collections.Counter(by_battery[battery]) == dict.fromkeys(TWELVE, 4)
    assert by_battery["neutral"] == [None] * 6
    assert len({scenario.text for scenario in scenarios()}) == 102


def test_no_scenario_names_an_emotion_or_a_synonym_of_its_own():
    for scenario in scenarios():
        assert scenario.emotion is None or leaks(scenario.text, scenario.emotion) == []
        assert named_emotions(scenario.text) == []
        assert 20 <= len(scenario.text.split()) <= 60


def test_one_message_in_four_ends_with_a_question_whatever_it_implies():
    asked = collections.Counter(
        (scenario.battery, scenario.emotion)
        for scenario in scenarios()
        if scenario.text.endswith("?")
    )
    assert asked.pop(("neutral", None)) == 2
    batteries = [(name, emotion) for name in ("first", "held-out") for emotion in TWELVE]
    assert asked == dict.fromkeys(batteries, 1)


def test_no_word_stands_in_most_messages_of_one_emotion_alone():
    """Else a count of that word would read them."""
    words = {scenario: set(scenario.text.lower().split()) for scenario in scenarios()}
    for emotion in TWELVE:
        own = [each for scenario, each in words.items() if scenario.emotion == emotion]
        others = [each for scenario, each in words.items() if scenario.emotion != emotion]
        for word in {each for each in set.union(*own) if len(each) > 4}:
            share = sum(word in each for each in own) / len(own)
            elsewhere = sum(word in each for each in others) / len(others)
            assert share <= max(0.5, 4 * elsewhere), (emotion, word)


@pytest.mark.parametrize("template", intensity_templates(), ids=lambda t: t.name)
def test_intensity_templates_name_no_emotion_and_hold_one_number(template):
    for text in (template.text, template.neutral):
        fields = [field for _, field, _, _ in string.Formatter().parse(text) if field]
        assert fields == ["number"]
        assert named_emotions(text) == []
        for expected in template.expects:
            assert not any(leaks(text, emotion) for emotion in expected.emotions)


def test_intensity_holds_two_expectations_a_template_over_rising_numbers():
    templates = intensity_templates()
    assert len(templates) == 12
    assert sum(len(template.expects) for template in templates) == 24
    known = set(emotions())
    for template in templates:
        assert list(template.numbers) == sorted(set(template.numbers))
        assert {expected.sign for expected in template.expects} == {-1, 1}
        assert all(set(expected.emotions) <= known for expected in template.expects)


def test_no_more_students_pass_than_there_are():
    [students] = [template for template in intensity_templates() if template.name == "students"]
    assert "of my 20 students" in students.text
    assert max(students.numbers) <= 20


def test_64_activities_in_8_categories_without_a_word_for_an_emotion():
    counts = collections.Counter(activity.category for activity in activities())
    assert list(counts) == [
        *("helpful", "engaging", "social", "itself"),
        *("neutral", "aversive", "misaligned", "unsafe"),
    ]
    assert set(counts.values()) == {8}
    assert len({activity.text for activity in activities()}) == 64
    assert [a.text for a in activities() if named_emotions(a.text)] == []
