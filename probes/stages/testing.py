"""Stage that tests the vectors against controls which could beat them."""

import time
from collections.abc import Sequence
from typing import Any

from probes import scorecard
from probes.experiments import EXPERIMENTS, Entry, find_experiment
from probes.materials import Materials
from probes.models import Models
from probes.reporting import Reporter
from probes.runs import Run
from probes.stages import experiments_of
from probes.stages.looking import GEOMETRY
from probes.storage import read_json, write_json


def validate(run: Run, models: Models, reporter: Reporter) -> dict[str, Any]:
    """Run every experiment of the config; each leaves ``analysis/NAME.json`` as soon as it is done.

    An experiment whose file is there is not run again, so an interrupted validation goes on. At the
    end ``analysis/scorecard.json`` holds all of it beside the paper's numbers.
    """
    entries = experiments_of(run)
    measure(run, models, reporter, entries)
    done = {entry.name: read_json(run.root / entry.file) for entry in entries}
    found = {"geometry": read_json(run.root / GEOMETRY), **done}
    write_json(run.root / scorecard.FILE, {"lines": scorecard.to_json(scorecard.scorecard(found))})
    return {
        "experiments": {name: result["seconds"] for name, result in done.items()},
    }


def measure(run: Run, models: Models, reporter: Reporter, entries: Sequence[Entry]) -> None:
    """Run experiments that have left no file yet."""
    materials = Materials(run, models, reporter)
    for entry in EXPERIMENTS:
        path = run.root / entry.file
        if entry not in entries or path.exists():
            continue
        start = time.monotonic()
        measured = find_experiment(entry.name).measure(materials)
        seconds = round(time.monotonic() - start, 2)
        about = {"experiment": entry.name, "question": entry.question, "seconds": seconds}
        write_json(path, {**about, **measured.to_json()})
