"""What the writer is asked: story and neutral-dialogue prompts.

Contract
--------
* Templates are filled with `str.format`: {topic}, {emotion}; batch templates also {count} and
  {marker}. No other placeholder occurs.
* A chat template is one user turn. A plain template is for base models: it ends with a line break,
  and the next thing written is the text itself.
* Apart from {emotion}, no prompt contains a word that names an emotion (held by a test).
* Not known here: chat templates of tokenizers, sampling, how answers are judged (`filtering`).
"""

from dataclasses import dataclass
from functools import cache
from typing import Literal

from probes.stimuli._data import read_yaml

STORY_MARKER = "=== next story ==="
"""The line between two stories when one prompt asks for several."""


@dataclass(frozen=True)
class StoryPrompt:
    """One phrasing of the request for a story.

    Attributes
    ----------
    id
        Short name, unique and stable: it is stored with each story.
    person
        Who tells the story.
    template
        Chat turn for one story: {topic}, {emotion}.
    plain_template
        Text that a base model continues with the story: {topic}, {emotion}.
    batch_template
        Chat turn for several stories: {topic}, {emotion}, {count}, {marker}.
    """

    id: str
    person: Literal["first", "third"]
    template: str
    plain_template: str
    batch_template: str


@dataclass(frozen=True)
class NeutralPrompt:
    """One phrasing of the request for an unemotional dialogue.

    Attributes
    ----------
    id
        Short name, unique and stable: it is stored with each dialogue.
    template
        Chat turn: {topic}.
    plain_template
        Text that a base model continues with "Person: ...": {topic}.
    question
        What the Person asks when the writer is only asked for the Assistant's answer: {topic}.
    """

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
