"""Every figure of a run, as PNG and as interactive HTML."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from probes.analysis.results import Geometry, Layers, Lens, read_result
from probes.experiments import EXPERIMENTS, find_experiment
from probes.figures import Figure, draw_all
from probes.report import pictures
from probes.runs.folder import Run
from probes.runs.models import Models
from probes.runs.reporting import Reporter
from probes.stages.analyze import GEOMETRY, LAYERS
from probes.stages.logit_lens import LENS
from probes.storage import read_object


def visualize(run: Run, models: Models, reporter: Reporter) -> dict[str, Any]:  # noqa: ARG001
    """Every figure as PNG and HTML; leaves ``figures/``."""
    described = pictures.figures_of(**read_analysis(run))
    for entry in EXPERIMENTS:
        if (run.root / entry.file).is_file():
            content = read_object(run.root / entry.file)
            described |= find_experiment(entry.name).read(content).figures()
    with reporter.task("drawing figures", 1, "set") as advance:
        *paths, library = draw(described, run)
        advance(1)
    made = [path.relative_to(run.root).as_posix() for path in (*paths, library)]
    return {"figures": sorted(path.name for path in paths), "made": sorted(made)}


def draw(described: Mapping[str, Figure], run: Run) -> list[Path]:
    """Draw figures into the run's folder; return the drawings, and last what their pages load."""
    from probes.figures.webpage import LIBRARY

    folder = run.root / "figures"
    return [*draw_all(described, folder), folder / LIBRARY]


def read_geometry(run: Run) -> Geometry:
    """Return what `analyze` left of the target layer."""
    return read_result(Geometry, read_object(run.root / GEOMETRY), GEOMETRY, "analyze")


def read_analysis(run: Run) -> dict[str, Any]:
    """Return what `pictures.figures_of` takes, as the earlier stages left it."""
    written = run.record("generate-stories")
    return {
        "geometry": read_geometry(run),
        "layers": read_result(Layers, read_object(run.root / LAYERS), LAYERS, "analyze"),
        "lens": read_result(Lens, read_object(run.root / LENS), LENS, "logit-lens"),
        "counts": written and written.counts,
    }
