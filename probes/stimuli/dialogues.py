"""Dialogues in which it is known what each speaker feels: crossed, and hidden behind another.

What they are for, who wrote them and how they are checked is told by `corpora/speakers/README.md`
and `corpora/deflection/README.md`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from pydantic import TypeAdapter

from probes.stimuli._data import read_corpus_file

_Kind = TypeVar("_Kind")


@dataclass(frozen=True)
class Script:
    """A dialogue as one text of "Name: words" lines, and where each turn's words stand in it."""

    text: str
    turns: tuple[tuple[int, int], ...]
    """First character of each turn's words, and the one after the last."""

    @classmethod
    def of(cls, speakers: Sequence[str], turns: Sequence[str], before: str = "") -> "Script":
        """Lay out turns whose speakers alternate, after a paragraph that comes before."""
        text, stretches = f"{before}\n\n" if before else "", []
        for number, words in enumerate(turns):
            text += f"{speakers[number % len(speakers)]}: "
            stretches.append((len(text), len(text) + len(words)))
            text += f"{words}\n"
        return cls(text.rstrip("\n"), tuple(stretches))


@dataclass(frozen=True)
class CrossedDialogue:
    """Six turns of two people, each with an emotion and a cause of it of their own.

    `a` is felt by the first of `names`, who begins, `b` by the second.
    """

    a: str
    b: str
    setting: str
    names: tuple[str, str]
    turns: tuple[str, ...]
    writer: str

    @property
    def script(self) -> Script:
        """The dialogue as one text."""
        return Script.of(self.names, self.turns)


@dataclass(frozen=True)
class DeflectedDialogue:
    """Six turns of two people, of whom the first of `names` shows an emotion and feels another.

    The other one begins. Only `setup` tells what is felt, and that nobody is to see it.
    """

    felt: str
    shown: str
    setting: str
    names: tuple[str, str]
    setup: str
    turns: tuple[str, ...]
    writer: str

    @property
    def script(self) -> Script:
        """The dialogue as one text after its setup."""
        return Script.of(self.names[::-1], self.turns, self.setup)

    @property
    def without_setup(self) -> Script:
        """The turns alone."""
        return Script.of(self.names[::-1], self.turns)


@cache
def crossed_dialogues() -> tuple[CrossedDialogue, ...]:
    """Return 144: twelve emotions of one speaker crossed with twelve of the other, 12 settings."""
    return _read("speakers", CrossedDialogue)


@cache
def deflected_dialogues() -> tuple[DeflectedDialogue, ...]:
    """Return 96: twelve emotions that are felt in each of 8 settings, behind one of four others."""
    return _read("deflection", DeflectedDialogue)


def _read(corpus: str, kind: type[_Kind]) -> tuple[_Kind, ...]:
    lines = read_corpus_file(corpus, "dialogues.jsonl").splitlines()
    read = TypeAdapter(kind).validate_python
    return tuple(read(json.loads(line)) for line in lines)
