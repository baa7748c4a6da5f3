"""The 171 emotion words, in the order of the file, and two published tables about them.

Words are identified by their exact spelling ("at ease"). Sources are listed in `data/README.md`.
"""

import csv
import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from hooks.errors import InvalidInput
from probes.stimuli._data import read_text, read_yaml


@dataclass(frozen=True)
class Rating:
    """How people rated a word, each scale from -1 to 1: pleasure (valence), arousal, dominance."""

    pleasure: float
    arousal: float
    dominance: float


@cache
def emotions() -> tuple[str, ...]:
    """Return the 171 emotion words of the paper, alphabetically."""
    return tuple(read_text("emotions_171.txt").split("\n")[:-1])


@cache
def human_ratings() -> Mapping[str, Rating]:
    """Return ratings of 45 of the 171 words (Russell & Mehrabian 1977, see `data/README.md`)."""
    rows = csv.DictReader(read_text("norms_russell_mehrabian_1977.csv").splitlines())
    return MappingProxyType(
        {
            row["word"]: Rating(
                float(row["pleasure"]), float(row["arousal"]), float(row["dominance"])
            )
            for row in rows
        }
    )


@cache
def _clusters() -> Mapping[str, tuple[str, ...]]:
    return {name: tuple(words) for name, words in read_yaml("paper_clusters.yaml").items()}


def paper_clusters() -> dict[str, tuple[str, ...]]:
    """Return the paper's ten k-means clusters, cluster name to words; they partition the 171."""
    return dict(_clusters())


@cache
def paper_numbers() -> Mapping[str, Any]:
    """Return the numbers that the paper reports for its own model, by section; see the file."""
    return MappingProxyType(read_yaml("paper_scorecard.yaml"))


def check_emotions(names: Iterable[str]) -> None:
    """Refuse names that are not among the 171, with the nearest known word."""
    known = emotions()
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name.casefold(), known, n=1, cutoff=0.0)[0]
            raise InvalidInput(
                f"expected one of the {len(known)} emotion words, got {name!r}; "
                f"the nearest is {near!r} (probes.stimuli.emotions() lists all)"
            )
