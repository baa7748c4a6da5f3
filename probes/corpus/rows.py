"""Rows of a file of JSON lines that somebody else made, checked field by field.

Contract: nothing is renamed, joined or guessed. An error names the line, what stands there, what is
missing, and the command that cures it.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hooks.errors import InvalidInput
from probes.corpus.cells import is_text
from probes.storage import parse_line

_KINDS = {str: "text", list: "a list", dict: "an object", bool: "true or false"}
_KINDS |= {int: "a number", float: "a number", type(None): "null"}
_SHOWN = 12


def read_rows(path: Path, needed: Sequence[str]) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the rows of a file of JSON lines, each with where it stands.

    `needed` are the fields that hold text. Raises InvalidInput, naming the line.
    """
    if not path.is_file():
        raise InvalidInput(f"{str(path)!r} not found; expected a JSON-lines file.")
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                where = f"{path}, line {number}"
                yield parse_row(line, needed, where), where


def parse_row(line: bytes, needed: Sequence[str], where: str) -> dict[str, Any]:
    """Return one line's object, whose fields `needed` hold text; InvalidInput that says what else.

    `where` says which line of which file it is.
    """
    row = check_fields(parse_line(line, where), needed, where)
    for key in needed:
        if not is_text(row[key]):
            raise InvalidInput(
                f"{where}: expected {key} as text that is not empty, got {_shown(row[key])}. "
                f"{_cure(key, row[key])} FILE > NEW"
            )
    return row


def check_fields(row: Any, needed: Sequence[str], where: str) -> dict[str, Any]:
    """Return what JSON gave as an object that has the fields `needed`; else InvalidInput."""
    names = ", ".join(needed)
    if not isinstance(row, dict):
        cure = " To make lines of a list: jq -c '.[]' FILE > NEW" if isinstance(row, list) else ""
        raise InvalidInput(f"{where}: expected an object with {names}, got {_shown(row)}.{cure}")
    missing = [key for key in needed if key not in row]
    if not missing:
        return row
    there = [*map(str, row)][:_SHOWN] + ["..."] * (len(row) > _SHOWN)
    filled = ", ".join(f"{key}: .NAME" for key in missing)
    cure = f"If other fields hold it, name them: jq -c '. + {{{filled}}}' FILE > NEW"
    if "topic" in missing:
        cure += (
            ". If texts have no topic, give each one of its own, jq -c "
            "'. + {topic: \"text \\(input_line_number)\"}' FILE > NEW; topics that emotions share "
            "are what held-out tests need"
        )
    raise InvalidInput(
        f"{where}: expected an object with {names}, got one with {', '.join(there) or 'nothing'}; "
        f"missing: {', '.join(missing)}. {cure}."
    )


def _shown(value: Any) -> str:
    """Say what kind of value stands there, and how it begins."""
    if value == "" or (isinstance(value, str) and not value.strip()):
        return f"an empty text, {value!r:.40}"
    return f"{_KINDS.get(type(value), 'something else')}, {value!r:.60}"


def _cure(key: str, value: Any) -> str:
    """Say what to do about one field that is no text."""
    if isinstance(value, list):
        return (
            f"A line has one {key}; leave out lines that have another number, or keep the first: "
            f"jq -c '.{key} |= if type == \"array\" then .[0] else . end'"
        )
    if isinstance(value, str):
        return f"Leave such lines out: jq -c 'select(.{key} | test(\"\\\\S\"))'"
    return f"Write it as text, or leave such lines out: jq -c 'select(.{key} | type == \"string\")'"
