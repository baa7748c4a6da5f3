"""A conversation as one text, and which part of it each turn is.

The template around marks in place of the words gives the frames between turns; going through the
text frame by frame, each turn has its own words, even where they look like a frame. An assistant's
words come after its thought: templates show a thought, change it or drop it, so it stays where it
is beside the mark, and what is shown of it belongs to no turn.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hooks.errors import InvalidInput
from hooks.tokens.encoding import is_chat, render_chat
from probes.corpus.thoughts import thought_before

USER, ASSISTANT = "user", "assistant"
_LINES = {USER: "Person", ASSISTANT: "Assistant"}
_NEW_TURN = re.compile(rf"(?:^|\n)[ \t]*(?:{'|'.join(_LINES.values())}):")


@dataclass(frozen=True)
class Turn:
    """What one speaker said."""

    speaker: str
    text: str


def thought_of(turn: Turn) -> str:
    """Return what an assistant thought before its words; empty where there is nothing."""
    return thought_before(turn.text) if turn.speaker == ASSISTANT else ""


def words_of(turn: Turn) -> str:
    """Return what a turn says, after its thought."""
    return turn.text.removeprefix(thought_of(turn))


@dataclass(frozen=True)
class Dialogue:
    """A conversation as the model reads it, and start and stop of each turn's own words."""

    text: str
    words: list[tuple[int, int]]

    def turn_of(self, start: int, stop: int) -> int:
        """Return the turn to which a token's characters belong; -1 for the marks between turns."""
        for number, (begin, end) in enumerate(self.words):
            inside = begin < start <= end if start == stop else start < end and begin < stop
            if inside:
                return number
        return -1


def lay_out(tokenizer: Any, turns: Sequence[Turn], *, answering: bool = False) -> Dialogue:
    """Write a conversation as one text; `answering` begins the assistant's next turn.

    Raises InvalidInput without turns, or when the chat template refuses or hides one.
    """
    if not turns:
        raise InvalidInput("expected at least one turn, got an empty conversation.")
    marks = [f"qz{number}zq" for number in range(len(turns))]
    marked = [
        Turn(turn.speaker, thought_of(turn) + mark) for turn, mark in zip(turns, marks, strict=True)
    ]
    shown = _written(tokenizer, marked, answering)
    if re.findall(r"qz\d+zq", shown) != marks:
        raise InvalidInput("the model's chat template does not show every turn once and in order.")
    frames = re.split(r"qz\d+zq", shown)
    text = _written(tokenizer, turns, answering)
    words, cursor = [], len(frames[0])
    for number, (turn, (_, after)) in enumerate(zip(turns, pairwise(frames), strict=True)):
        # Templates keep the words, strip them, or take a part of them out.
        end, words_here = text.find(after, cursor), words_of(turn)
        for spoken in (words_here.strip(), words_here):
            if text.startswith(spoken + after, cursor):
                end = cursor + len(spoken)
        if end < 0 or not text.startswith(frames[0]):
            raise InvalidInput(
                f"turn {number}: the model's chat template treats its words otherwise than others'."
            )
        words.append((cursor, end))
        cursor = end + len(after)
    return Dialogue(text, words)


def first_turn_only(reply: str) -> str:
    """Cut a base model's reply where it goes on with anybody's next turn."""
    return _NEW_TURN.split(reply)[0].strip()


def _written(tokenizer: Any, turns: Sequence[Turn], answering: bool) -> str:
    if not is_chat(tokenizer):
        lines = [f"{_LINES.get(turn.speaker, turn.speaker)}: {turn.text}" for turn in turns]
        return "\n".join([*lines, f"{_LINES[ASSISTANT]}:"] if answering else lines)
    messages = [{"role": turn.speaker, "content": turn.text} for turn in turns]
    return render_chat(tokenizer, messages, asks=answering)
