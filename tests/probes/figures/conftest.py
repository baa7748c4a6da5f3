"""The made-up analysis of emotions whose names are hostile."""

import dataclasses
from typing import Any

import pytest
from made_up_analysis import HOSTILE, TOKENS, analysis_of


@pytest.fixture(scope="session")
def hostile() -> dict[str, Any]:
    """An analysis whose names and tokens look like markup, formulas and code."""
    made = analysis_of([*HOSTILE, "happy", "angry"], (*HOSTILE, *TOKENS))
    del made["layers"]
    return {**made, "geometry": dataclasses.replace(made["geometry"], model=HOSTILE[0])}
