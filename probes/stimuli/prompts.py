"""What the writer is asked: story and neutral-dialogue prompts.

Templates are filled with `str.format`: {topic}, {feeling} ("very sad"), {emotion}; batch templates
also {count} and {marker}. A plain template is for base models: it ends with a line break, and the
next thing written is the text. Apart from {feeling} and {emotion}, no prompt contains a word that
names an emotion (held by a test).
"""

from dataclasses import dataclass
from functools import cache
from typing import Literal

from probes.stimuli._data import read_yaml

STORY_MARKER = "=== next story ==="
"""The line between two stories when one prompt asks for several."""


@dataclass(frozen=True)
class StoryPrompt:
    """One phrasing of the request for a story: of a chat model, a base model, several at once."""

    id: str
    person: Literal["first", "third"]
    template: str
    plain_template: str
    batch_template: str


@dataclass(frozen=True)
class NeutralPrompt:
    """One phrasing of the request for a dialogue, and the Person's question for an answer."""

    id: str
    template: str
    plain_template: str
    question: str


@cache
def story_prompts() -> tuple[StoryPrompt, ...]:
    """Return the story phrasings, third and first person in turn."""
    return tuple(StoryPrompt(**row) for row in read_yaml("prompts.yaml")["stories"])


@cache
def neutral_prompts() -> tuple[NeutralPrompt, ...]:
    """Return the neutral-dialogue phrasings."""
    return tuple(NeutralPrompt(**row) for row in read_yaml("prompts.yaml")["neutral"])


def feeling(emotion: str) -> str:
    """Return the emotion as it is said strongly after "feel": "very sad", "great hope".

    A word of your own is said as it is: it may be no adjective.
    """
    return _feelings().get(emotion, emotion)


@cache
def _feelings() -> dict[str, str]:
    listed = read_yaml("feelings.yaml")
    degrees = ("very", "completely")
    said = {each: f"{degree} {each}" for degree in degrees for each in listed[degree]}
    return said | listed["phrases"]
