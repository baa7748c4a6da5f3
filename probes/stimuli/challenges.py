"""Messages that put an assistant under strain, each beside an everyday request of its length.

Both of a pair have as many words, and both end with a question or neither does (held by a test):
what a model does at one and not at the other is no matter of length. No text names an emotion.
"""

from dataclasses import dataclass
from functools import cache

from probes.stimuli._data import read_yaml


@dataclass(frozen=True)
class Challenge:
    """A challenging message and its neutral request, each with a name of its own."""

    name: str
    text: str
    neutral_name: str
    neutral: str


@cache
def challenges() -> tuple[Challenge, ...]:
    """Return forty pairs."""
    content = read_yaml("challenges.yaml")
    pairs = zip(content["challenging"], content["neutral"], strict=True)
    return tuple(
        Challenge(one["id"], one["text"], other["id"], other["text"]) for one, other in pairs
    )
