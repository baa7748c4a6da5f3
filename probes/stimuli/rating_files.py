"""Ratings of words from a file that the user names; never shipped with the project.

Recognized by their columns, separated by tabs, semicolons or commas:

* NRC-VAD (Mohammad 2018, 2025): a word or term, ``Valence``, ``Arousal``, ``Dominance``; also as it
  is published, without a row of names: those four by tabs, values in -1..1;
* Warriner et al. (2013): ``Word``, ``V.Mean.Sum``, ``A.Mean.Sum``, ``D.Mean.Sum``, in 1..9;
* Glasgow (Scott et al. 2019): ``word``, ``VAL.M`` and ``AROU.M``, or two header rows with
  ``VAL`` and ``AROU`` over ``M``, in 1..9.

Contract: a line is a row; blank lines and those that begin with ``#`` are none. A row with an empty
cell or ``NA`` in a column that is read is not rated, and counted. Numbers may have decimal commas;
a row with more cells than the columns have names is refused. Values come back as they are in the
file; a correlation does not mind their scale. The same letters in another case are another word,
which counts where the word itself is not there.
"""

import csv
import io
import itertools
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hooks.errors import InvalidInput
from probes.storage import decode

Norms = dict[str, dict[str, float]]
"""Word to valence and arousal."""

_FORMATS = {
    "Warriner": ("word", "v.mean.sum", "a.mean.sum"),
    "Glasgow": ("word", "val.m", "arou.m"),
    "NRC-VAD": ("word", "valence", "arousal"),
}
_WORD = ("word", "words", "term", "english word")
_NOT_RATED = ("", "na", "n/a", "#n/a", "nan", "null", ".")
_SEPARATORS = {"\t": "tabs", ";": "semicolons", ",": "commas"}
_NRC_CELLS = 4
Line = tuple[int, str]
"""Number in the file, from 1, and content."""


@dataclass(frozen=True)
class RatingFile:
    """Ratings of a file by word, as it is spelled there; `n_unrated` of its `n_rows` have none."""

    path: str
    format: str
    norms: Norms
    n_rows: int
    n_unrated: int

    def of(self, words: Iterable[str]) -> Norms:
        """Return the ratings of these words, in their spelling.

        InvalidInput where a word is there in other cases alone, and they are rated differently.
        """
        by_letters: dict[str, list[str]] = {}
        for spelling in self.norms:
            by_letters.setdefault(spelling.casefold(), []).append(spelling)
        return {
            word: self.norms[word if word in self.norms else self._only(word, spellings)]
            for word in words
            if (spellings := by_letters.get(word.casefold()))
        }

    def _only(self, word: str, spellings: Sequence[str]) -> str:
        if any(self.norms[other] != self.norms[spellings[0]] for other in spellings):
            raise InvalidInput(
                f"validation.norms: {self.path}: expected one rating of {word!r}, got those of "
                f"{', '.join(map(repr, spellings))}, which differ. Keep one of these rows."
            )
        return spellings[0]


@dataclass(frozen=True)
class _Table:
    """How a file is laid out: the places of word, valence and arousal, and how many cells are."""

    format: str
    separator: str
    places: Sequence[int]
    n_cells: int
    rows: Sequence[Line]
    most: float = math.inf

    def rating(self, line: str) -> tuple[str, list[float]] | None:
        """Return a row's word and ratings; None where it has not all; ValueError that says why."""
        cells = _cells(line, self.separator)
        if any(cells[self.n_cells :]):
            raise ValueError(
                f"{len(cells)} cells by {_SEPARATORS[self.separator]}, and {self.n_cells} columns"
            )
        if len(cells) <= max(self.places):
            raise ValueError(f"{len(cells)} cells of {self.n_cells}")
        word, *values = (cells[place] for place in self.places)
        if not word or any(value.lower() in _NOT_RATED for value in values):
            return None
        ratings = [float(value.replace(",", ".")) for value in values]
        if any(not abs(rating) <= self.most or math.isinf(rating) for rating in ratings):
            raise ValueError(f"numbers from {-self.most:g} to {self.most:g} in this format")
        return word, ratings


