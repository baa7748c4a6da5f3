"""Conversations as other programs write them: what each speaker said, and what is left out.

* OpenAI's and Hugging Face's: ``role`` and ``content``, a list or below ``messages``; content may
  be text, null (tool calls), or parts, of which the texts are joined by line breaks;
* ShareGPT's: ``from`` (human, gpt, system) and ``value``, a list or below ``conversations``.

A file holds one conversation, or one a line. Left out are results of tools, turns without words,
and parts that are no text; each is counted.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hooks.errors import InvalidInput
from probes.storage import from_json, parse_line
from probes.texts.dialogue import ASSISTANT, USER, Turn, thought_of

_CHATS = ("messages", "conversations", "conversation")
_NAMES = {"human": USER, "user": USER, "gpt": ASSISTANT, "assistant": ASSISTANT, "system": "system"}
"""Speakers of ShareGPT."""
_TOOLS = ("tool", "function", "ipython", "observation", "function_response", "tool_response")
_CALLS = ("function_call", "tool_call")
_THOUGHTS = ("reasoning_content", "reasoning", "thinking")


@dataclass(frozen=True)
class Transcript:
    """One conversation; `left_out` counts what is no turn's words, by what it is."""

    name: str
    turns: tuple[Turn, ...]
    left_out: Mapping[str, int]


def read_transcripts(path: Path) -> Iterator[Transcript]:
    """Yield the conversations of a file, one after the other; InvalidInput naming line and turn.

    A file named ``.jsonl``, or one whose first line is whole JSON with others after it, holds one
    conversation a line.
    """
    if path.suffix != ".jsonl" and not _is_lines(path):
        try:
            content = from_json(path.read_bytes())
        except ValueError as error:
            raise InvalidInput(f"{path}: expected JSON ({error}).") from error
        yield transcript_of(content, path.stem, str(path))
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                where = f"{path}, line {number}"
                content = parse_line(line, where)
                name = content.get("id") if isinstance(content, dict) else None
                yield transcript_of(content, f"line {number}" if name is None else str(name), where)


def transcript_of(content: Any, name: str, where: str) -> Transcript:
    """Read one conversation from what JSON gave; InvalidInput that names the turn."""
    chat = content
    if isinstance(content, dict):
        key = next((key for key in _CHATS if key in content), None)
        if key is None:
            there = ", ".join(map(str, content)) or "nothing"
            cure = ""
            if {"role", "from"} & content.keys():
                cure = " If each line is a turn, make one list of them: jq -s . FILE > NEW."
            raise InvalidInput(
                f"{where}: expected a list of turns, or an object with {' or '.join(_CHATS[:2])}, "
                f"got an object with {there}.{cure}"
            )
        chat = content[key]
    if not isinstance(chat, list) or not chat:
        raise InvalidInput(f"{where}: expected a list of at least one turn, got {chat!r:.60}.")
    turns, left_out = [], Counter[str]()
    for number, turn in enumerate(chat, start=1):
        spoken = _turn(turn, left_out, f"{where}, turn {number}")
        if spoken is not None:
            turns.append(spoken)
    if not turns:
        counted = spelled(left_out)
        raise InvalidInput(f"{where}: expected a turn with words, got none ({counted}).")
    return Transcript(name, tuple(turns), dict(left_out))


def spelled(left_out: Mapping[str, int]) -> str:
    """Say what was left out, and how often."""
    return ", ".join(f"{number} x {what}" for what, number in left_out.items())


def _turn(turn: Any, left_out: Counter[str], where: str) -> Turn | None:
    """Return a turn's speaker and words, counting what is left out; None where it has no words."""
    if isinstance(turn, dict) and "from" in turn and "value" in turn:
        speaker, content = turn["from"], turn["value"]
        if speaker not in (*_NAMES, *_TOOLS, *_CALLS):
            raise InvalidInput(
                f"{where}: expected human, gpt or system as from, got {speaker!r}. Rename it."
            )
        speaker = _NAMES.get(speaker, str(speaker))
    elif isinstance(turn, dict) and isinstance(turn.get("role"), str):
        speaker, content = str(turn["role"]), turn.get("content")
    else:
        there = f"an object with {', '.join(map(str, turn))}" if isinstance(turn, dict) else "none"
        raise InvalidInput(
            f'{where}: expected "role" and "content", or "from" and "value", got {there}.'
        )
    if speaker in _TOOLS:
        left_out["result of a tool"] += 1
        return None
    if any(turn.get(key) for key in _THOUGHTS):
        left_out["thought"] += 1
    words = _words(content, left_out, where)
    calls = speaker in _CALLS or any(turn.get(key) for key in ("tool_calls", "function_call"))
    if calls and words and speaker not in _CALLS:
        left_out["tool calls beside words"] += 1
    elif calls or words is None:
        left_out["turn of tool calls" if calls else "turn without words"] += 1
        return None
    spoken = Turn(speaker, words)
    if thought_of(spoken):
        left_out["thought"] += 1
    return spoken


def _words(content: Any, left_out: Counter[str], where: str) -> str | None:
    """Return a turn's text; None where there is none."""
    if content is None or isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise InvalidInput(
            f"{where}: expected content as text, null or a list of parts, got {content!r:.60}."
        )
    texts = []
    for part in content:
        kind = part.get("type", "text") if isinstance(part, dict) else type(part).__name__
        text = part if isinstance(part, str) else None
        if isinstance(part, dict) and kind in ("text", "input_text", "output_text"):
            text = part.get("text")
        if isinstance(text, str):
            texts.append(text)
        else:
            left_out[f"part that is {kind}"] += 1
    return "\n".join(texts) if texts else None


def _is_lines(path: Path) -> bool:
    """Whether the first line that holds something is whole JSON, and another one follows."""
    with path.open("rb") as file:
        lines = filter(bytes.strip, file)
        first = next(lines, b"")
        try:
            from_json(first)
        except ValueError:
            return False
        return next(lines, None) is not None
