"""The demo as `make demo` runs it: seconds of its stages and experiments."""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import seconds
from benchmarks.tables import table

GOAL_MINUTES = 6


@dataclass(frozen=True)
class Demo:
    """Seconds of the whole command, of its stages, and of the experiments of one of them."""

    dtype: str
    whole: float
    stages: dict[str, float]
    experiments: dict[str, float]


def measure(dtype: str, quick: bool) -> Demo:
    """Run the demo in a new folder, with few emotions where it is `quick`."""
    few = ["--generation.emotions_subset=6", "--generation.topics_subset=3"] if quick else []
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "probes.run", "demo", f"--output_dir={folder}/run"]
        command += [f"--model.dtype={dtype}", *few]
        taken = seconds(lambda: subprocess.run(command, check=True, capture_output=True))
        record = json.loads((Path(folder) / "run" / "run.json").read_text())["stages"]
    return Demo(
        record["extract-activations"]["model"]["dtype"],
        taken,
        {name: stage["seconds"] for name, stage in record.items()},
        record["validate"]["counts"]["experiments"],
    )


def ratios(demo: Demo) -> list[tuple[str, str, str]]:
    """Return the line that comes first."""
    minutes = f"{demo.whole / 60:.1f} min"
    return [(f"the whole demo, {demo.dtype}", minutes, f"{GOAL_MINUTES} min in bfloat16")]


def section(demo: Demo) -> str:
    """Return the table."""
    rows = [(name, f"{taken:.0f}") for name, taken in demo.stages.items()]
    tried = [(f"validate: {name}", f"{taken:.0f}") for name, taken in demo.experiments.items()]
    return f"## The demo, {demo.dtype}\n\n{table(('stage', 'seconds'), [*rows, *tried])}"
