"""What a run found, on a terminal: its claims, or every number."""

from typing import Any

from probes.commands.terminal import Terminal
from probes.report import summary
from probes.runs.folder import Run
from probes.runs.reporting import duration


def show_everything(run: Run, numbers: dict[str, Any], terminal: Terminal) -> None:
    """Print every number of a run; the short table last, where it is seen."""
    if details := summary.experiment_rows(numbers):
        terminal.table("what the experiments found", details)
    terminal.table(f"results in {run.root}", summary.rows(numbers, experiments=False))


def show_claims(run: Run, numbers: dict[str, Any], terminal: Terminal) -> None:
    """Print what a run opens with, and where the rest is."""
    map_page = run.root / "figures" / "pca_scatter.html"
    seconds = sum(numbers["seconds"].values())
    rows = [*summary.claims(numbers), ("took", duration(seconds))]
    rows += [("map", str(map_page))] if map_page.is_file() else []
    rows += [("report", str(run.root / "report.html"))]
    rows += [("every number", f"emotion-probes status {run.source} --full")]
    terminal.lines(rows)
