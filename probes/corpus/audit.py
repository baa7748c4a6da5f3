"""What can be said of a corpus by its words alone: gaps, lengths, leaks, repetitions, signatures.

A signature word gives an emotion away to whoever counts words: a content word, in any inflection,
that stands in many of an emotion's texts and in few others. `probes.texts.lexical` says how far
counting gets.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from probes.stimuli import leaks, lemmas, named_emotions

SHINGLE = 5
"""Characters that are compared for likeness, and words that may not be repeated."""
_AT_ONCE = 512
_MOST_COMPARED = 20_000
_AS_COMMON = 1 / 3
"""A word is no signature where other texts hold it at least at this share of its own rate."""
_TAG = re.compile(
    r"</?[A-Za-z][\w-]*(?:\s[^<>\n]*)?/?>|<\|[^<>|\n]+\|>"  # <p>, <|im_end|>
    r"|\[[^\[\]\n]{1,30}\]|&(?:[a-z]+|#\d+);|(?<!\w)#[A-Za-z]\w*"  # [sad], [INST], &amp;, #sad
)
Cell = tuple[str, str]
"""Emotion and topic."""


@dataclass(frozen=True)
class AuditedText:
    """One text; where it stands, and what else is known of it (form, person, tense, writer).

    `opening` and `closing` stand around it, the same in all texts of a topic; of a frame that says
    an emotion, `text` is the phrase alone.
    """

    emotion: str
    topic: str
    text: str
    where: str
    about: Mapping[str, str] = field(default_factory=dict)
    opening: str = ""
    closing: str = ""

    @property
    def cell(self) -> Cell:
        """Its emotion and topic."""
        return self.emotion, self.topic

    @property
    def whole(self) -> str:
        """The text with what stands around it."""
        return " ".join(part for part in (self.opening, self.text, self.closing) if part)


@dataclass(frozen=True)
class Signature:
    """A word in `n` of an emotion's `of` texts, and in a share of all others."""

    emotion: str
    word: str
    n: int
    of: int
    elsewhere: float


def words_of(text: str) -> list[str]:
    """Return the words, lower case; contractions are no words of their own."""
    words = re.findall(r"([^\W\d_]+)(['’][^\W\d_]+)?", text.lower())
    return [word for word, rest in words if rest in ("", "'s", "’s")]


def missing_cells(texts: Sequence[AuditedText]) -> list[Cell]:
    """Return the cells without a text, of all emotions and topics that occur."""
    there = {text.cell for text in texts}
    emotions, topics = ({cell[n] for cell in there} for n in (0, 1))
    return sorted({(e, t) for e in emotions for t in topics} - there)


def parts_that_differ(texts: Sequence[AuditedText]) -> list[tuple[str, str, int]]:
    """Return topics with more than one opening or closing: topic, which of the two, how many."""
    by_topic: dict[tuple[str, str], set[str]] = defaultdict(set)
    for text in texts:
        by_topic[text.topic, "openings"].add(text.opening)
        by_topic[text.topic, "closings"].add(text.closing)
    return [(topic, part, len(of)) for (topic, part), of in by_topic.items() if len(of) > 1]


def parts_that_name(texts: Sequence[AuditedText]) -> list[tuple[str, list[str]]]:
    """Return topics whose opening or closing names an emotion, with the words."""
    parts = {(text.topic, part): None for text in texts for part in (text.opening, text.closing)}
    return [(topic, words) for topic, part in parts if (words := named_emotions(part))]


def shared_phrases(said: Sequence[AuditedText]) -> list[tuple[str, str, list[str]]]:
    """Return phrases that say several emotions in one frame: frame, phrase, emotions."""
    emotions: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for text in said:
        emotions[text.topic, " ".join(text.text.lower().split())][text.emotion] = None
    return [(*key, list(names)) for key, names in emotions.items() if len(names) > 1]


def unbalanced_forms(
    texts: Sequence[AuditedText], most: float
) -> list[tuple[str, str, float, float]]:
    """Return emotions whose share of a form differs by more than `most` from that of all texts.

    Each with the form, its own share and that of all texts.
    """
    n_of = Counter(text.emotion for text in texts)
    n_form = Counter(form for text in texts if (form := text.about.get("form")))
    both = Counter((text.emotion, text.about.get("form")) for text in texts)
    shares = (
        (emotion, form, both[emotion, form] / n, n_form[form] / len(texts))
        for emotion, n in n_of.items()
        for form in n_form
    )
    return [it for it in shares if abs(it[2] - it[3]) > most]


def tags(text: str) -> list[str]:
    """Return marks that are not prose: HTML, marks of chat templates, brackets, hashtags."""
    return list(dict.fromkeys(_TAG.findall(text)))


