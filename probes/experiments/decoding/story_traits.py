"""Traits of stories that could pass for an emotion: who tells it, who wrote it, what it names.

1. Narrator: the larger of two counts of pronouns outside quoted speech, first person (`FIRST`)
   against third (`THIRD`); a tie, or none at all, is "neither".
2. Leak: a word of the emotion's ban list occurs (`probes.stimuli.leaks`).
3. Writer: what the cell's file says; for users' own stories the ``writer`` of their line, if any.
4. Attempts: in which round of drafts a story was kept.

Pronouns are English; speech in single quotes is not recognized.
"""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch

from probes.corpus import reference
from probes.corpus.cells import Cell, read_cell
from probes.runs.materials import Materials, Stories, StoryRows
from probes.storage import from_json

FIRST = frozenset(["i", "me", "my", "mine", "myself", "we", "us", "our", "ours", "ourselves"])
THIRD = frozenset(
    ["he", "him", "his", "himself", "she", "her", "hers", "herself"]
    + ["they", "them", "their", "theirs", "themselves"]
)
_SPEECH = re.compile(r'"[^"]*"|“[^”]*”|«[^»]*»')
_WORD = re.compile(r"[^\W\d_]+")


def narrator(text: str) -> str:
    """Return ``"first"``, ``"third"`` or ``"neither"``."""
    words = Counter(_WORD.findall(_SPEECH.sub(" ", text).lower()))
    first, third = (sum(words[each] for each in pronouns) for pronouns in (FIRST, THIRD))
    if first == third:
        return "neither"
    return "first" if first > third else "third"


def writers(materials: Materials, stories: Stories) -> list[str]:
    """Return who wrote each story; ``"unknown"`` where nothing says so."""
    path = materials.config.corpus.stories
    by_line: dict[Cell, list[str]] = {}
    if path == reference.NAME:
        by_line = {Cell(it.emotion, it.topic): [it.writer] for it in reference.endings()}
    elif path is not None and Path(path).is_file():
        by_line = _writers_of_lines(path)
    by_cell: dict[Cell, str] = {}
    for cell in [] if by_line else materials.run.story_cells:
        about = read_cell(materials.run.root, cell).get("writer") or {}
        by_cell[cell] = about.get("name") or "unknown"
    names = []
    keys = torch.stack([stories.emotion, stories.topic, stories.index], dim=1)
    for emotion, topic, index in keys.tolist():
        cell = Cell(materials.emotions[emotion], materials.topics[topic])
        lines: Sequence[str] = by_line.get(cell, ())
        names.append(lines[index] if 0 <= index < len(lines) else by_cell.get(cell, "unknown"))
    return names


def attempts(materials: Materials, stories: StoryRows) -> list[int]:
    """Return in which round, from 1, each story was written; 0 for one that was brought."""
    rounds = {
        (cell.emotion, cell.topic, text["index"]): int(text.get("attempt", 0))
        for cell in ([] if materials.run.brings_corpus else materials.run.story_cells)
        for text in read_cell(materials.run.root, cell)["texts"]
    }
    keys = torch.stack([stories.emotion, stories.topic, stories.index], dim=1).tolist()
    return [
        rounds.get((materials.emotions[emotion], materials.topics[topic], index), 0)
        for emotion, topic, index in keys
    ]


def _writers_of_lines(path: str) -> dict[Cell, list[str]]:
    """Writers of users' own stories, in the order in which cells number them."""
    names: dict[Cell, list[str]] = {}
    with Path(path).open("rb") as file:
        for line in filter(bytes.strip, file):
            row = from_json(line)
            cell = Cell(row["emotion"], row["topic"])
            names.setdefault(cell, []).append(str(row.get("writer") or "unknown"))
    return names
