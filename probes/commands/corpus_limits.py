"""The limits of a corpus: what is counted, how much of it may be, and where it is too much."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from probes.commands import Corpus
from probes.corpus import audit
from probes.corpus.audit import AuditedText
from probes.corpus.audited import SAID
from probes.stimuli import named_emotions
from probes.texts.lexical import LexicalReading

_SHOWN = 5
_TIMES_CHANCE = 2
_OUT_OF_BALANCE = 0.1


@dataclass(frozen=True)
class CorpusCheck:
    """One limit, and what passes it, by where it stands."""

    name: str
    value: str
    limit: str
    wrong: Sequence[str]

    @classmethod
    def none_of(cls, name: str, wrong: Sequence[str], than: str = "") -> "CorpusCheck":
        """Count what should not be there at all, or not beyond what `than` says."""
        return cls(name, str(len(wrong)), f"0 {than}".strip(), wrong)

    @property
    def line(self) -> str:
        """What the table says."""
        if not self.wrong:
            return f"{self.value} (limit: {self.limit})"
        more = f" and {len(self.wrong) - _SHOWN} more" if len(self.wrong) > _SHOWN else ""
        return (
            f"TOO MUCH: {self.value} (limit: {self.limit}): {'; '.join(self.wrong[:_SHOWN])}{more}"
        )


def of_shown(
    shown: Sequence[AuditedText], words: tuple[int, int] | None, flags: Corpus
) -> Iterator[CorpusCheck]:
    """Check the texts that show an emotion."""
    gaps = [" / ".join(cell) for cell in audit.missing_cells(shown)]
    yield CorpusCheck.none_of("cells without a text", gaps)
    if words is not None:
        wrong = _of_other_length(shown, words)
        limit = "outside {}-{}".format(*words)
        yield CorpusCheck.none_of("texts of another length", wrong, limit)
    named = [f"{text.where} ({', '.join(words)})" for text, words in audit.leaking(shown)]
    yield CorpusCheck.none_of("texts that name an emotion", named)
    if _have_parts(shown):
        yield from _of_parts(shown, "topics")
    if any("form" in text.about for text in shown):
        yield _of_forms(shown)
    pairs = [f"{a} and {b} ({share:.2f})" for share, a, b in audit.alike(shown, flags.alike)]
    tagged = [f"{it.where} ({', '.join(tags)})" for it in shown if (tags := audit.tags(it.whole))]
    yield CorpusCheck.none_of("texts with tags", tagged)
    yield CorpusCheck.none_of("pairs that are nearly the same", pairs, f"above {flags.alike:g}")
    runs = [f"{words!r} in {n}" for words, n in audit.repeated(shown, flags.repeats).items()]
    limit = f"in more than {flags.repeats} texts"
    yield CorpusCheck.none_of("five words in a row, repeated", runs, limit)
    signatures = [
        f"{it.emotion}: {it.word} ({it.n} of {it.of})"
        for it in audit.signatures(shown, flags.signature)
    ]
    limit = (
        f"in over {flags.signature:.0%} of an emotion's texts, three times as often as elsewhere"
    )
    yield CorpusCheck.none_of("signature words", signatures, limit)


def of_said(said: Sequence[AuditedText], shown: Sequence[AuditedText]) -> Iterator[CorpusCheck]:
    """Check the frames that say an emotion: the phrase should be all that differs."""
    gaps = [" / ".join(cell) for cell in audit.missing_cells(said)]
    yield CorpusCheck.none_of("said: cells without a phrase", gaps)
    unsaid = sorted({it.emotion for it in shown} - {it.emotion for it in said})
    yield CorpusCheck.none_of("said: emotions that no frame says", unsaid)
    yield from _of_parts(said, "said: frames")
    phrases = [
        f"{frame}: {phrase!r} ({', '.join(names)})"
        for frame, phrase, names in audit.shared_phrases(said)
    ]
    yield CorpusCheck.none_of("said: phrases of two emotions", phrases)


def of_neutral(
    neutral: Sequence[AuditedText], shown: Sequence[AuditedText], words: tuple[int, int] | None
) -> Iterator[CorpusCheck]:
    """Check the neutral texts: none names an emotion, and zeros stand in their topic's parts."""
    named = [(it.where, named_emotions(it.text)) for it in neutral]
    wrong = [f"{where} ({', '.join(names)})" for where, names in named if names]
    yield CorpusCheck.none_of("neutral: texts that name an emotion", wrong)
    zeros = [text for text in neutral if text.opening]
    if not zeros:
        return
    around = {(it.topic, it.opening, it.closing) for it in shown}
    strange = [it.where for it in zeros if (it.topic, it.opening, it.closing) not in around]
    limit = "between other openings or closings than their topic's stories"
    yield CorpusCheck.none_of("neutral: zeros that do not match", strange, limit)
    bare = sorted({it.topic for it in shown} - {it.topic for it in zeros})
    yield CorpusCheck.none_of("neutral: topics without a zero", bare)
    if words is not None:
        wrong = _of_other_length(zeros, words)
        limit = "outside {}-{}".format(*words)
        yield CorpusCheck.none_of("neutral: zeros of another length", wrong, limit)


def of_readings(readings: Sequence[LexicalReading]) -> Iterator[CorpusCheck]:
    """Check that nothing is learned by words across saying and showing."""
    for reading in readings:
        if reading.learned is None or SAID not in (reading.learned, reading.read):
            continue
        most = _TIMES_CHANCE * reading.chance
        wrong = [f"{reading.accuracy.value:.1%}"] if reading.accuracy.value > most else []
        name = f"{reading.reader}, {reading.learned or 'shown'} -> {reading.read or 'shown'}"
        yield CorpusCheck(name, f"{reading.accuracy.value:.1%}", f"{most:.1%}, twice chance", wrong)


def _have_parts(texts: Sequence[AuditedText]) -> bool:
    return any(text.opening or text.closing for text in texts)


def _of_parts(texts: Sequence[AuditedText], of: str) -> Iterator[CorpusCheck]:
    differ = [f"{topic} ({n} {part})" for topic, part, n in audit.parts_that_differ(texts)]
    yield CorpusCheck.none_of(f"{of} with several openings or closings", differ)
    named = [f"{topic} ({', '.join(words)})" for topic, words in audit.parts_that_name(texts)]
    yield CorpusCheck.none_of(f"{of} whose opening or closing names an emotion", named)


def _of_forms(shown: Sequence[AuditedText]) -> CorpusCheck:
    uneven = [
        f"{emotion}: {share:.0%} {form}, not {overall:.0%}"
        for emotion, form, share, overall in audit.unbalanced_forms(shown, _OUT_OF_BALANCE)
    ]
    limit = f"whose share of a form is over {100 * _OUT_OF_BALANCE:.0f} points from that of all"
    return CorpusCheck.none_of("emotions out of balance", uneven, limit)


def _of_other_length(texts: Sequence[AuditedText], words: tuple[int, int]) -> list[str]:
    low, high = words
    lengths = ((text.where, len(text.text.split())) for text in texts)
    return [f"{where} ({n} words)" for where, n in lengths if not low <= n <= high]
