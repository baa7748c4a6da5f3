"""A user's own corpus: JSON lines of emotion (but for neutral text), topic and text.

An ``opening`` and a ``closing`` that all texts of a topic share may stand around the text, and a
``form`` may say how it is told. Neutral lines with an opening are told in the places of stories.

A corpus is its content: the file may be moved or renamed, and once its texts are in a run it may be
gone. What the run keeps of it is its digest and its cells (``stages/corpus/stories.json``), so that
no later command reads it again.
"""

import unicodedata
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from hooks.errors import DataError, InvalidInput
from probes.corpus.cells import AROUND, Cell, Passage
from probes.corpus.rows import parse_row
from probes.storage import digest_file, digest_listed, ours, read_object, write_json

CorpusKind = Literal["stories", "said", "neutral"]
_WITH_EMOTION = ("emotion", "topic", "text")
_FIELDS: dict[CorpusKind, tuple[str, ...]] = {
    "stories": _WITH_EMOTION,
    "said": _WITH_EMOTION,
    "neutral": ("topic", "text"),
}


@dataclass(frozen=True)
class CorpusIndex:
    """What is known of a corpus file without reading its texts."""

    sha256: str
    n_bytes: int
    changed: int
    """Time of the last change in nanoseconds."""
    counts: Mapping[Cell, int]
    """Number of texts by cell, in the file's order."""
    forms: Mapping[str, str] = field(default_factory=dict)
    """By topic, where it is known."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        cells = [
            [cell.emotion, cell.topic, count, *([True] if cell.beside else [])]
            for cell, count in self.counts.items()
        ]
        return {**vars(self), "counts": cells}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "CorpusIndex":
        """Undo `to_json`."""
        counts = {
            Cell(emotion, topic, *beside): int(n) for emotion, topic, n, *beside in values["counts"]
        }
        about = (values["sha256"], values["n_bytes"], values["changed"])
        return cls(*about, counts, values.get("forms", {}))


class BroughtCorpus:
    """A file that a config names, and what the run in `kept` remembers of it."""

    def __init__(self, path: str, kind: CorpusKind, *, kept: Path) -> None:
        self.path = path
        self._kind: CorpusKind = kind
        self._kept = kept

    @property
    def is_there(self) -> bool:
        """Whether the file is where the config says."""
        return Path(self.path).is_file()

    @cached_property
    def texts(self) -> "OwnTexts":
        """The texts, read from the file; raises as `read_jsonl`."""
        return read_jsonl(self.path, self._kind)

    @cached_property
    def contents(self) -> CorpusIndex:
        """Cells and digest: as kept where the file is the same or gone, else read."""
        kept = self._read_kept()
        if kept is not None and not self.is_there:
            return kept
        if not self.is_there:
            self.texts  # noqa: B018 - raises, naming the file
        status = Path(self.path).stat()
        now = (status.st_size, status.st_mtime_ns)
        if kept is not None and (kept.n_bytes, kept.changed) == now:
            return kept
        sha256 = digest_file(Path(self.path))
        if kept is not None and kept.sha256 == sha256:
            return kept
        counts = {cell: self.texts.count(cell) for cell in self.texts}
        return CorpusIndex(sha256, *now, counts, self.texts.forms)

    def digest(self, recorded: str | None) -> str:
        """Return sixteen hex digits of the content, spelled as `recorded` when it is the same."""
        sha256 = self.contents.sha256
        before = digest_listed({Path(self.path).name: sha256})  # earlier versions counted the name
        return before if recorded == before else sha256[:16]

    def keep(self) -> None:
        """Write down what later commands need to know."""
        write_json(self._kept, self.contents.to_json())

    def _read_kept(self) -> CorpusIndex | None:
        if not self._kept.is_file():
            return None
        with ours(self._kept):
            return CorpusIndex.from_json(read_object(self._kept))


class OwnTexts(Mapping[Cell, list[Passage]]):
    """A user's texts by cell, in the file's order; what is in memory is where each text begins."""

    def __init__(
        self,
        path: Path,
        kind: CorpusKind,
        begins: dict[Cell, "array[int]"],
        forms: Mapping[str, str],
    ) -> None:
        self._path, self._begins = path, begins
        self._kind: CorpusKind = kind
        self.forms = forms

    def __getitem__(self, cell: Cell) -> list[Passage]:
        texts = []
        with self._path.open("rb") as file:
            for begin in self._begins[cell]:
                file.seek(begin)
                read, text = _parse(file.readline(), self._kind, str(self._path))
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

    def where(self, cell: Cell, index: int) -> str:
        """Say in which line of the file one of a cell's texts stands."""
        with self._path.open("rb") as file:
            line = file.read(self._begins[cell][index]).count(b"\n") + 1
        return f"{self._path}, line {line}"


