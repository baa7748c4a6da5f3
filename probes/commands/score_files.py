"""Files of scores, written text by text: tables, and a page of colored tokens."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow
from pyarrow.csv import CSVWriter
from pyarrow.parquet import ParquetWriter

from probes.storage import writing
from probes.texts.dialogue import Turn, words_of
from probes.texts.scoring import Scores
from probes.texts.token_page import Block, render

SUFFIXES = (".csv", ".parquet", ".html")
PAGE_TEXTS = 200  # of a page
_OWN = ("level", "id", "turn", "role", "position", "content", "n_tokens")
_ROWS_AT_ONCE = 20_000


@dataclass(frozen=True)
class Given:
    """One text as the user gave it: plain, or a chat of turns."""

    name: str
    text: str = ""
    turns: tuple[Turn, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    """What of a chat is no turn's words, and how often."""


@dataclass(frozen=True)
class Shown:
    """Emotions that are shown, and their places among the vectors."""

    emotions: Sequence[str]
    places: Sequence[int]

    @property
    def columns(self) -> list[str]:
        """Columns of a table."""
        return [f"emotion_{name}" if name in _OWN else name for name in self.emotions]


class Sink(Protocol):
    """Something that takes one text's scores after the other."""

    def take(self, one: Given, scores: Scores) -> None:
        """Write one text's scores."""


@contextmanager
def open_sink(path: Path, shown: Shown, about: str) -> Iterator[Sink]:
    """Open a file by its suffix; it is written when the block ends without an error."""
    with writing(path) as file:
        is_page = path.suffix == ".html"
        sink = _Page(file, shown, about) if is_page else _Table(file, shown, path.suffix)
        try:
            yield sink
        finally:  # also where the file is dropped: some would write to it when they are collected
            sink.close()


class _Table:
    def __init__(self, file: Any, shown: Shown, suffix: str) -> None:
        self._shown, self._rows = shown, []
        kinds = dict.fromkeys(_OWN, pyarrow.string())
        kinds |= dict.fromkeys(("turn", "position", "n_tokens"), pyarrow.int64())
        self._schema = pyarrow.schema(kinds | dict.fromkeys(shown.columns, pyarrow.float64()))
        self._writer = (CSVWriter if suffix == ".csv" else ParquetWriter)(file, self._schema)

    def take(self, one: Given, scores: Scores) -> None:
        self._rows += rows(one, scores, self._shown)
        if len(self._rows) >= _ROWS_AT_ONCE:
            self._write()

    def _write(self) -> None:
        self._writer.write_table(pyarrow.Table.from_pylist(self._rows, schema=self._schema))
        self._rows = []

    def close(self) -> None:
        self._write()
        self._writer.close()


class _Page:
    def __init__(self, file: Any, shown: Shown, about: str) -> None:
        self._file, self._shown, self._about = file, shown, about
        self._blocks, self._n = [], 0

    def take(self, one: Given, scores: Scores) -> None:
        self._n += 1
        if self._n <= PAGE_TEXTS:
            self._blocks += _blocks(one, scores, self._shown)

    def close(self) -> None:
        about = self._about
        if self._n > PAGE_TEXTS:
            about += f"; the first {PAGE_TEXTS} of {self._n} texts"
        title = "Emotion scores, token by token"
        page = render(title, about, self._shown.emotions, self._blocks)
        self._file.write(page.encode("utf-8"))


def rows(one: Given, scores: Scores, shown: Shown) -> list[dict[str, Any]]:
    """One row for the text, then one per turn, then one per token; `level` says which."""
    table = []

    def add(values: Any, *about: Any) -> None:
        values = dict(zip(shown.columns, values[shown.places].tolist(), strict=True))
        table.append(dict(zip(_OWN, about, strict=True)) | values)

    add(scores.whole, "text", one.name, None, None, None, scores.text, len(scores.pieces))
    turn_of: dict[int, int] = {}
    for turn, ((a, b), words) in enumerate(zip(scores.spans, one.turns, strict=True)):
        turn_of |= dict.fromkeys(range(a, b), turn)
        about = (turn, words.speaker, None, words_of(words), b - a)
        add(scores.parts[turn], "turn", one.name, *about)
    for place, word in enumerate(scores.words):
        turn = turn_of.get(place)
        role = None if turn is None else one.turns[turn].speaker
        add(scores.tokens[place], "token", one.name, turn, role, place, word, 1)
    return table


def _blocks(one: Given, scores: Scores, shown: Shown) -> list[Block]:
    tokens, places = scores.tokens[:, shown.places], shown.places
    if not one.turns:
        about, z = f", {len(scores.pieces)} tokens", scores.z[places]
        return [Block(one.name, about, scores.words, tokens, scores.whole[places], z=z)]
    return [
        Block(
            f"{n} {turn.speaker}", f", {b - a} tokens", scores.words[a:b], tokens[a:b], part[places]
        )
        for n, (turn, (a, b), part) in enumerate(
            zip(one.turns, scores.spans, scores.parts, strict=True), start=1
        )
    ]
