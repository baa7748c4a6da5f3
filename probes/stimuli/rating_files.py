"""Ratings of words from a file that the user names; never shipped with the project.

Recognized by their columns, separated by tabs, commas or semicolons:

* NRC-VAD (Mohammad 2018, 2025): a word or term, ``Valence``, ``Arousal``, ``Dominance``, in 0..1 or
  -1..1;
* Warriner et al. (2013): ``Word``, ``V.Mean.Sum``, ``A.Mean.Sum``, ``D.Mean.Sum``, in 1..9;
* Glasgow (Scott et al. 2019): ``word``, ``VAL.M`` and ``AROU.M``, or two header rows with
  ``VAL`` and ``AROU`` over ``M``, in 1..9.

Contract: values come back as they are in the file; a correlation does not mind their scale. Words
are compared in lower case.
"""

import csv
import math
from collections.abc import Sequence
from pathlib import Path

from hooks.errors import InvalidInput

Norms = dict[str, dict[str, float]]
"""Word to valence and arousal."""

_FORMATS = {
    "Warriner": ("word", "v.mean.sum", "a.mean.sum"),
    "Glasgow": ("word", "val.m", "arou.m"),
    "NRC-VAD": ("word", "valence", "arousal"),
}
_WORD = ("word", "words", "term", "english word")


def read_norms(path: str) -> tuple[str, Norms]:
    """Read a file of ratings; returns its format and the ratings; InvalidInput if unknown."""
    file = Path(path)
    if not file.is_file():
        raise InvalidInput(f"validation.norms: {path!r} not found; expected a file of ratings.")
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"validation.norms: {path}: expected UTF-8 text; {error}") from error
    separator = max("\t,;", key=lambda mark: lines[0].count(mark)) if lines else ","
    rows = [row for row in csv.reader(lines, delimiter=separator) if any(map(str.strip, row))]
    header, first = _header(rows)
    for name, (word, valence, arousal) in _FORMATS.items():
        if {word, valence, arousal} <= set(header):
            columns = [header.index(column) for column in (word, valence, arousal)]
            return name, _ratings(path, rows[first:], columns, first)
    raise InvalidInput(
        f"validation.norms: {path}: expected the columns of NRC-VAD (word, valence, arousal), "
        "Warriner (Word, V.Mean.Sum, A.Mean.Sum) or Glasgow (word, VAL.M, AROU.M), got "
        f"{', '.join(header) or 'an empty file'}."
    )


def _header(rows: Sequence[Sequence[str]]) -> tuple[list[str], int]:
    """Return the column names in lower case, and where the ratings begin."""
    if not rows:
        return [], 0
    names = [cell.strip().lower() for cell in rows[0]]
    first = 1
    if len(rows) > 1 and "m" in [cell.strip().lower() for cell in rows[1]]:
        # Two header rows: a scale's name stands over its mean, deviation and count.
        below, scale, joined = [cell.strip().lower() for cell in rows[1]], "", []
        for name, under in zip(names, below, strict=False):
            scale = name or scale
            joined.append(f"{scale}.{under}" if under else scale)
        names, first = joined, 2
    return ["word" if name in _WORD else name for name in names], first


def _ratings(path: str, rows: Sequence[Sequence[str]], columns: Sequence[int], first: int) -> Norms:
    norms: Norms = {}
    for number, row in enumerate(rows, start=first + 1):
        try:
            word, valence, arousal = (row[column].strip() for column in columns)
            values = {"valence": float(valence), "arousal": float(arousal)}
        except (ValueError, IndexError) as error:
            raise InvalidInput(
                f"validation.norms: {path}, row {number}: expected a word with numbers for valence "
                f"and arousal, got {list(row)[:6]}."
            ) from error
        rated = all(math.isfinite(value) for value in values.values())
        if rated and norms.setdefault(word.lower(), values) != values:
            raise InvalidInput(
                f"validation.norms: {path}, row {number}: {word!r} was rated otherwise above; "
                "upper and lower case are one word. Keep one of the rows."
            )
    return norms
