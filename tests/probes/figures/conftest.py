"""The made-up analysis of a small and of a full set of emotions."""

import dataclasses
from typing import Any

import pytest
from made_up_analysis import HOSTILE, TOKENS, analysis_of, synthetic_geometry, words_171

from probes.analysis.results import Geometry


@pytest.fixture(scope="session")
def large_geometry() -> Geometry:
    return synthetic_geometry(words_171(), clusters=10)


@pytest.fixture(scope="session")
def hostile() -> dict[str, Any]:
    """An analysis whose names and tokens look like markup, formulas and code."""
    made = analysis_of([*HOSTILE, "happy", "angry"], (*HOSTILE, *TOKENS))
    del made["layers"]
    return {**made, "geometry": dataclasses.replace(made["geometry"], model=HOSTILE[0])}
