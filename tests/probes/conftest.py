"""A made-up analysis to draw and tell."""

from typing import Any

import made_up_analysis
import made_up_report
import pytest

from probes.analysis.results import Geometry


@pytest.fixture(scope="session")
def analysis() -> dict[str, Any]:
    """A made-up analysis of 24 rated emotions: what `pictures.figures_of` takes."""
    return made_up_analysis.analysis_of(made_up_report.emotions_with(()))


@pytest.fixture(scope="session")
def geometry(analysis: dict[str, Any]) -> Geometry:
    """Its vectors at one layer."""
    return analysis["geometry"]


@pytest.fixture(scope="session")
def large_geometry() -> Geometry:
    """Made-up vectors of all 171 emotions, of which 45 are rated."""
    return made_up_analysis.synthetic_geometry(made_up_analysis.words_171(), clusters=10)
