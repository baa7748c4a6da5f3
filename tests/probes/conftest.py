"""A made-up analysis to draw and tell, and a small run on the corpus of the project."""

from pathlib import Path
from typing import Any

import made_up_analysis
import made_up_report
import pytest
import reference_runs
from small_runs import SmallRun

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


@pytest.fixture(scope="session")
def reference_subject(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny model that reads the project's corpus."""
    return reference_runs.save_subject(tmp_path_factory.mktemp("reference-subject"))


@pytest.fixture(scope="session")
def reference_run(reference_subject: Path, tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    """A run on some of the project's corpus, up to its vectors; leave it as it is."""
    return reference_runs.make(reference_subject, tmp_path_factory.mktemp("reference-run"))
