"""Texts for the audit: of the corpus that comes with the package, or of files of JSON lines.

A line of a user's file has `emotion` (not in neutral files), `topic` and `text`; it may have
`opening` and `closing`, which stand around the text and are the same in all texts of a topic, and
`form`. Of a frame that says an emotion, `topic` is the frame's name and `text` the phrase.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from hooks.errors import InvalidInput
from probes.corpus import reference
from probes.corpus.audit import AuditedText
from probes.corpus.rows import read_rows

ABOUT = ("form", "person", "tense", "area", "writer")
"""What may be known of a text beside its emotion and topic."""
SAID, SHOWN = "said", "shown"
_WAYS = (SAID, SHOWN, "carried")
_NO_FORM = "no form"


def stories(source: str) -> list[AuditedText]:
    """Return the texts that show an emotion, of ``reference`` or of a file.

    Raises InvalidInput, naming the line, where a field is missing or of another kind.
    """
    if source == reference.NAME:
        return _reference_endings()
    texts = _of_file(source, ("emotion", "topic", "text"))
    if any("form" in text.about for text in texts):
        return [replace(text, about={"form": _NO_FORM, **dict(text.about)}) for text in texts]
    return texts


def said(source: str, emotions: Iterable[str]) -> list[AuditedText]:
    """Return the texts that say an emotion: our frames with these emotions, or all of a file."""
    if source == reference.NAME:
        texts = [_filled(emotion, frame) for emotion in emotions for frame in reference.frames()]
    else:
        texts = _of_file(source, ("emotion", "topic", "text"))
    return [replace(text, about={"form": SAID}) for text in texts]


def neutral(source: str) -> list[AuditedText]:
    """Return neutral texts: those with an opening are zeros of their topic, others documents."""
    if source != reference.NAME:
        return _of_file(source, ("topic", "text"))
    around = {it.name: it for it in reference.situations()}
    zeros = [
        AuditedText(
            "",
            it.topic,
            it.text,
            f"{it.topic} / {it.number}",
            opening=around[it.topic].opening,
            closing=around[it.topic].closing,
        )
        for it in reference.neutral_endings()
    ]
    documents = reference.dialogues().items()
    return [*zeros, *(AuditedText("", topic, text, topic) for topic, text in documents)]


def _of_file(source: str, needed: tuple[str, ...]) -> list[AuditedText]:
    texts = [_text(row, where) for row, where in read_rows(Path(source), needed)]
    if not texts:
        raise InvalidInput(f"{source} has no texts.")
    return texts


def _text(row: Mapping[str, Any], where: str) -> AuditedText:
    for key in ("opening", "closing", "form"):
        if not isinstance(row.get(key, ""), str):
            raise InvalidInput(f"{where}: expected a string for {key}, got {row[key]!r}.")
    if row.get("form") in _WAYS:
        raise InvalidInput(
            f"{where}: expected a form as 'narrated' or 'voiced', got {row['form']!r}, which names "
            "a way of expression. Texts that say an emotion stand in a file of their own: "
            "--said=FILE."
        )
    return AuditedText(
        row.get("emotion", ""),
        row["topic"],
        row["text"],
        where,
        {key: str(row[key]) for key in ABOUT if row.get(key)},
        row.get("opening", ""),
        row.get("closing", ""),
    )


def _reference_endings() -> list[AuditedText]:
    around = {it.name: it for it in reference.situations()}
    texts = []
    for ending in reference.endings():
        situation = around[ending.topic]
        about = {key: getattr(situation, key) for key in ABOUT if key != "writer"}
        texts.append(
            AuditedText(
                ending.emotion,
                ending.topic,
                ending.text,
                f"{ending.emotion} / {ending.topic}",
                {**about, "writer": ending.writer},
                situation.opening,
                situation.closing,
            )
        )
    return texts


def _filled(emotion: str, frame: reference.Frame) -> AuditedText:
    said_in = frame.around(reference.phrase_of(emotion))
    where = f"{emotion} / {frame.name}"
    around = said_in.opening, said_in.closing
    return AuditedText(emotion, frame.name, said_in.text, where, {}, *around)
