"""Which words name an emotion, and where a text uses them.

A family is the forms of the emotion's own word ("sad", "sadly", "sadness", ...); banned are also
the families of its closest synonyms, and being a synonym goes both ways. A story must convey its
emotion without these words: otherwise the vector found is that of the word and not of the concept.

Contract
--------
* Case, hyphens and spaces in compounds, and markup around a word do not hide it.
* A form that is another word in its phrase ("in spite of", "the patient in bed 4") names nothing.
* Any word is accepted: a form of a listed word stands for that word; of any other one the
  inflections are guessed.

Source: `data/lexicon.yaml`, our own selection; its header says what was left out and why.
"""

import itertools
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from hooks.errors import InvalidInput
from probes.stimuli._data import read_yaml
from probes.stimuli.inflection import causing, inflections, verb_bases

# Letters and digits only: "_sad_" is the word sad in Markdown emphasis.
_NOT_AFTER_LETTER = r"(?<![^\W_])"
_NOT_BEFORE_LETTER = r"(?![^\W_])"
_JOINT = r"[\s\-\u2010-\u2015]*"
# "the patient in bed 4" is a person, "the patient nurse" is patient; so is "a patient, slow voice".
_ARTICLE = (
    r"(?:an?|the|this|that|each|every|another|any|some|what|which|whose|same|other|my|your|his|her"
    r"|its|our|their|\w+['’]s)"
)
_NO_NOUN_AFTER = (
    r"(?=['’]s\b|\s*[.;:!?\"”)]|\s*$|\s+(?:in|on|at|of|off|out|from|for|with|to|into|by|under|up"
    r"|down|back|away|as|who|that|which|whose|when|is|was|are|were|has|had|would|could|and the)\b)"
)


def word_family(emotion: str) -> frozenset[str]:
    """Return every form of the emotion's own word, lower case."""
    listed = _listed(emotion)
    if listed is not None:
        return frozenset(_entries()[listed]["family"])
    word = _normalized(emotion)
    return inflections(word).union(*(inflections(base) for base in verb_bases(word)))


@cache
def banned(emotion: str) -> frozenset[str]:
    """Return every word and phrase that names the emotion or a direct synonym, lower case."""
    listed = _listed(emotion)
    if listed is None:
        return word_family(emotion)
    return word_family(listed).union(*map(_synonym_forms, _synonyms()[listed]))


def leaks(text: str, emotion: str) -> list[str]:
    """Return the banned words that occur in the text, in order, as written there."""
    return _found(_banned_pattern(emotion), text)


def family_words(text: str, emotion: str) -> list[str]:
    """Return the forms of the emotion's own word that occur in the text, in order, as written."""
    return _found(_family_pattern(emotion), text)


def named_emotions(text: str) -> list[str]:
    """Return the words of the text that name any of the 171 emotions, in order, as written.

    Words that are ordinary in technical text ("content", "refresh") do not count; synonyms neither.
    """
    return _found(_any_emotion_pattern(), text)


@cache
def _lexicon() -> Mapping[str, Any]:
    return read_yaml("lexicon.yaml")


def _entries() -> Mapping[str, Mapping[str, list[str]]]:
    return _lexicon()["emotions"]


@cache
def _emotion_of_form() -> Mapping[str, str]:
    pairs = [(form, emotion) for emotion, entry in _entries().items() for form in entry["family"]]
    # Reversed, so that the first emotion that lists a form keeps it.
    return dict(reversed(pairs))


@cache
def _synonyms() -> Mapping[str, frozenset[str]]:
    """Return emotion to its synonyms: those it names, and the emotions that name it."""
    named = {emotion: set(entry["synonyms"]) for emotion, entry in _entries().items()}
    for emotion, entry in _entries().items():
        for other in _entries().keys() & set(entry["synonyms"]):
            named[other].add(emotion)
    return {emotion: frozenset(names) for emotion, names in named.items()}


def _normalized(word: str) -> str:
    word = " ".join(word.casefold().split())
    if not word:
        raise InvalidInput(f"expected an emotion word, got {word!r}; name it, for example 'sad'")
    return word


def _listed(word: str) -> str | None:
    """Return the emotion whose entry speaks for this word, if there is one."""
    word = _normalized(word)
    return word if word in _entries() else _emotion_of_form().get(word)


def _synonym_forms(name: str) -> frozenset[str]:
    # Roots first: "confident" as a synonym is narrower than the family of self-confident.
    if name in _lexicon()["roots"]:
        return frozenset(_lexicon()["roots"][name])
    if name in _entries():
        return frozenset(_entries()[name]["family"])
    # "stunned" is said of a person, "stunning" of what stunned them.
    return inflections(name).union(*(causing(base) for base in verb_bases(name)))


@cache
def _banned_pattern(emotion: str) -> re.Pattern[str]:
    listed = _listed(emotion)
    near = [] if listed is None else [listed, *(_entries().keys() & _synonyms()[listed])]
    return _pattern(banned(emotion), near)


@cache
def _family_pattern(emotion: str) -> re.Pattern[str]:
    listed = _listed(emotion)
    return _pattern(word_family(emotion), [] if listed is None else [listed])


@cache
def _any_emotion_pattern() -> re.Pattern[str]:
    everyday = set(_lexicon()["everyday"])
    forms = {name: set(entry["family"]) for name, entry in _entries().items()}
    allowed = set().union(*(forms[name] for name in everyday))
    return _pattern(set().union(*forms.values()) - allowed, _entries())


def _pattern(terms: Iterable[str], emotions: Iterable[str]) -> re.Pattern[str]:
    """Return the pattern of the terms, wherever no exception of the emotions holds."""
    entries = [_entries()[name] for name in emotions]
    phrases = _alternatives(it for entry in entries for it in entry.get("except", []))
    nouns = _alternatives(it for entry in entries for it in entry.get("nouns", []))
    # Exceptions come first: the scan steps over them, so the word inside is never seen.
    return re.compile(
        f"{_NOT_AFTER_LETTER}(?:(?:{phrases}){_NOT_BEFORE_LETTER}"
        f"|{_ARTICLE} (?:{nouns}){_NO_NOUN_AFTER}"
        f"|(?P<leak>{_alternatives(terms)}){_NOT_BEFORE_LETTER})",
        re.IGNORECASE,
    )


def _alternatives(terms: Iterable[str]) -> str:
    """Return one regular expression for all terms, the longest first; (?!) matches nothing.

    Few are tried at a place: those with its initial.
    """
    ordered = sorted(set(terms), key=lambda term: (term[0], -len(term), term))
    by_initial = itertools.groupby(ordered, key=lambda term: term[0])
    return (
        "|".join(
            f"{re.escape(initial)}(?:{'|'.join(_term_expression(term[1:]) for term in of)})"
            for initial, of in by_initial
        )
        or "(?!)"
    )


def _term_expression(term: str) -> str:
    parts = [re.escape(part).replace("'", "['’]") for part in re.split(r"[\s-]+", term)]
    return _JOINT.join(parts)


def _found(pattern: re.Pattern[str], text: str) -> list[str]:
    return [match["leak"] for match in pattern.finditer(text) if match["leak"]]
