"""Stories and neutral dialogues on disk: one file per cell.

``stories/{emotion}/{topic_hash}.json`` and ``neutral/{topic_hash}.json`` hold the accepted texts,
how each was made, why others were rejected, and how many were asked for. Users' own texts
(`read_jsonl`) come in the same form. No name leads outside the run's folder.
"""

import hashlib
import json
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hooks.errors import DataError, InvalidInput
from probes.storage import read_json, slug, write_json


@dataclass(frozen=True, order=True)
class Cell:
    """One (emotion, topic); neutral cells have no emotion."""

    emotion: str | None
    topic: str

    @property
    def path(self) -> Path:
        """Where the cell's file lies below the run's folder."""
        name = f"{topic_hash(self.topic)}.json"
        if self.emotion is None:
            return Path("neutral") / name
        return Path("stories") / slug(self.emotion) / name


@dataclass(frozen=True)
class Text:
    """One accepted text."""

    emotion: str | None
    topic: str
    index: int
    text: str


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
        stored = Cell(content["emotion"], content["topic"])
        texts = content["texts"]
        whole = len(texts) <= content["requested"] and isinstance(content["rejected"], list)
        whole &= all(isinstance(it["index"], int) and _is_text(it["text"]) for it in texts)
    except (TypeError, KeyError) as error:
        raise DataError(
            f"{path} is not a cell file (missing {error}). Delete it and run the stage again."
        ) from error
    if stored != cell or not whole:
        raise DataError(
            f"{path}: expected non-empty texts for {cell}, got {len(texts)} for {stored}. "
            "Delete it and run the stage again."
        )
    return content


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def read_corpus(root: Path, cells: Iterable[Cell]) -> Iterator[Text]:
    """Yield every accepted text of the cells, in their order."""
    for cell in cells:
        for story in read_cell(root, cell)["texts"]:
            yield Text(cell.emotion, cell.topic, story["index"], story["text"])


def count_texts(root: Path, cells: Iterable[Cell]) -> list[int]:
    """Return the number of accepted texts of each cell; no text is kept in memory."""
    return [len(read_cell(root, cell)["texts"]) for cell in cells]


class OwnTexts(Mapping[Cell, list[str]]):
    """A user's texts by cell, in the file's order; what is in memory is where each text begins."""

    def __init__(self, path: Path, begins: dict[Cell, "array[int]"]) -> None:
        self._path, self._begins = path, begins

    def __getitem__(self, cell: Cell) -> list[str]:
        texts = []
        with self._path.open("rb") as file:
            for begin in self._begins[cell]:
                file.seek(begin)
                read, text = _parse(file.readline(), cell.emotion is not None, str(self._path))
                if read != cell:
                    raise DataError(
                        f"{self._path} was changed while it was used: expected a text of {cell}, "
                        f"found one of {read}. Start again."
                    )
                texts.append(text)
        return texts

    def __iter__(self) -> Iterator[Cell]:
        return iter(self._begins)

    def __len__(self) -> int:
        return len(self._begins)

    def count(self, cell: Cell) -> int:
        """Return the number of a cell's texts; nothing is read."""
        return len(self._begins[cell])


def read_jsonl(path: str, *, emotion: bool) -> OwnTexts:
    """Check a user's own corpus: JSON lines with emotion (stories only), topic and text.

    Raises InvalidInput when the file cannot be read, or a line (named) lacks a field or has an
    empty text.
    """
    source = Path(path)
    if not source.is_file():
        raise InvalidInput(f"corpus file {path!r} not found; expected a JSON-lines file.")
    try:
        begins = _begins(source, emotion)
    except OSError as error:
        raise InvalidInput(
            f"corpus file {path!r} cannot be read: {error.strerror}. Check its permissions."
        ) from error
    if not begins:
        raise InvalidInput(f"{path} has no texts.")
    return OwnTexts(source, begins)


def _begins(source: Path, emotion: bool) -> dict[Cell, "array[int]"]:
    """Find the byte at which each of a cell's texts begins, checking every line."""
    begins: dict[Cell, array[int]] = {}
    begin = 0
    with source.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                cell, _ = _parse(line, emotion, f"{source}, line {number}")
                begins.setdefault(cell, array("Q")).append(begin)
            begin += len(line)
    return begins


def _parse(line: bytes, emotion: bool, where: str) -> tuple[Cell, str]:
    """Return the cell and the text of one line."""
    needed = ("emotion", "topic", "text") if emotion else ("topic", "text")
    try:
        row = json.loads(line.decode("utf-8-sig"))
        values = [row[key] for key in needed]
        # Half a surrogate pair can be spelled in JSON and neither stored nor tokenized.
        "".join(value for value in values if isinstance(value, str)).encode("utf-8")
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInput(
            f"{where}: expected a JSON object with {', '.join(needed)} "
            f"({type(error).__name__}: {error})."
        ) from error
    if not all(_is_text(value) for value in values):
        raise InvalidInput(f"{where}: expected non-empty strings for {', '.join(needed)}.")
    return Cell(row["emotion"] if emotion else None, row["topic"]), row["text"]
