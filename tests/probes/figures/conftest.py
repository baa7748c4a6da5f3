"""The made-up analysis of a small and of a full set of emotions."""

from typing import Any

import pytest
from made_up_analysis import (
    HOSTILE,
    TOKENS,
    human_ratings,
    synthetic_counts,
    synthetic_geometry,
    synthetic_layers,
    synthetic_lens,
    words_171,
)


@pytest.fixture(scope="session")
def rated_words() -> list[str]:
    """Twenty-four words that people have rated."""
    return sorted(set(human_ratings()) & set(words_171()))[:24]


@pytest.fixture(scope="session")
def geometry(rated_words: list[str]) -> dict[str, Any]:
    return synthetic_geometry(rated_words, clusters=4)


@pytest.fixture(scope="session")
def large_geometry() -> dict[str, Any]:
    return synthetic_geometry(words_171(), clusters=10)


@pytest.fixture(scope="session")
def analysis(geometry: dict[str, Any], rated_words: list[str]) -> dict[str, Any]:
    return {
        "geometry": geometry,
        "layers": synthetic_layers(),
        "lens": synthetic_lens(rated_words, TOKENS),
        "counts": synthetic_counts(rated_words),
    }


@pytest.fixture(scope="session")
def hostile() -> dict[str, Any]:
    """An analysis whose names and tokens look like markup, formulas and code."""
    emotions = [*HOSTILE, "happy", "angry"]
    return {
        "geometry": {**synthetic_geometry(emotions, clusters=3), "model": HOSTILE[0]},
        "lens": synthetic_lens(emotions, (*HOSTILE, *TOKENS)),
        "counts": synthetic_counts(emotions),
    }
