"""The corpus that comes with the package: emotions said, shown and carried (its README.md)."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from probes.corpus.brought import CorpusIndex, CorpusKind
from probes.corpus.cells import Cell, Passage
from probes.stimuli import emotions
from probes.storage import digest_of

NAME = "reference"
"""What a config and a command call it."""
VERSION = "1.0"
"""Rises with every change of a text."""
_FOLDER = files("probes.stimuli") / "corpora" / "reference"


def named(stories: str | None) -> str | None:
    """Return name and version where the setting ``corpus.stories`` names this corpus."""
    return f"{NAME} {VERSION}" if stories == NAME else None


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

    def around(self, ending: str) -> Passage:
        """Return an ending in its place."""
        return Passage(ending, self.opening, self.closing, self.form)


@dataclass(frozen=True)
class Frame:
    """A sentence or two that only say an emotion; `text` holds ``{feel}`` or ``{be}``."""

    name: str
    form: str
    text: str

    def filled(self, phrase: Mapping[str, str]) -> str:
        """Return the frame with the phrase that fits."""
        return self.text.format(**phrase)

    def around(self, phrase: Mapping[str, str]) -> Passage:
        """Return a phrase in its place; punctuation goes with it."""
        before, kind, after = re.split(r"\{(\w+)\}", self.text)
        mark, rest = re.fullmatch(r"(\W*)(.*)", after, flags=re.DOTALL).groups()  # type: ignore[union-attr]
        return Passage(phrase[kind] + mark.strip(), before.strip(), rest.strip(), self.form)


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


class ReferenceTexts(Mapping[Cell, list[Passage]]):
    """The texts of one kind by cell, topic by topic or frame by frame."""

    def __init__(self, cells: Mapping[Cell, list[Passage]]) -> None:
        self._cells = cells
        self.forms = {cell.topic: passages[0].form for cell, passages in cells.items()}

    def __getitem__(self, cell: Cell) -> list[Passage]:
        return self._cells[cell]

    def __iter__(self) -> Iterator[Cell]:
        return iter(self._cells)

    def __len__(self) -> int:
        return len(self._cells)

    def count(self, cell: Cell) -> int:
        """Return the number of a cell's texts."""
        return len(self._cells[cell])

    def where(self, cell: Cell, index: int) -> str:
        """Say which text it is."""
        return f"text {index} of {cell} in the corpus {NAME!r}"


class ReferenceCorpus:
    """What a run needs of the corpus, as of a `brought.BroughtCorpus`."""

    path = NAME
    is_there = True

    def __init__(self, kind: CorpusKind) -> None:
        self._kind: CorpusKind = kind
        self.texts = _texts(kind)

    @property
    def contents(self) -> CorpusIndex:
        """Cells and digest."""
        return _contents(self._kind)

    def digest(self, recorded: str | None = None) -> str:  # noqa: ARG002 - as that of a file
        """Return name, version and sixteen hex digits of the content."""
        return f"{NAME} {VERSION} {self.contents.sha256[:16]}"

    def keep(self) -> None:
        """Do nothing: it is there for every later command."""


def _story_cells() -> dict[Cell, list[Passage]]:
    texts = {(it.emotion, it.topic): it.text for it in endings()}
    return {
        Cell(emotion, place.name): [place.around(texts[emotion, place.name])]
        for place in situations()
        for emotion in emotions()
    }


def _said_cells() -> dict[Cell, list[Passage]]:
    return {
        Cell(emotion, frame.name, True): [frame.around(phrase_of(emotion))]
        for frame in frames()
        for emotion in emotions()
    }


def _neutral_cells() -> dict[Cell, list[Passage]]:
    """Dialogues by subject, and what is told in the places of stories."""
    cells = {Cell(None, subject): [Passage(text)] for subject, text in dialogues().items()}
    places = {place.name: place for place in situations()}
    for it in neutral_endings():
        cells.setdefault(Cell(None, it.topic, True), []).append(places[it.topic].around(it.text))
    return cells


_CELLS = {"stories": _story_cells, "said": _said_cells, "neutral": _neutral_cells}


@cache
def _texts(kind: CorpusKind) -> ReferenceTexts:
    return ReferenceTexts(_CELLS[kind]())


@cache
def _contents(kind: CorpusKind) -> CorpusIndex:
    texts = _texts(kind)
    counts = {cell: texts.count(cell) for cell in texts}
    digest = digest_of([[*cell.path.parts, *passages] for cell, passages in texts.items()])
    return CorpusIndex(digest, 0, 0, counts, texts.forms)


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
    """Return the frames that say an emotion; narrated and voiced ones take turns."""
    listed = sorted(_read_yaml("said.yaml")["frames"], key=lambda it: (it["id"][1:], it["id"]))
    return tuple(Frame(it["id"], it["form"], it["text"]) for it in listed)


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