def leaking(texts: Sequence[AuditedText]) -> list[tuple[AuditedText, list[str]]]:
    """Return texts with words that name their own emotion, a synonym, or any listed emotion."""
    named = (
        (text, [*leaks(text.text, text.emotion), *named_emotions(text.text)]) for text in texts
    )
    return [(text, list(dict.fromkeys(words))) for text, words in named if words]


def alike(texts: Sequence[AuditedText], limit: float) -> list[tuple[float, str, str]]:
    """Return pairs whose sets of five characters overlap (Jaccard) by more than a limit.

    Of a corpus of more than 20,000 texts the first are compared.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    compared = texts[:_MOST_COMPARED]
    if len(compared) < 2:
        return []
    counter = CountVectorizer(analyzer="char_wb", ngram_range=(SHINGLE, SHINGLE), binary=True)
    table: Any = counter.fit_transform([text.text for text in compared])
    sizes = table.getnnz(axis=1)
    pairs = []
    for start in range(0, len(compared), _AT_ONCE):
        shared = (table[start : start + _AT_ONCE] @ table.T).tocoo()
        first, second = start + shared.row, shared.col
        share = shared.data / (sizes[first] + sizes[second] - shared.data)
        for n in ((first < second) & (share > limit)).nonzero()[0]:
            pairs.append((float(share[n]), compared[first[n]].where, compared[second[n]].where))
    return sorted(pairs, reverse=True)


def repeated(texts: Sequence[AuditedText], most: int) -> dict[str, int]:
    """Return runs of five words that stand in more texts than `most`, and in how many."""
    owners: dict[tuple[str, ...], set[int]] = defaultdict(set)
    for number, text in enumerate(texts):
        words = re.findall(r"[\w'’]+", text.text.lower())
        for start in range(len(words) - SHINGLE + 1):
            owners[tuple(words[start : start + SHINGLE])].add(number)
    return {" ".join(words): len(of) for words, of in owners.items() if len(of) > most}


def signatures(texts: Sequence[AuditedText], most: float) -> list[Signature]:
    """Return the words that stand in more than a share of an emotion's texts and few others.

    A word in one text alone is none, however few texts there are.
    """
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    lemma = lemmas({word for text in texts for word in words_of(text.text)})
    holds = [
        {lemma[w] for w in words_of(text.text) if len(w) > 2 and w not in ENGLISH_STOP_WORDS}
        for text in texts
    ]
    everywhere = Counter(word for words in holds for word in words)
    of: dict[str, Counter[str]] = defaultdict(Counter)
    for text, words in zip(texts, holds, strict=True):
        of[text.emotion].update(words)
    sizes = Counter(text.emotion for text in texts)
    return sorted(
        _signatures_of(of, sizes, everywhere, len(texts), most),
        key=lambda it: (it.elsewhere - it.n / it.of, it.emotion, it.word),
    )


def _signatures_of(
    of: Mapping[str, Counter[str]],
    sizes: Mapping[str, int],
    everywhere: Mapping[str, int],
    n_texts: int,
    most: float,
) -> Iterator[Signature]:
    for emotion, counted in of.items():
        size = sizes[emotion]
        for word, n in counted.items():
            elsewhere = (everywhere[word] - n) / max(1, n_texts - size)
            if n > max(1, most * size) and elsewhere < _AS_COMMON * n / size:
                yield Signature(emotion, word, n, size, elsewhere)


def names_in(texts: Sequence[AuditedText], n: int = 10) -> list[tuple[str, int]]:
    """Return the commonest words that are capitalized within a sentence, and in how many texts."""
    capitalized = re.compile(r"(?<=[a-z,;] )[A-Z][\w-]+\b(?!['’](?!s\b))")
    counted = Counter(name for text in texts for name in set(capitalized.findall(text.text)))
    return counted.most_common(n)


def tics(texts: Sequence[AuditedText]) -> dict[str, dict[str, float]]:
    """Return shares of texts with a writer's habits, by writer; nothing where none is named."""
    habits = {
        'begins with "The"': re.compile(r"^The\b"),
        '"as if"': re.compile(r"\bas if\b"),
        "and ... and ... and": re.compile(r"\band\b[^.!?]*\band\b[^.!?]*\band\b"),
        "ends on a sentence of at most four words": re.compile(r"[.!?]\s+(?:\S+\s+){0,3}\S+$"),
    }
    by_writer: dict[str, list[str]] = defaultdict(list)
    for text in texts:
        if writer := text.about.get("writer"):
            by_writer[writer].append(text.text)
    return {
        writer: {
            name: sum(bool(habit.search(text)) for text in written) / len(written)
            for name, habit in habits.items()
        }
        for writer, written in sorted(by_writer.items())
    }