def read_jsonl(path: str, kind: CorpusKind) -> OwnTexts:
    """Check a user's own corpus: JSON lines with emotion (but for neutral text), topic and text.

    Raises InvalidInput when the file cannot be read, or a line (named) lacks a field, has an empty
    text, or another form than its topic had before.
    """
    source = Path(path)
    if not source.is_file():
        raise InvalidInput(f"corpus file {path!r} not found; expected a JSON-lines file.")
    try:
        begins, forms = _begins(source, kind)
    except OSError as error:
        raise InvalidInput(
            f"corpus file {path!r} cannot be read: {error.strerror}. Check its permissions."
        ) from error
    if not begins:
        raise InvalidInput(f"{path} has no texts.")
    for what, labels in (
        ("emotion", {cell.emotion for cell in begins if cell.emotion is not None}),
        ("topic", {cell.topic for cell in begins}),
    ):
        _check_spellings(path, what, labels)
    return OwnTexts(source, kind, begins, forms)


def _check_spellings(path: str, what: str, labels: set[str]) -> None:
    """Refuse labels that a reader takes for one and a computer does not."""
    by_look: dict[str, list[str]] = {}
    for label in sorted(labels):
        look = " ".join(unicodedata.normalize("NFKC", label).casefold().split())
        by_look.setdefault(look, []).append(label)
    if alike := [names for names in by_look.values() if len(names) > 1]:
        listed = "; ".join(", ".join(map(ascii, names)) for names in alike[:10])
        raise InvalidInput(
            f"{path}: expected one spelling of each {what}, got labels that differ in case, blanks "
            f"or Unicode form alone: {listed}. Write each the same way in every line."
        )


def _begins(source: Path, kind: CorpusKind) -> tuple[dict[Cell, "array[int]"], dict[str, str]]:
    """Find where each of a cell's texts begins and the form of each topic, checking every line."""
    begins: dict[Cell, array[int]] = {}
    forms: dict[str, str] = {}
    begin = 0
    with source.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                cell, passage = _parse(line, kind, where := f"{source}, line {number}")
                begins.setdefault(cell, array("Q")).append(begin)
                if forms.setdefault(cell.topic, passage.form) != passage.form:
                    raise InvalidInput(
                        f"{where}: expected the form of earlier lines of topic {cell.topic!r}, "
                        f"{forms[cell.topic]!r}, got {passage.form!r}. Give every topic one form."
                    )
            begin += len(line)
    return begins, {topic: form for topic, form in forms.items() if form}


def _parse(line: bytes, kind: CorpusKind, where: str) -> tuple[Cell, Passage]:
    """Return the cell and the text of one line."""
    row = parse_row(line, _FIELDS[kind], where)
    around = {key: row[key] for key in AROUND if key in row}
    if wrong := [key for key, value in around.items() if not isinstance(value, str)]:
        raise InvalidInput(f"{where}: expected strings for {', '.join(wrong)}.")
    passage = Passage(row["text"], **{key: value.strip() for key, value in around.items()})
    emotion = None if kind == "neutral" else row["emotion"]
    beside = kind == "said" or (kind == "neutral" and bool(passage.opening))
    return Cell(emotion, row["topic"], beside), passage
