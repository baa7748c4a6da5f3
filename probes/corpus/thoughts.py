"""What a model that thinks first says in the end: its answer without the thought before it.

Contract: a pure function of strings; knows marks, not models.
"""

import re

_WORDS = r"(?:seed:)?(?:think|thinking|thought|reasoning)"
_FINAL = r"<\|channel\|>final(?:(?!<\|message\|>).){0,40}<\|message\|>"
_MARKS = (
    (rf"<{_WORDS}>", rf"</{_WORDS}>"),  # Qwen, DeepSeek, SmolLM3 and most others
    (r"\[THINK\]", r"\[/THINK\]"),  # Magistral
    (r"◁think▷", r"◁/think▷"),  # Kimi
    (r"<\|channel\|>(?:analysis|commentary)", _FINAL),  # gpt-oss
    (r"<\|channel>thought", r"<channel\|>"),  # Gemma
)
_OPENS = re.compile("|".join(opening for opening, _ in _MARKS), re.IGNORECASE)
_CLOSES = re.compile("|".join(closing for _, closing in _MARKS), re.IGNORECASE | re.DOTALL)


def has_thought(answer: str) -> bool:
    """Whether a mark of thinking stands in an answer."""
    return bool(_OPENS.search(answer) or _CLOSES.search(answer))


def without_thought(answer: str) -> str | None:
    """Return what stands after the last closing mark; None for a thought that has no end.

    The opening mark is often the prompt's, so that a closing one alone ends a thought.
    """
    spoken = answer[_end(answer) :]
    return None if _OPENS.search(spoken) else spoken


def thought_before(turn: str) -> str:
    """Return what stands up to the last closing mark of a turn, all of it if it only begins one.

    A turn may well speak of such marks, so that one in the middle of its words opens nothing.
    """
    end = _end(turn)
    return turn if _OPENS.match(turn[end:].lstrip()) else turn[:end]


def _end(answer: str) -> int:
    return max((mark.end() for mark in _CLOSES.finditer(answer)), default=0)
