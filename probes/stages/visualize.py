"""Every figure of a run, as PNG and as interactive HTML."""

from typing import Any

from probes import figures
from probes.experiments import EXPERIMENTS, find_experiment
from probes.runs.folder import Run
from probes.runs.models import Models
from probes.runs.reporting import Reporter
from probes.stages.analyze import GEOMETRY, LAYERS
from probes.stages.logit_lens import LENS
from probes.storage import read_json


def visualize(run: Run, models: Models, reporter: Reporter) -> dict[str, Any]:  # noqa: ARG001
    """Every figure as PNG and HTML; leaves ``figures/``."""
    record = run.record("generate-stories")
    analysis = {
        "geometry": read_json(run.root / GEOMETRY),
        "layers": read_json(run.root / LAYERS),
        "lens": read_json(run.root / LENS),
        "counts": record and record.counts,
    }
    described = figures.figures_of(analysis)
    for experiment in EXPERIMENTS:
        result = run.root / experiment.file
        if result.is_file():
            described |= find_experiment(experiment.name).read(read_json(result)).figures()
    with reporter.task("drawing figures", 1, "set") as advance:
        paths = figures.draw_all(described, run.root / "figures")
        advance(1)
    return {"figures": sorted(path.name for path in paths)}
