"""Judge one raw text of the writer: clean it, or say why it cannot be used.

What stands around the text is cut (preambles, headings, fences, closing remarks, a second text); a
text that stops within a sentence is cut back or rejected. Refusals and texts that are too short,
repeat themselves, name the emotion or were seen before are rejected. Whether a story is good is not
known here.

Contract: pure functions of strings. Every rule for a label or heading is anchored to the start of a
line ("AI:" is also the end of "OpenAI:"). A rejected text comes back as cleaned so far.
"""

import re
import unicodedata
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from probes.stimuli.lexicon import leaks, named_emotions

Truncation = Literal["reject", "trim"]

MIN_DISTINCT_4_GRAMS = 0.5
"""A text with a smaller share of distinct runs of four words is repetitive."""


@dataclass(frozen=True)
class Verdict:
    """What became of one raw text."""

    text: str
    rejected: str | None
    """None, "empty", "refusal", "no dialogue", "truncated", "too short", "repetitive",
    "leak: WORD, WORD" or "duplicate"."""
    trimmed: bool
    """Whether the end of the text itself was cut off (closing remarks do not count)."""
    named: tuple[str, ...] = ()
    """Words that name the emotion (of a dialogue: any), whatever the text was rejected for."""


def judge_story(
    raw: str,
    *,
    finished: bool,
    emotion: str,
    min_words: int,
    truncation: Truncation,
    seen: AbstractSet[str],
) -> Verdict:
    """Clean and judge one story.

    Parameters
    ----------
    finished
        Whether the writer stopped by itself (False: the token limit stopped it).
    emotion
        The emotion that the story must convey and not name.
    truncation
        What to do with a text that stops within a sentence or at the token limit.
    seen
        `fingerprint` of the texts accepted so far.
    """
    text = raw.replace("\r\n", "\n").strip()
    if _is_refusal(text):
        return Verdict(text, "refusal", False)
    text = _without_preamble(text)
    text, followed = _before_next(text, _NEXT_STORY)
    text = _without_quotes(_without_closing(text))
    if not text:
        return Verdict(text, "empty" if finished else "truncated", False)
    if _is_refusal(text):
        return Verdict(text, "refusal", False)
    complete = (finished or followed) and _ends_sentence(text)
    cut = text if complete else text[: _last_sentence_end(text)]
    if not complete and (truncation == "reject" or not cut):
        return Verdict(text, "truncated", False, tuple(leaks(text, emotion)))
    named = tuple(leaks(cut, emotion))
    reason = _reason(cut, cut, min_words, named, seen)
    return Verdict(cut, reason, cut != text, named)


def judge_dialogue(
    raw: str,
    *,
    finished: bool,
    min_words: int,
    truncation: Truncation,
    seen: AbstractSet[str],
) -> Verdict:
    """Clean and judge one neutral dialogue; closing turns that name an emotion are cut."""
    text = raw.replace("\r\n", "\n").strip()
    if not text:
        return Verdict(text, "empty" if finished else "truncated", False)
    if _is_refusal(text):
        return Verdict(text, "refusal", False)
    turns, followed = _turns(text)
    if not _both_speak(turns):
        return Verdict(text, "no dialogue", False)

    speaker, last = turns[-1]
    kept = turns
    # A list item or a code fence needs no full stop.
    ends = _ends_sentence(last) or _LIST_ITEM_OR_FENCE.match(last.rpartition("\n")[2])
    if not ((finished or followed) and ends):
        last_cut = last[: _last_sentence_end(last)]
        kept = turns[:-1] + ([(speaker, last_cut)] if last_cut else [])
        if truncation == "reject" or not _both_speak(kept):
            return Verdict(_rendered(turns), "truncated", False)
    while named_emotions(kept[-1][1]) and _both_speak(kept[:-1]):
        kept = kept[:-1]

    cut, spoken = _rendered(kept), "\n".join(words for _, words in kept)
    named = tuple(named_emotions(spoken))
    reason = _reason(cut, spoken, min_words, named, seen)
    return Verdict(cut, reason, kept != turns, named)


def split_stories(raw: str, marker: str, *, finished: bool = True) -> list[str]:
    """Split an answer that holds several stories at the lines that hold only the marker.

    The last story is kept only if it is complete: a marker follows it, or the writer finished and
    the story ends with a sentence. Preambles are left to `judge_story`.
    """
    line = re.compile(rf"^[ \t*_#>`]*{re.escape(marker.strip())}[ \t*_`]*$", re.I | re.M)
    *complete, last = (part.strip() for part in line.split(raw.replace("\r\n", "\n")))
    if finished and _ends_sentence(_without_closing(last)):
        complete.append(last)
    return [part for part in complete if part]


