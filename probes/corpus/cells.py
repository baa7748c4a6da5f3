"""Texts on disk: one file per cell.

``stories/{emotion}/{topic_hash}.json`` and ``neutral/{topic_hash}.json`` hold the accepted texts,
how each was made, why others were rejected, and how many were asked for. Of a corpus that has them,
``said/`` holds the frames that name an emotion and ``matched/`` what is told in the same places
without one. No name leads outside the run's folder.
"""

import hashlib
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from hooks.errors import DataError
from probes.storage import read_json, slug, write_json


class Passage(NamedTuple):
    """A text in its place: what stands before and after it is the same for every emotion."""

    text: str
    opening: str = ""
    closing: str = ""
    form: str = ""
    """How it is told, such as "narrated"; empty where that is not known."""

    @property
    def pieces(self) -> tuple[str, str, str]:
        """Opening, text and closing."""
        return self.opening, self.text, self.closing

    @property
    def whole(self) -> str:
        """All of it, as a model reads it."""
        return " ".join(filter(None, self.pieces))


@dataclass(frozen=True, order=True)
class Cell:
    """One (emotion, topic); neutral cells have no emotion.

    `beside` marks what stands beside the stories: frames that say an emotion, whose topic is the
    frame's name, and without an emotion what is told in the same places.
    """

    emotion: str | None
    topic: str
    beside: bool = False

    @property
    def path(self) -> Path:
        """Where the cell's file lies below the run's folder."""
        name = f"{topic_hash(self.topic)}.json"
        if self.emotion is None:
            return Path("matched" if self.beside else "neutral") / name
        return Path("said" if self.beside else "stories") / slug(self.emotion) / name


@dataclass(frozen=True)
class Text:
    """One accepted text."""

    emotion: str | None
    topic: str
    index: int
    passage: Passage

    @property
    def text(self) -> str:
        """What is its own: all of it but an opening and a closing that others share."""
        return self.passage.text


AROUND = ("opening", "closing", "form")


def brought_content(passages: Sequence[Passage]) -> dict[str, Any]:
    """Return the content of a cell whose texts were not written by the run."""
    texts = [
        {"index": index, **{key: value for key, value in passage._asdict().items() if value}}
        for index, passage in enumerate(passages)
    ]
    return {"texts": texts, "rejected": [], "requested": len(texts), "source": "user"}


def topic_hash(topic: str) -> str:
    """Return the twelve hex digits that stand for a topic in file names."""
    return hashlib.sha256(topic.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def story_cells(emotions: Sequence[str], topics: Sequence[str]) -> list[Cell]:
    """All cells, topic by topic: prompts on one topic share their beginning."""
    return [Cell(emotion, topic) for topic in topics for emotion in emotions]


def neutral_cells(topics: Sequence[str]) -> list[Cell]:
    """One neutral cell per topic."""
    return [Cell(None, topic) for topic in topics]


def write_cell(root: Path, cell: Cell, content: dict[str, Any]) -> None:
    """Write one cell's file atomically."""
    write_json(root / cell.path, {"emotion": cell.emotion, "topic": cell.topic, **content})


def read_cell(root: Path, cell: Cell) -> dict[str, Any]:
    """Read one cell's file; DataError when it is missing, damaged, or belongs to another cell."""
    path = root / cell.path
    content = read_json(path)
    try:
        stored = Cell(content["emotion"], content["topic"], cell.beside)
        texts = content["texts"]
        whole = len(texts) <= content["requested"] and isinstance(content["rejected"], list)
        whole &= all(isinstance(it["index"], int) and is_text(it["text"]) for it in texts)
        whole &= all(isinstance(it.get(key, ""), str) for it in texts for key in AROUND)
    except (TypeError, LookupError, AttributeError) as error:
        raise DataError(
            f"{path} is not a cell file ({type(error).__name__}: {error}). Delete it and run the "
            "stage again: it alone is made anew."
        ) from error
    if stored != cell or not whole:
        raise DataError(
            f"{path}: expected non-empty texts for {cell}, got {len(texts)} for {stored}. "
            "Delete it and run the stage again."
        )
    return content


def n_shared_topics(cells: Iterable[tuple[Hashable, Hashable]]) -> int:
    """Count the topics of (emotion, topic) on which two emotions or more have a text.

    Where no topic is shared a topic gives its emotion away, and no label can be dealt anew within
    it: what is right on a held-out topic is then not defined.
    """
    n_emotions = Counter(topic for _, topic in set(cells))
    return sum(n > 1 for n in n_emotions.values())


def is_text(value: Any) -> bool:
    """Whether a value is a string with something in it."""
    return isinstance(value, str) and bool(value.strip())


def read_corpus(root: Path, cells: Iterable[Cell]) -> Iterator[Text]:
    """Yield every accepted text of the cells, in their order."""
    for cell in cells:
        for story in read_cell(root, cell)["texts"]:
            around = {key: story[key] for key in AROUND if key in story}
            yield Text(cell.emotion, cell.topic, story["index"], Passage(story["text"], **around))


def digest_of_texts(texts: Iterable[Text]) -> str:
    """Return sixteen hex digits of texts in their order, whoever wrote them, and when."""
    digest = hashlib.sha256()
    for text in texts:
        # What stands around a text is named only where there is any: old corpora keep their hash.
        around = [piece for piece in (text.passage.opening, text.passage.closing) if piece]
        digest.update(repr((text.emotion, text.topic, text.index, text.text, *around)).encode())
    return digest.hexdigest()[:16]


def count_texts(root: Path, cells: Iterable[Cell]) -> list[int]:
    """Return the number of accepted texts of each cell; no text is kept in memory."""
    return [len(read_cell(root, cell)["texts"]) for cell in cells]
