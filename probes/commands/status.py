"""``emotion-probes status``: what is done, what is missing, how long the rest may take."""

from dataclasses import asdict

from probes.commands.call import Call
from probes.commands.progress import Progress, progress_of
from probes.runs.reporting import duration

UNFINISHED = 3
_WORDS = {
    "done": "done",
    "stale": "made under other settings or inputs: --restart it",
    "begun": "begun",
    "missing": "not begun",
}


def main(call: Call) -> int:
    """Show every stage; 0 when all are done, else 3."""
    run = call.run()
    found = progress_of(run)
    call.terminal.table(f"status of {run.root}", [(stage.stage, _words(stage)) for stage in found])
    left = [stage for stage in found if stage.state != "done"]
    seconds = [stage.seconds_left for stage in left]
    known = sum(second for second in seconds if second is not None)
    unknown = [stage.stage for stage in left if stage.seconds_left is None]
    if left:
        parts = [f"about {duration(known)}"] if len(unknown) < len(left) else []
        parts += [f"not measured in this run: {', '.join(unknown)}"] if unknown else []
        call.terminal.note(f"left: {'; '.join(parts)}")
        if unknown:
            call.terminal.note(
                f"to estimate what is not measured: emotion-probes plan {run.source}"
            )
        stale = [stage.stage for stage in left if stage.state == "stale"]
        # A stage of other settings is refused; its results and what follows from it have to go.
        restart = f" --restart={stale[0]}" if stale else ""
        call.terminal.note(f"to go on: python -m probes.run {run.source}{restart}")
    call.terminal.result(
        {
            "output_dir": str(run.root),
            "complete": not left,
            "seconds_left_known": known,
            "not_measured": unknown,
            "stages": [{**asdict(s), "seconds_left": s.seconds_left} for s in found],
        }
    )
    return UNFINISHED if left else 0


def _words(stage: Progress) -> str:
    total = "?" if stage.total is None else stage.total
    parts = [_WORDS[stage.state]]
    if stage.unit != "stage" and stage.state != "stale":
        parts.append(f"{stage.done} of {total} {stage.unit}")
    if stage.state == "done" and stage.unit == "texts" and stage.done < (stage.total or 0):
        parts.append(f"{(stage.total or 0) - stage.done} could not be filled")
    if stage.state == "done" and stage.seconds is not None:
        parts.append(f"took {duration(stage.seconds)}")
    elif stage.seconds_left is not None and stage.seconds_per_unit is not None:
        unit = stage.unit.removesuffix("s")
        left, rate = duration(stage.seconds_left), f"{duration(stage.seconds_per_unit)} per {unit}"
        parts.append(f"about {left} left at {rate}")
    elif stage.state != "done":
        parts.append("time not measured yet")
    return ", ".join(parts)