def read_norms(path: str) -> RatingFile:
    """Read a file of ratings; InvalidInput where it is of no known format, naming a wrong line."""
    lines = _lines(path)
    table = _recognized(lines)
    if table is None:
        number, head = next(iter(lines), (1, ""))
        raise InvalidInput(
            f"validation.norms: {path}, line {number}: expected the columns of NRC-VAD (word, "
            "valence, arousal; or none, and four cells by tabs), Warriner (Word, V.Mean.Sum, "
            f"A.Mean.Sum) or Glasgow (word, VAL.M, AROU.M), got {head[:80] or 'an empty file'}. "
            "Name the columns as one of these does."
        )
    norms: Norms = {}
    lines_of: dict[str, int] = {}
    n_unrated = 0
    for number, line in table.rows:
        where = f"validation.norms: {path}, line {number}"
        try:
            rated = table.rating(line)
        except (ValueError, csv.Error) as error:
            raise InvalidInput(
                f"{where}: expected a word with numbers for valence and arousal, got "
                f"{line[:80]!r} ({error}). Mend the line, or take it out."
            ) from error
        if rated is None:
            n_unrated += 1
            continue
        word, (valence, arousal) = rated
        values = {"valence": valence, "arousal": arousal}
        if norms.setdefault(word, values) != values:
            raise InvalidInput(
                f"{where}: {word!r} was rated otherwise in line {lines_of[word]}. Keep one of them."
            )
        lines_of.setdefault(word, number)
    return RatingFile(path, table.format, norms, len(table.rows), n_unrated)


def _lines(path: str) -> list[Line]:
    """Read the lines that hold something; a row never goes over two of them."""
    file = Path(path)
    if not file.is_file():
        raise InvalidInput(f"validation.norms: {path!r} not found; expected a file of ratings.")
    try:
        text = io.StringIO(decode(file.read_bytes()), newline=None)
    except ValueError as error:
        raise InvalidInput(f"validation.norms: {path}: expected UTF-8 text; {error}.") from error
    lines = ((number, line.rstrip("\n")) for number, line in enumerate(text, start=1))
    return [(number, line) for number, line in lines if line.strip()]


def _recognized(lines: Sequence[Line]) -> _Table | None:
    """Find the separator for which the first row has the columns of a format."""
    comments = list(itertools.takewhile(_is_comment, lines))
    rows = [line for line in lines if not _is_comment(line)]
    for separator in _SEPARATORS:
        # Names of columns may stand behind a comment's mark.
        heads = [(rows, 0), ([(0, line.lstrip("# ")) for _, line in comments[-1:]], 1)]
        for head, n_more in heads:
            names, n_names = _names(head, separator)
            for name, columns in _FORMATS.items():
                if {*columns} <= {*names}:
                    places = [names.index(column) for column in columns]
                    return _Table(name, separator, places, len(names), rows[n_names - n_more :])
    published = _Table("NRC-VAD", "\t", (0, 1, 2), _NRC_CELLS, rows, most=1.0)
    if not rows or len(_cells(rows[0][1], "\t")) != _NRC_CELLS:
        return None
    try:
        published.rating(rows[0][1])
    except ValueError:
        return None
    return published


def _is_comment(line: Line) -> bool:
    return line[1].startswith("#")


def _names(rows: Sequence[Line], separator: str) -> tuple[list[str], int]:
    """Return the column names in lower case, and how many rows they take."""
    names, below, *_ = [*(_lower(line, separator) for _, line in rows[:2]), [], []]
    n_names = 1
    if below.count("m") > 1:
        # Two header rows: a scale's name stands over its mean, deviation and count.
        scale, joined = "", []
        for name, under in itertools.zip_longest(names, below, fillvalue=""):
            scale = name or scale
            joined.append(f"{scale}.{under}" if under else scale)
        names, n_names = joined, 2
    return ["word" if name in _WORD else name for name in names], n_names


def _lower(line: str, separator: str) -> list[str]:
    """Split what may be a row of names; nothing where it cannot be split so."""
    try:
        return [cell.lower() for cell in _cells(line, separator)]
    except csv.Error:
        return []


def _cells(line: str, separator: str) -> list[str]:
    """Split a row. Between tabs a quote is a letter, but where it stands around a whole cell."""
    if separator == "\t":
        cells = [cell.strip() for cell in line.split("\t")]
        return [re.sub(r'^"(.*)"$', r"\1", cell).replace('""', '"') for cell in cells]
    [cells] = csv.reader([line], delimiter=separator, strict=True, skipinitialspace=True)
    return [cell.strip() for cell in cells]
