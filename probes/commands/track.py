"""``emotion-probes track``: numbers and figures to wandb, offline unless asked otherwise."""

from hooks.errors import DataError
from probes import stages
from probes.commands import Track
from probes.commands.call import Call
from probes.export import tracking
from probes.report import summary


def main(call: Call[Track]) -> int:
    """Send what the finished stages left."""
    run, mode = call.run(), call.flags.mode
    metrics = tracking.flat_numbers(summary.summarize(run, stages.NAMES))
    if not metrics:
        raise DataError(f"no finished stage in {run.root}: run {run.source} first.")
    config, project = run.config.model_dump(mode="json"), call.flags.project
    record, n_figures = tracking.send(run.root, run.root.name, project, mode, config, metrics)
    call.terminal.note(f"{len(metrics)} numbers and {n_figures} figures: {record}")
    if mode == "offline":
        call.terminal.note(f"to send them: wandb sync {record}")
    call.terminal.result({"metrics": metrics, "figures": n_figures, "record": record})
    return 0
