"""Test the vectors; an experiment that fails leaves no file, stops no other, and is tried again."""

import time
import traceback
from collections.abc import Sequence
from typing import Any

from hooks.errors import EmotionLensError
from probes.analysis.results import Geometry, read_result
from probes.experiments import EXPERIMENTS, Entry, find_experiment, to_json
from probes.report import scorecard
from probes.runs.folder import Run
from probes.runs.materials import Materials
from probes.runs.models import Models
from probes.runs.reporting import Reporter
from probes.stages import experiments_of, seconds_of
from probes.stages.analyze import GEOMETRY
from probes.storage import StorageError, read_object, write_json


def validate(run: Run, models: Models, reporter: Reporter) -> dict[str, Any]:
    """Run every experiment of the config that has left no file; each leaves ``analysis/NAME.json``.

    At the end ``analysis/scorecard.json`` holds all of it beside the paper's numbers. Counts name
    the experiments that failed, with what they said.
    """
    entries = experiments_of(run)
    failed = measure(run, models, reporter, entries)
    done = {
        entry.name: read_object(run.root / entry.file)
        for entry in entries
        if entry.name not in failed
    }
    results = {name: find_experiment(name).read(content) for name, content in done.items()}
    geometry = read_result(Geometry, read_object(run.root / GEOMETRY), GEOMETRY, "analyze")
    lines = scorecard.scorecard({"geometry": geometry, **results})
    write_json(run.root / scorecard.FILE, scorecard.to_json(lines))
    return {
        "experiments": seconds_of(run, [entry for entry in entries if entry.name in done]),
        "failed": failed,
    }


def measure(
    run: Run, models: Models, reporter: Reporter, entries: Sequence[Entry]
) -> dict[str, str]:
    """Run experiments that have left no file yet; returns what those that failed said."""
    materials = Materials(run, models, reporter)
    failed = {}
    asked = [entry for entry in EXPERIMENTS if entry in entries]
    for number, entry in enumerate(asked, start=1):
        path = run.root / entry.file
        if path.exists():
            continue
        reporter.note(f"validate: {entry.name}, {number} of {len(asked)}")
        start = time.monotonic()
        try:
            measured = find_experiment(entry.name).measure(materials)
            about = {"experiment": entry.name, "question": entry.question}
            write_json(path, {**about, **to_json(measured)})
        except StorageError:
            raise
        except Exception as error:
            failed[entry.name] = _said(error)
            reporter.note(f"{entry.name} failed: {failed[entry.name]}")
            continue
        run.note_part("validate", entry.name, time.monotonic() - start)
    return failed


def _said(error: Exception) -> str:
    """Return what an error said, and where it came from when nobody raised it on purpose."""
    if isinstance(error, EmotionLensError):
        return str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} (line {frame.lineno} of {frame.filename})"
