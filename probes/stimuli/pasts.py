"""Texts in which the same words follow different pasts, written for this project.

No text names an emotion (held by a test), but for the frames of `negations`, which are about that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from pydantic import TypeAdapter

from probes.stimuli._data import read_yaml


@dataclass(frozen=True)
class PrefixPair:
    """One event that takes a good or a bad turn, with ``{name}`` for the person.

    `implies` are the emotions that either turn implies, by ``"good"`` and ``"bad"``, likeliest
    first.
    """

    id: str
    names: tuple[str, str]
    good: str
    bad: str
    implies: Mapping[str, tuple[str, ...]]

    @property
    def implied(self) -> set[str]:
        """Emotions of either turn."""
        return {name for names in self.implies.values() for name in names}


@dataclass(frozen=True)
class NeutralPair:
    """One event without any valence and the same event with another turn of it."""

    id: str
    names: tuple[str, str]
    one: str
    other: str


@dataclass(frozen=True)
class SameWords:
    """Prefixes, and what follows all of them: things and place, in no mood."""

    suffixes: tuple[str, ...]
    pairs: tuple[PrefixPair, ...]
    neutral: tuple[NeutralPair, ...]


@dataclass(frozen=True)
class Negation:
    """A frame with ``{adverb}`` before ``{feel}``: affirmed where it is left out.

    `fillers` are adverbs that negate nothing and stand in the same place.
    """

    text: str
    fillers: tuple[str, ...]

    @property
    def end(self) -> str:
        """What comes after the emotion."""
        return self.text.partition("{feel}")[2].lstrip(" ")

    def affirmed(self, feel: str) -> str:
        """Say it."""
        return self._with("", feel)

    def negated(self, feel: str) -> str:
        """Deny it."""
        return self._with("not ", feel)

    def filled(self, filler: str, feel: str) -> str:
        """Say it with an adverb that changes little."""
        return self._with(f"{filler} ", feel)

    def _with(self, adverb: str, feel: str) -> str:
        return self.text.replace("{adverb} ", adverb).replace("{feel}", feel)


@dataclass(frozen=True)
class DoseTemplate:
    """A text in which one ``{number}`` decides how grave things are, before a suffix of no mood.

    `control` has the same numbers where nothing hangs on them. `rises` and `falls` are emotions
    that should follow the number, likeliest first.
    """

    id: str
    text: str
    suffix: str
    control: str
    numbers: tuple[int, ...]
    rises: tuple[str, ...]
    falls: tuple[str, ...]
    high_is_bad: bool

    def with_number(self, number: int) -> str:
        """Put a number in."""
        return self.text.replace("{number}", str(number))


@dataclass(frozen=True)
class BindingScene:
    """Two people of opposite fates, each a sentence that begins with ``{name}``, and a mention.

    `implies` are the emotions of either fate, by ``"lucky"`` and ``"unlucky"``, likeliest first.
    """

    id: str
    names: tuple[str, str]
    lucky: str
    unlucky: str
    mention: str
    implies: Mapping[str, tuple[str, ...]]

    @property
    def implied(self) -> set[str]:
        """Emotions of either fate."""
        return {name for names in self.implies.values() for name in names}


@cache
def dose_templates() -> Sequence[DoseTemplate]:
    """Return twelve; of six a high number is bad."""
    return TypeAdapter(tuple[DoseTemplate, ...]).validate_python(read_yaml("doses.yaml"))


@cache
def binding_scenes() -> Sequence[BindingScene]:
    """Return 24 scenes."""
    return TypeAdapter(tuple[BindingScene, ...]).validate_python(read_yaml("binding.yaml"))


@cache
def same_words() -> SameWords:
    """Return 32 pairs of prefixes, 12 neutral ones and 4 suffixes."""
    return TypeAdapter(SameWords).validate_python(read_yaml("same_words.yaml"))


@cache
def negations() -> Sequence[Negation]:
    """Return four frames."""
    return TypeAdapter(tuple[Negation, ...]).validate_python(read_yaml("negation.yaml"))
