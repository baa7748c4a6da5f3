"""Guess the inflected forms of one English word, for ban lists.

1. A phrase or compound ("fed-up") is returned as it is.
2. A participle used as an adjective ("cornered") gets -ly and -ness, not its verb: "corner" is
   another word. `verb_bases` guesses the verb where that is wanted.
3. A word with an adjective's ending ("fearless") gets -ly, -ness and the matching noun.
4. Any other word gets the endings of adjectives, verbs and nouns at once.

A form that does not exist ("keened") is harmless and a missing one is not. Irregular words are
listed in `data/lexicon.yaml`.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Set
from functools import cache

from probes.stimuli._data import read_yaml

_SUFFIXES = ("s", "es", "ed", "d", "ing", "ly", "ness", "er", "r", "est", "st")
_ADJECTIVE = re.compile(
    r"[aeiouy][^aeiou]\w*(?:ful|less|ous|ive|ish|ant|ent|al|ic|[ai]ble|some|ary|ory)$"
)
_NOUN_ENDINGS = {"ent": "ence", "ant": "ance", "able": "ability", "ible": "ibility"}
_ONE_SYLLABLE_CLOSED = re.compile(r"[^aeiou]*[aeiou][^aeiouwxy]")


def inflections(word: str) -> frozenset[str]:
    """Return the word and its guessed forms."""
    word = word.casefold()
    if re.search(r"[\s-]", word):
        return frozenset({word})
    if len(word) > 4 and word.endswith(("ed", "ing")):
        return frozenset({word, word + "ly", word + "ness"})
    if _ADJECTIVE.search(word):
        nouns = {
            word.removesuffix(old) + new for old, new in _NOUN_ENDINGS.items() if word.endswith(old)
        }
        return frozenset({word, _adverb(word), _soft(word) + "ness"} | nouns)
    return frozenset({word, _adverb(word), *_graded(word), *_conjugated(word)})


def verb_bases(participle: str) -> frozenset[str]:
    """Return the verbs a participle may come from ("hoped" -> "hope"); empty for other words."""
    stem = re.sub(r"(?:ed|ing)$", "", participle.casefold())
    if stem == participle.casefold() or len(stem) < 3:
        return frozenset()
    if stem.endswith("i"):  # "worried"
        return frozenset({stem[:-1] + "y"})
    if _ONE_SYLLABLE_CLOSED.fullmatch(stem):  # "hop" would have been doubled: "hopped"
        return frozenset({stem + "e"})
    if stem[-1] == stem[-2] and stem[-1] not in "aeiou":
        return frozenset({stem, stem[:-1]})
    return frozenset({stem, stem + "e"})


def causing(verb: str) -> frozenset[str]:
    """Return what is said of a thing that does it to somebody ("sicken" -> "sickening")."""
    participle = _stem_before_vowel(verb) + "ing"
    return frozenset({participle, participle + "ly"})


def _stem_before_vowel(word: str) -> str:
    if word.endswith("e"):
        return word[:-1]
    if _ONE_SYLLABLE_CLOSED.fullmatch(word):
        return word + word[-1]
    return word


def _soft(word: str) -> str:
    """Turn a final consonant + y into i."""
    return word[:-1] + "i" if re.search(r"[^aeiou]y$", word) else word


def _adverb(word: str) -> str:
    if word.endswith("ic"):
        return word + "ally"
    if re.search(r"[^aeiou]le$", word):
        return word[:-1] + "y"
    return _soft(word) + "ly"


def _graded(word: str) -> set[str]:
    stem = _soft(word) if word.endswith("y") else _stem_before_vowel(word)
    return {stem + "er", stem + "est", _soft(word) + "ness"}


def _conjugated(word: str) -> set[str]:
    past = (_soft(word) if word.endswith("y") else _stem_before_vowel(word)) + "ed"
    plural = word + "s"
    if re.search(r"[^aeiou]y$", word):
        plural = _soft(word) + "es"
    elif re.search(r"(?:s|x|z|ch|sh)$", word):
        plural = word + "es"
    return {plural, past, _stem_before_vowel(word) + "ing"}


def lemmas(vocabulary: Set[str]) -> dict[str, str]:
    """Return what each word of some texts is counted as: a base that it shares with others.

    Of the bases of which a word may be a form, it is the one with the most forms in the texts.
    """
    forms: dict[str, set[str]] = defaultdict(set)
    bases = {word: _bases(word) for word in vocabulary}
    for word, candidates in bases.items():
        for base in candidates:
            forms[base].add(word)
    return {
        word: min(candidates, key=lambda base: (-len(forms[base]), len(base), base))
        for word, candidates in bases.items()
    }


def _bases(word: str) -> set[str]:
    """Return the words, itself among them, of which a word may be a form."""
    if word in _irregular():
        return {_irregular()[word]}
    endings = [stem for it in _SUFFIXES if len(stem := word.removesuffix(it)) > 2 and stem != word]
    undoubled = [stem[:-1] for stem in endings if stem[-1] == stem[-2]]
    silent = [stem + "e" for stem in endings]
    softened = [stem[:-1] + "y" for stem in endings if stem[-1] == "i"]
    candidates = [*endings, *undoubled, *silent, *softened]
    return {word, *(base for base in candidates if len(base) > 2 and word in inflections(base))}


@cache
def _irregular() -> Mapping[str, str]:
    listed = read_yaml("irregular.yaml")
    return {form: base for base, forms in listed.items() for form in forms}
