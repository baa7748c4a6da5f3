"""The prompts can be filled in, ask for what they must, and name no emotion of their own."""

import string

import pytest

from probes.stimuli import (
    STORY_MARKER,
    emotions,
    feeling,
    leaks,
    named_emotions,
    neutral_prompts,
    story_prompts,
)
from probes.stimuli._data import read_yaml


def placeholders(template):
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def all_templates():
    for prompt in story_prompts():
        yield from (prompt.template, prompt.plain_template, prompt.batch_template)
    for prompt in neutral_prompts():
        yield from (prompt.template, prompt.plain_template)


def test_first_and_third_person_are_mixed_evenly():
    persons = [prompt.person for prompt in story_prompts()]
    assert len(persons) >= 4
    assert persons.count("first") == persons.count("third")


@pytest.mark.parametrize("prompts", [story_prompts(), neutral_prompts()], ids=["story", "neutral"])
def test_prompt_ids_are_unique(prompts):
    assert len({prompt.id for prompt in prompts}) == len(prompts)


@pytest.mark.parametrize("prompt", story_prompts(), ids=lambda prompt: prompt.id)
def test_story_prompts_have_exactly_the_documented_placeholders(prompt):
    assert placeholders(prompt.template) == {"topic", "emotion", "feeling"}
    assert placeholders(prompt.plain_template) == {"topic", "emotion", "feeling"}
    assert placeholders(prompt.batch_template) == {"topic", "emotion", "feeling", "count", "marker"}


@pytest.mark.parametrize("prompt", neutral_prompts(), ids=lambda prompt: prompt.id)
def test_neutral_prompts_have_exactly_the_documented_placeholders(prompt):
    assert placeholders(prompt.template) == placeholders(prompt.plain_template) == {"topic"}


@pytest.mark.parametrize("prompt", story_prompts(), ids=lambda prompt: prompt.id)
def test_every_story_prompt_forbids_the_word_itself(prompt):
    filled = prompt.template.format(topic="a ferry", emotion="sad", feeling="very sad")
    assert 'use the word "sad"' in filled
    assert "one paragraph" in filled


@pytest.mark.parametrize(
    "prompt", (*story_prompts(), *neutral_prompts()), ids=lambda prompt: prompt.id
)
def test_a_plain_prompt_ends_where_the_text_begins(prompt):
    assert prompt.plain_template.endswith("\n")
    assert not prompt.plain_template.endswith("\n\n")


@pytest.mark.parametrize("prompt", neutral_prompts(), ids=lambda prompt: prompt.id)
def test_neutral_prompts_name_the_line_format(prompt):
    assert '"Person:" or "Assistant:"' in prompt.template
    assert "\nPerson: " in prompt.plain_template
    assert "\nAssistant: " in prompt.plain_template


def test_a_batch_prompt_shows_the_marker_as_its_last_words():
    filled = story_prompts()[0].batch_template.format(
        topic="a ferry", emotion="sad", feeling="very sad", count=3, marker=STORY_MARKER
    )
    assert filled.endswith(STORY_MARKER)
    assert "3" in filled


def test_every_emotion_is_said_in_one_way():
    listed = read_yaml("feelings.yaml")
    said = [*listed["very"], *listed["completely"], *listed["phrases"]]
    assert sorted(said) == sorted(emotions())


@pytest.mark.parametrize(
    ("emotion", "said"),
    [
        ("sad", "very sad"),
        ("hope", "great hope"),
        ("stuck", "completely stuck"),
        ("worn out", "completely worn out"),
        ("at ease", "entirely at ease"),
        ("flummoxed", "flummoxed"),
    ],
)
def test_an_emotion_is_said_as_people_say_it(emotion, said):
    assert feeling(emotion) == said


@pytest.mark.parametrize("emotion", emotions())
def test_how_an_emotion_is_said_names_no_other(emotion):
    assert named_emotions(feeling(emotion)) in ([], [emotion], [emotion.split()[0]])


def test_no_prompt_names_an_emotion_of_its_own():
    texts = [
        template.replace("{emotion}", "").replace("{feeling}", "") for template in all_templates()
    ]
    leaked = {text: words for text in texts for e in emotions() if (words := leaks(text, e))}
    assert leaked == {}
