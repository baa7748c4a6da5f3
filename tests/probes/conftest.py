"""One finished run, made once, that tests copy and damage; a made-up analysis to draw and tell."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import made_up_analysis
import made_up_report
import pytest
import small_runs
import yaml
from small_runs import SmallRun

from probes.analysis.results import Geometry
from probes.stages import NAMES


@pytest.fixture(scope="session")
def subject(tiny_folder: Callable[..., Path]) -> Path:
    """A tiny base model to read with."""
    return tiny_folder("gpt2")


@pytest.fixture(scope="session")
def tiny_writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny chat model whose stories pass the filter."""
    return small_runs.save_tiny_writer(tmp_path_factory.mktemp("models") / "writer")


@pytest.fixture
def small_run(tmp_path: Path, subject: Path) -> Callable[..., SmallRun]:
    """``small_run(**sections)``: a config in the test's own folder, nothing run yet."""

    def make(**sections: Any) -> SmallRun:
        values = small_runs.small_settings(subject, tmp_path / "out", **sections)
        return SmallRun(small_runs.write_config(tmp_path / "c.yaml", values), tmp_path / "out")

    return make


@pytest.fixture
def reading_run(small_run: Callable[..., SmallRun], tmp_path: Path) -> Callable[..., SmallRun]:
    """``reading_run(**sections)``: as `small_run`, with texts from files instead of a writer."""

    def make(corpus: dict[str, Any] | None = None, **sections: Any) -> SmallRun:
        own = small_runs.write_corpus(tmp_path, **(corpus or {}))
        generation = {"emotions_subset": None, **sections.pop("generation", {})}
        return small_run(corpus=own, generation=generation, **sections)

    return make


@pytest.fixture(scope="session")
def finished_original(subject: Path, tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    """All stages of a run on texts from files, done once; copy it, do not touch it."""
    folder = tmp_path_factory.mktemp("finished")
    own = small_runs.write_corpus(folder)
    values = small_runs.small_settings(
        subject, folder / "out", corpus=own, generation={"emotions_subset": None}
    )
    made = SmallRun(small_runs.write_config(folder / "c.yaml", values), folder / "out")
    run = made.run()
    run.prepare()
    made.stages(*NAMES)
    return made


@pytest.fixture
def finished(finished_original: SmallRun, tmp_path: Path) -> SmallRun:
    """A copy of a finished run."""
    shutil.copytree(finished_original.folder, tmp_path / "out")
    values = yaml.safe_load(Path(finished_original.config).read_text())
    config = small_runs.write_config(
        tmp_path / "c.yaml", {**values, "output_dir": str(tmp_path / "out")}
    )
    return SmallRun(config, tmp_path / "out")


@pytest.fixture(scope="session")
def analysis() -> dict[str, Any]:
    """A made-up analysis of 24 rated emotions: what `pictures.figures_of` takes."""
    return made_up_analysis.analysis_of(made_up_report.emotions_with(()))


@pytest.fixture(scope="session")
def geometry(analysis: dict[str, Any]) -> Geometry:
    """Its vectors at one layer."""
    return analysis["geometry"]
