"""The corpus that comes with the package: emotions said, shown and carried (its README.md)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

NAME = "reference"
"""What a config and a command call it."""
_FOLDER = files("probes.stimuli") / "corpora" / "reference"


@dataclass(frozen=True)
class Situation:
    """One topic: what stands word for word in all of its texts, and how it is told."""

    name: str
    form: str
    person: str
    tense: str
    area: str
    opening: str
    closing: str


@dataclass(frozen=True)
class Frame:
    """A sentence or two that only say an emotion; `text` holds ``{feel}`` or ``{be}``."""

    name: str
    form: str
    text: str

    def filled(self, phrase: Mapping[str, str]) -> str:
        """Return the frame with the phrase that fits."""
        return self.text.format(**phrase)


@dataclass(frozen=True)
class Ending:
    """What differs between the texts of one situation."""

    emotion: str
    topic: str
    text: str
    writer: str


@dataclass(frozen=True)
class NeutralEnding:
    """An ending in which the person of a situation simply goes on."""

    topic: str
    number: int
    text: str


@cache
def situations() -> tuple[Situation, ...]:
    """Return the sixteen situations; the first 4, 8 and 12 are balanced by themselves."""
    keys = ("form", "person", "tense", "area", "opening", "closing")
    return tuple(
        Situation(topic["id"], **{key: topic[key] for key in keys})
        for topic in _read_yaml("topics.yaml")
    )


@cache
def endings() -> tuple[Ending, ...]:
    """Return the endings that show an emotion: one for each, in each situation."""
    rows = _read_lines("stories.jsonl")
    return tuple(Ending(it["emotion"], it["topic"], it["ending"], it["writer"]) for it in rows)


@cache
def neutral_endings() -> tuple[NeutralEnding, ...]:
    """Return twelve endings of each situation that show nothing: its matched zero."""
    rows = _read_lines("neutral_endings.jsonl")
    return tuple(NeutralEnding(it["topic"], it["number"], it["ending"]) for it in rows)


@cache
def dialogues() -> Mapping[str, str]:
    """Return neutral dialogues of a person and an assistant, by subject."""
    return {it["topic"]: it["text"] for it in _read_lines("neutral.jsonl")}


@cache
def frames() -> tuple[Frame, ...]:
    """Return the frames that say an emotion."""
    return tuple(
        Frame(it["id"], it["form"], it["text"]) for it in _read_yaml("said.yaml")["frames"]
    )


def phrase_of(emotion: str) -> dict[str, str]:
    """Return how an emotion is said after a form of "feel" and of "be"."""
    listed = _read_yaml("said.yaml")["phrases"].get(emotion, {})
    return {kind: listed.get(kind, emotion) for kind in ("feel", "be")}


def _read_lines(name: str) -> list[Any]:
    lines = (_FOLDER / name).read_text(encoding="utf-8").splitlines()
    return list(map(json.loads, lines))


@cache
def _read_yaml(name: str) -> Any:
    return yaml.safe_load((_FOLDER / name).read_text(encoding="utf-8"))
