"""The map of the emotions, drawn as soon as `analyze` has ended: hours may lie before `visualize`.

Contract: its files are those of `visualize`, of the same bytes and in that stage's record, which
draws them again. They are set aside with it, and drawn anew when `analyze` has left other numbers.
"""

from dataclasses import replace
from pathlib import Path

from probes.runs.files import FileList
from probes.runs.folder import Run
from probes.runs.record import StageRecord
from probes.runs.reporting import Reporter
from probes.stages import Stage, find_stages, outputs


def draw_map(run: Run, reporter: Reporter) -> None:
    """Draw the map of what `analyze` has left, unless it is there, and say where it lies."""
    [view] = find_stages(["visualize"])
    inputs = run.input_digests(["analyze"])
    if _is_there(run, view, inputs["analyze"]):
        return
    earlier = outputs(run, view)
    # Whoever is killed from here on has drawn nothing that would be taken for whole.
    record = StageRecord(view.settings(run), {})
    record.write(run.record_path(view.name))
    made = _draw(run)
    FileList.of(sorted({*earlier, *made}), run.root).write(run.list_path(view.name))
    replace(record, inputs=inputs).write(run.record_path(view.name))
    reporter.note(f"map of the emotions: {made[0]} (to explore it: {made[0].stem}.html beside it)")


def _is_there(run: Run, view: Stage, digest: str) -> bool:
    record = run.record(view.name)
    if record is None or record.inputs.get("analyze") != digest:
        return False
    return record.has_ended or bool(outputs(run, view))


def _draw(run: Run) -> list[Path]:
    from probes.report.pictures import maps_of
    from probes.stages import visualize  # which imports torch

    return visualize.draw(maps_of(visualize.read_geometry(run)), run)
