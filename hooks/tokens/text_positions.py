"""Which tokens count, said in terms of the text: one speaker's words, a piece of the text.

A token counts when any of its characters lies in a stretch that the rule names; specials never do.
Turns of a chat are found by the marks that the model's own chat template puts around them.
"""

import contextlib
import itertools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from hooks.errors import InvalidInput
from hooks.tokens.encoding import is_chat, render_chat, special_ids

Stretch = tuple[int, int]
_FIRST, _SECOND, _THIRD, _SYSTEM = "qzfirstzq", "qzsecondzq", "qzthirdzq", "qzsystemzq"


@runtime_checkable
class TextPositions(Protocol):
    """A rule that picks stretches of a text."""

    while_generating: bool
    """Whether tokens that are being written can be picked."""

    def stretches(self, text: str, tokenizer: Any) -> list[Stretch]:
        """Return (start, stop) of each stretch, in characters."""
        ...


@dataclass(frozen=True)
class TextSpan:
    """The tokens that spell `text`, wherever it occurs in a prompt."""

    text: str
    while_generating = False

    def __post_init__(self) -> None:
        if not self.text:
            raise InvalidInput("TextSpan: expected a piece of the prompt, got an empty text.")

    def stretches(self, text: str, tokenizer: Any) -> list[Stretch]:  # noqa: ARG002 - the protocol's
        """See `TextPositions.stretches`."""
        return [match.span() for match in re.finditer(re.escape(self.text), text)]


@dataclass(frozen=True)
class Speaker:
    """What one speaker says, without the marks around it: in the prompt and while generating.

    Of a base model's dialogue a turn begins where a name and a colon begin a line.
    """

    name: str
    """A role of the chat template (``"user"``, ``"system"``), or one of `lines`: a base model's."""
    lines: tuple[str, ...] = ("Person", "Assistant")
    while_generating = True

    def stretches(self, text: str, tokenizer: Any) -> list[Stretch]:
        """See `TextPositions.stretches`; InvalidInput for a speaker that there is not."""
        if is_chat(tokenizer):
            marks = turn_marks(tokenizer)
            if self.name not in marks:
                raise InvalidInput(
                    f"Speaker: expected one of {', '.join(marks)}, which this model's chat "
                    f"template marks, got {self.name!r}."
                )
            return _between(text, *marks[self.name])
        if self.name not in self.lines:
            raise InvalidInput(
                f"Speaker: expected one of a base model's lines of {', '.join(self.lines)}, or "
                f"Speaker(name, lines=(...)); got {self.name!r}."
            )
        names = "|".join(map(re.escape, self.lines))
        start = f"(?:^|{re.escape(tokenizer.bos_token)})" if tokenizer.bos_token else "^"
        begins = list(re.finditer(rf"{start}({names}):[ \t]*", text, flags=re.MULTILINE))
        ends = [*(match.start() for match in begins[1:]), len(text)]
        return [
            (match.end(), end)
            for match, end in zip(begins, ends, strict=False)  # no turn at all: one end too many
            if match.group(1) == self.name
        ]


def _between(text: str, header: str, footer: str) -> list[Stretch]:
    end = rf"{re.escape(footer)}|\Z" if footer else r"\Z"
    pattern = rf"{re.escape(header)}(.*?)(?={end})"
    return [match.span(1) for match in re.finditer(pattern, text, flags=re.DOTALL)]


def turn_marks(tokenizer: Any) -> dict[str, tuple[str, str]]:
    """Return what a chat template writes before and after each role's words, if it does."""
    question, answer = ("user", _FIRST), ("assistant", _SECOND)
    _, after_first = _render(tokenizer, [question, answer, ("user", _THIRD)]).split(_FIRST)
    to_assistant, after_second = after_first.split(_SECOND)
    to_user, user_footer = after_second.split(_THIRD)
    assistant_footer = _render(tokenizer, [question, answer]).split(_SECOND)[1]
    asked = _render(tokenizer, [question], asks=True).split(_FIRST)[1]
    # What is written before an answer that is still to come and before one that is there.
    before_answers = [text.removeprefix(user_footer) for text in (to_assistant, asked)]
    headers = {
        "assistant": os.path.commonprefix(before_answers),
        "user": to_user.removeprefix(assistant_footer),
    }
    footers = {"assistant": assistant_footer.strip(), "user": user_footer.strip()}
    with_system = ""
    # A template says "no system message" by whatever error its author chose, or leaves it out.
    with contextlib.suppress(Exception):
        with_system = _render(tokenizer, [("system", _SYSTEM), question])
    if _SYSTEM in with_system:
        before, after = with_system.split(_SYSTEM)
        headers["system"] = before.removeprefix(tokenizer.bos_token or "")
        footers["system"] = after.split(_FIRST)[0].removesuffix(headers["user"]).strip()
    return {role: (mark, footers[role]) for role, mark in headers.items() if mark.strip()}


def turn_end(tokenizer: Any) -> int | None:
    """Return the token with which the chat template ends an answer, if it is one of its own."""
    if not is_chat(tokenizer):
        return None
    # A template refuses by whatever error its author chose.
    with contextlib.suppress(Exception):
        footer = _render(tokenizer, [("user", _FIRST), ("assistant", _SECOND)]).split(_SECOND)[1]
        ids = tokenizer(footer, add_special_tokens=False)["input_ids"]
        first = next(one for one in ids if tokenizer.decode([one]).strip())
        if first in special_ids(tokenizer) or first in tokenizer.added_tokens_decoder:
            return first
    return None


def _render(tokenizer: Any, turns: Sequence[tuple[str, str]], *, asks: bool = False) -> str:
    messages: list[Mapping[str, str]] = [{"role": role, "content": text} for role, text in turns]
    return render_chat(tokenizer, messages, asks=asks)


def spelled(tokenizer: Any, ids: Sequence[int]) -> str:
    """Text of token ids, markers included."""
    return tokenizer.decode(
        list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
    )


def tokens_in(rule: TextPositions, tokenizer: Any, ids: Sequence[int]) -> list[bool]:
    """Tell for each token of a text whether it lies in one of the rule's stretches."""
    text = spelled(tokenizer, ids)
    # A token's characters are those by which the text grows: no tokenizer's own offsets needed.
    edges = [len(spelled(tokenizer, ids[:n])) for n in range(len(ids))] + [len(text)]
    return _inside(rule.stretches(text, tokenizer), edges)


def last_token_in(rule: TextPositions, tokenizer: Any, ids: Sequence[int]) -> bool:
    """Tell whether the last token of a text lies in one of the rule's stretches."""
    text = spelled(tokenizer, ids)
    edges = [len(spelled(tokenizer, ids[:-1])), len(text)]
    return _inside(rule.stretches(text, tokenizer), edges)[0]


def _inside(stretches: Sequence[Stretch], edges: Sequence[int]) -> list[bool]:
    """Tell which pieces between edges share a character, which may take several, with a stretch."""
    final = list(itertools.accumulate(reversed(edges), min))[::-1]
    pieces = [(min(a, b - 1), b) for a, b in itertools.pairwise(final)]
    return [any(start < b and a < stop for start, stop in stretches) for a, b in pieces]
