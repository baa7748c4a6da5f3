"""A made-up analysis of 24 emotions."""

from typing import Any

import made_up_analysis
import made_up_report
import pytest

from probes.analysis.results import Geometry


@pytest.fixture(scope="session")
def analysis() -> dict[str, Any]:
    """What `pictures.figures_of` takes."""
    return made_up_analysis.analysis(made_up_report.emotions_with(()))


@pytest.fixture(scope="session")
def geometry(analysis: dict[str, Any]) -> Geometry:
    return analysis["geometry"]
