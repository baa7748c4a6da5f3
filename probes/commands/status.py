"""``emotion-probes status``: what is done, what is missing, how long the rest may take.

Seconds per unit are the median time between finished files, so that pauses do not count.
"""

import contextlib
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median

from probes.commands import Status
from probes.commands.call import Call
from probes.commands.terminal import singular
from probes.corpus.cells import Cell
from probes.corpus.writing import plan_units
from probes.runs.folder import Run
from probes.runs.record import State, refusals
from probes.runs.reporting import duration
from probes.stages import STAGES, Stage, experiments_of, find_stages, seconds_of, state_of

UNFINISHED = 3
_WORDS = {"stale": "made under other settings or inputs", "missing": "not begun"}


@dataclass(frozen=True)
class Progress:
    """One stage of a run, in its units; the total is None where an earlier stage decides it."""

    stage: str
    state: State
    done: int
    total: int | None
    unit: str
    seconds_per_unit: float | None = None
    seconds: float | None = None

    @property
    def seconds_left(self) -> float | None:
        """Estimate of the time that is left; None when it is not known."""
        if self.state == "done":
            return 0.0
        if self.total is None or self.seconds_per_unit is None:
            return None
        done = 0 if self.state == "stale" else self.done
        return (self.total - done) * self.seconds_per_unit


def progress_of(run: Run) -> list[Progress]:
    """Return the progress of every stage, in the order of the pipeline."""
    progress = [_progress(run, stage) for stage in STAGES]
    writing = [part for part in progress if part.unit == "texts"]
    known = next((part.seconds_per_unit for part in writing if part.seconds_per_unit), None)
    return [
        replace(part, seconds_per_unit=part.seconds_per_unit or known) if part in writing else part
        for part in progress
    ]


def _progress(run: Run, stage: Stage) -> Progress:
    record = run.record(stage.name)
    state = state_of(run, stage)
    seconds = record.seconds if record and record.complete else None
    if stage.name == "generate-stories":
        per_cell = run.config.generation.stories_per_topic
        return _writing(run, stage.name, state, seconds, run.story_cells, per_cell)
    if stage.name == "generate-neutral":
        per_cell = run.config.neutral.dialogues_per_topic
        return _writing(run, stage.name, state, seconds, run.neutral_cells, per_cell)
    if stage.name == "extract-activations":
        return _reading(run, state, seconds)
    if stage.name == "validate":
        entries = experiments_of(run)
        took = list(seconds_of(run, entries).values())
        rate = sum(took) / len(took) if took else None
        return Progress("validate", state, len(took), len(entries), "experiments", rate, seconds)
    return Progress(stage.name, state, int(state == "done"), 1, "stage", seconds, seconds)


def _times(folder: Path) -> dict[str, float]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        return {entry.name: entry.stat().st_mtime for entry in entries}
    return {}


def _writing(
    run: Run, name: str, state: State, seconds: float | None, cells: Sequence[Cell], per_cell: int
) -> Progress:
    per_cell = 1 if run.brings_corpus else per_cell
    folders: dict[str, dict[str, float]] = {}
    written = {}
    for cell, (folder, file) in _paths(cells).items():
        if folder not in folders:
            folders[folder] = _times(run.root / folder)
        if file in folders[folder]:
            written[cell] = folders[folder][file]
    units = plan_units(cells, per_cell, run.unit_texts(name))
    finished = [unit for unit in units if written.keys() >= set(unit)]
    ends = [max(written[cell] for cell in unit) for unit in finished]
    unit_texts = len(units[0]) * per_cell if units else 1
    rate = _pace(ends, unit_texts, seconds, len(written) * per_cell)
    done, total = len(written) * per_cell, len(cells) * per_cell
    if state == "done" and (record := run.record(name)):
        done, total = record.counts["accepted"], record.counts["requested"]
    return Progress(name, state, done, total, "texts", rate, seconds)


def _paths(cells: Sequence[Cell]) -> dict[Cell, tuple[str, str]]:
    by_emotion, by_topic = {c.emotion: c for c in cells}, {c.topic: c for c in cells}
    parents = {emotion: cell.path.parent.as_posix() for emotion, cell in by_emotion.items()}
    names = {topic: cell.path.name for topic, cell in by_topic.items()}
    return {cell: (parents[cell.emotion], names[cell.topic]) for cell in cells}