def fingerprint(text: str) -> str:
    """Return 16 hexadecimal digits that ignore case, white space and punctuation."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return sha256(" ".join(re.findall(r"[^\W_]+", folded)).encode()).hexdigest()[:16]


def _reason(
    text: str, spoken: str, min_words: int, leaked: tuple[str, ...], seen: AbstractSet[str]
) -> str | None:
    """Return why a cleaned text cannot be used; `spoken` is the text without speaker labels."""
    words = re.findall(r"[^\W_]+(?:['’\-][^\W_]+)*", spoken.casefold())
    if len(words) < min_words:
        return "too short"
    four_grams = list(zip(words, words[1:], words[2:], words[3:], strict=False))
    if len(set(four_grams)) < MIN_DISTINCT_4_GRAMS * len(four_grams):
        return "repetitive"
    if leaked:
        return f"leak: {', '.join(leaked)}"
    return "duplicate" if fingerprint(text) in seen else None


# ---- refusals -------------------------------------------------------------------------------

_SORRY = (
    r"(?:(?:i['’]m|i am|we['’]re)(?: really| very| so)? sorry|sorry|i apologi[sz]e)"
    r"[,.!]?\s+(?:but\s+)?"
)
_CANNOT = (
    r"(?:i|we)(?:['’]m| am| are)?\s+"
    r"(?:can['’]?t|can ?not|won['’]t|unable to|not able to|not allowed to)"
)
# A narrator may be sorry too ("I'm sorry, but I can't stay"): the verb must be an assistant's.
_TASK = (
    r"\s+(?:(?:be able to|directly|really)\s+)?(?:write|create|generate|provide|produce|complete|"
    r"fulfil+|assist|comply|help (?:you )?with|do that|engage)\b"
)
_REFUSAL = re.compile(
    rf"(?:{_SORRY}{_CANNOT}(?:{_TASK}|\s*[.!]?\s*$)|{_CANNOT}{_TASK}"
    r"|(?:[^.!?\n]{0,40},\s*)?as an? (?:ai|artificial intelligence|(?:large )?language model)\b)",
    re.I,
)


def _is_refusal(text: str) -> bool:
    return _REFUSAL.match(text) is not None


# ---- what stands around the text ------------------------------------------------------------

_YES = r"(?:sure(?: thing)?|certainly|of course|absolutely|okay|ok|alright|great|yes|no problem)"
_NO_TEXT = re.compile(
    r"(?:`{3,}\w*|[-=*_#~]{3,})$|[*_]{0,2}title[*_]{0,2}\s*[:\-–—]"
    rf"|(?:story|chapter|part|paragraph)\s*#?\d+$|{_YES}\s*[!,.:]*$",
    re.I,
)
"""First lines that are never the text: rules, fences, titles, numbers, "Sure!"."""
_HEADING = re.compile(r"#{1,6}\s+\S")
_BOLD_LINE = re.compile(r"(\*\*|__)(?P<words>[^*_]+)\1:?$")
_LABEL = re.compile(
    r"[*_]{0,2}(?:(?:short )?story|paragraph|chapter|response|answer|assistant)(?:\s*#?\d+)?"
    r"[*_]{0,2}\s*:[*_]{0,2}\s*|[*_]{0,2}(?:story|chapter)\s*#?\d+[*_]{0,2}\s*[.)\-–—]\s*|\d{1,2}[.)]\s+",
    re.I,
)
_KIND_OF_TEXT = r"\b(?:story|stories|paragraphs?|dialogues?|conversations?|version|example)\b"
_HERE_IS = re.compile(
    rf"(?:{_YES}[!,.]*\s+)?(?:here(?:['’]s| is| are)|below (?:is|are))\b[^:.!?\n]*{_KIND_OF_TEXT}"
    r"[^:.!?\n]*(?::\s*|$)",
    re.I,
)
_OFFER_LINE = re.compile(
    rf"(?:{_YES}\b|here\b|i['’]d\b|i['’]ll\b|i would\b|the following\b)"
    rf"[^\n]*{_KIND_OF_TEXT}[^\n]*:$",
    re.I,
)
_CLOSING_LINE = re.compile(
    r"(?:`{3,}|[-=*_#~]{3,}|\W{0,3}the end\W{0,3}|\W{0,3}end of (?:the )?(?:story|dialogue)\W{0,3}"
    r"|\W{0,3}word count\b.*|\W{0,3}note\W{0,3}:.*"
    r"|i hope (?:this|that|the|you)\b.*\b(?:story|helps?|enjoy|paragraph|meets)\b.*"
    r"|(?:please )?let me know if\b.*\b(?:story|like|want|changes?|revis\w+|help)\b.*)$",
    re.I,
)
_MARKUP = r"^(?:#{1,6}[ \t]+)?[*_]{0,2}"
_NEXT_STORY = re.compile(
    _MARKUP + r"(?:topic|title|main character"
    r"|(?:story|paragraph)(?:[ \t]*#?\d+|[ \t]+(?:told|in one)\b[^:\n]{0,40})?)[*_]{0,2}:",
    re.I | re.M,
)
_NEXT_DIALOGUE = re.compile(_MARKUP + r"(?:topic|dialogue(?:[ \t]*#?\d+)?)[*_]{0,2}:", re.I | re.M)
_MAX_HEADING_WORDS = 15


def _without_preamble(text: str) -> str:
    """Drop or shorten first lines until the first one belongs to the text."""
    while text:
        line, _, rest = text.partition("\n")
        shorter = _shortened(line.strip(), bool(rest.strip()))
        if shorter == line.strip():
            return text
        text = f"{shorter}\n{rest}".strip()
    return text


def _shortened(line: str, more_follows: bool) -> str:
    """Return the part of a first line that belongs to the text, perhaps nothing."""
    is_short = len(line.split()) <= _MAX_HEADING_WORDS
    if _NO_TEXT.match(line) or (more_follows and _OFFER_LINE.match(line)):
        return ""
    if _HEADING.match(line):
        return "" if is_short else line.lstrip("# ")
    bold = _BOLD_LINE.match(line)
    if bold and is_short and not _ends_sentence(bold["words"]):
        return ""
    label = _LABEL.match(line) or _HERE_IS.match(line)
    if label is None:
        return line
    after = line[label.end() :]
    is_title = more_follows and is_short and not _ends_sentence(after)
    return "" if is_title else after


def _before_next(text: str, opening: re.Pattern[str]) -> tuple[str, bool]:
    """Cut where a second text starts; the second value says whether one did."""
    start = opening.search(text)
    if start is None or start.start() == 0:
        return text, False
    return text[: start.start()].rstrip(), True


def _without_closing(text: str) -> str:
    while text:
        before, _, line = text.rpartition("\n")
        if not _CLOSING_LINE.match(line.strip()):
            return text
        text = before.rstrip()
    return text


def _without_quotes(text: str) -> str:
    """Drop one pair of quotation marks around the whole text; those of speech stay."""
    for left, right in (('"', '"'), ("“", "”")):
        inner = text[1:-1]
        if text.startswith(left) and text.endswith(right) and not {left, right} & set(inner):
            return inner.strip()
    return text


# ---- sentences ------------------------------------------------------------------------------

_SENTENCE_END = re.compile(r"[.!?…][\"'”’»)\]*_]*(?=\s+[^\sa-z]|\s*$)")
_NOT_AN_END = re.compile(r"(?:\b(?:mr|mrs|ms|dr|prof|st|vs|e\.g|i\.e)|^\s*\d{1,3})$", re.I | re.M)
_INITIAL = re.compile(r"\b[A-HJ-Z]$")


def _last_sentence_end(text: str) -> int:
    """Return where the last full sentence ends, 0 if there is none."""
    ends = (match for match in _SENTENCE_END.finditer(text) if _is_end(text, match))
    return max((match.end() for match in ends), default=0)


def _is_end(text: str, match: re.Match[str]) -> bool:
    if text[match.start()] != ".":
        return True
    before = text[max(0, match.start() - 12) : match.start()]
    if _NOT_AN_END.search(before):
        return False
    return match.end() == len(text) or not _INITIAL.search(before)


def _ends_sentence(text: str) -> bool:
    text = text.rstrip()
    return bool(text) and _last_sentence_end(text) == len(text)


# ---- dialogues ------------------------------------------------------------------------------

Turn = tuple[str, str]  # who speaks, and what is said

_SPEAKER = re.compile(
    r"^[ \t]*(?:[-*>][ \t]+|\d{1,2}[.)][ \t]+)?[*_]{0,3}"
    r"(?:(?P<person>person|user|human)|(?P<assistant>(?:ai )?assistant|ai|bot|chatbot))"
    r"[*_]{0,3}[ \t]*:[*_]{0,3}[ \t]*",
    re.I | re.M,
)
_LIST_ITEM_OR_FENCE = re.compile(r"\s*(?:[-*•][ \t]+\S|\d{1,2}[.)][ \t]+\S|`{3,}$)")


def _turns(text: str) -> tuple[list[Turn], bool]:
    """Return the turns from the first Person line on, and whether another text followed."""
    first = next((match for match in _SPEAKER.finditer(text) if match["person"]), None)
    if first is None:
        return [], False
    text, followed = _before_next(text[first.start() :], _NEXT_DIALOGUE)
    text = _without_closing(text)
    labels = list(_SPEAKER.finditer(text))
    ends = [match.start() for match in labels[1:]] + [len(text)]
    turns = [
        ("Person" if match["person"] else "Assistant", text[match.end() : end].strip())
        for match, end in zip(labels, ends, strict=True)
    ]
    return [turn for turn in turns if turn[1]], followed


def _both_speak(turns: list[Turn]) -> bool:
    return {speaker for speaker, _ in turns} == {"Person", "Assistant"}


def _rendered(turns: list[Turn]) -> str:
    return "\n".join(f"{speaker}: {words}" for speaker, words in turns)