def _reading(run: Run, state: State, seconds: float | None) -> Progress:
    shards = _times(run.root / "activations")
    # Single stories are written with their shard of cells, and are no shard of their own.
    kinds = {name: name.partition("-")[0] for name in shards if name.endswith(".safetensors")}
    times = [shards[name] for name, kind in kinds.items() if kind != "single"]
    total = len(times) if state == "done" else None
    writing = [run.record(name) for name in ("generate-stories", "generate-neutral")]
    if total is None and all(record and record.complete for record in writing):
        size = run.config.activation.shard_size
        texts = [record.counts["accepted"] for record in writing if record]
        total = max(len(times), sum(-(-count // size) for count in texts))
    rate = _pace(times, 1, seconds, len(times))
    return Progress("extract-activations", state, len(times), total, "shards", rate, seconds)


def _pace(ends: Sequence[float], each: int, seconds: float | None, done: int) -> float | None:
    """Return seconds per item: `each` between neighboring ends, `done` in the time recorded.

    The longer one: a copied folder's times and a last sitting's are too short.
    """
    gaps = [late - early for early, late in pairwise(sorted(ends))]
    rates = [median(gaps) / each] if gaps else []
    rates += [seconds / done] if seconds is not None and done else []
    return max(rates, default=None)


def main(call: Call[Status]) -> int:
    """Show every stage; 0 when all are done, else 3."""
    run = call.run()
    stages = progress_of(run)
    call.terminal.table(f"status of {run.root}", [(stage.stage, _words(stage)) for stage in stages])
    if call.flags.full:  # imported where it is needed: a status is shown at once
        from probes.commands.outcome import show_everything
        from probes.report.summary import summarize

        show_everything(run, summarize(run), call.terminal)
    left = [stage for stage in stages if stage.state != "done"]
    seconds = [stage.seconds_left for stage in left]
    known = sum(second for second in seconds if second is not None)
    unknown = [stage.stage for stage in left if stage.seconds_left is None]
    if left:
        parts = [f"about {duration(known)}"] if len(unknown) < len(left) else []
        parts += [f"not measured in this run: {', '.join(unknown)}"] if unknown else []
        call.terminal.note(f"left: {'; '.join(parts)}")
        if unknown:
            call.terminal.note(f"to estimate the rest: emotion-probes plan {run.source}")
        stale = next((stage.stage for stage in left if stage.state == "stale"), None)
        if stale is not None:
            call.terminal.note(f"{stale} was made under other settings:\n{_ways_back(run, stale)}")
        else:
            call.terminal.note(f"to go on: python -m probes.run {run.source}")
    described = [{**asdict(stage), "seconds_left": stage.seconds_left} for stage in stages]
    remaining = {"seconds_left_known": known, "not_measured": unknown, "stages": described}
    call.terminal.result({"output_dir": str(run.root), "complete": not left, **remaining})
    return UNFINISHED if left else 0


def _ways_back(run: Run, name: str) -> str:
    [stage] = find_stages([name])
    left = {earlier: run.left_by(earlier) or "" for earlier in stage.upstream}
    begun = run.record(name)
    changed = [] if begun is None else refusals(begun, stage.settings(run), left)
    return run.ways_back(name, changed)


def _words(stage: Progress) -> str:
    total = "?" if stage.total is None else stage.total
    parts = [_WORDS.get(stage.state, stage.state)]
    if stage.unit != "stage" and stage.state != "stale":
        parts.append(f"{stage.done} of {total} {stage.unit}")
    if stage.state == "done" and stage.unit == "texts" and stage.done < (stage.total or 0):
        parts.append(f"{(stage.total or 0) - stage.done} could not be filled")
    if stage.state == "done" and stage.seconds is not None:
        parts.append(f"took {duration(stage.seconds)}")
    elif stage.seconds_left is not None and stage.seconds_per_unit is not None:
        rate = f"{duration(stage.seconds_per_unit)} per {singular(stage.unit)}"
        parts.append(f"about {duration(stage.seconds_left)} left at {rate}")
    elif stage.state != "done":
        parts.append("time not measured yet")
    return ", ".join(parts)
