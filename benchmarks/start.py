"""Start-up: `emotion-probes score` on one line beside what its libraries and weights alone take.

Whole processes, in turn.
"""

import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml

from benchmarks.measure import seconds
from benchmarks.small_runs import do
from benchmarks.tables import table
from hooks.models import embedded
from probes.config import parse_config
from probes.runs.folder import Run
from probes.runs.models import Models

MODEL = "embedded:gemma-3-270m"
GOAL = 1.3
_STAGES = ("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")
_LOADING = """
import sys, torch, transformers
transformers.AutoTokenizer.from_pretrained(sys.argv[1])
transformers.AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.bfloat16)
"""
_TEXT = "I lost my keys and missed the last train home."


@dataclass(frozen=True)
class Start:
    """Median seconds of whole processes, and of `score` over loading, pair by pair."""

    loading: float
    score: float
    ratio: float


def measure(rounds: int) -> Start:
    """Make a small run, then let both start in turn."""
    with tempfile.TemporaryDirectory() as folder:
        config = _run(Path(folder))
        weights = str(embedded.folder(MODEL))
        loading = [sys.executable, "-c", _LOADING, weights]
        score = [sys.executable, "-m", "probes.run", "score", config, "--text", _TEXT]
        for command in (loading, score):
            _start(command)  # both find warm files
        pairs = [(_start(loading), _start(score)) for _ in range(rounds)]
    return Start(
        statistics.median(one for one, _ in pairs),
        statistics.median(other for _, other in pairs),
        statistics.median(other / one for one, other in pairs),
    )


def ratios(start: Start) -> list[tuple[str, str, str]]:
    """Return the line that comes first."""
    what = "start-up: emotion-probes score, one line / import torch, transformers, load the weights"
    return [(what, f"{start.ratio:.2f}x", f"{GOAL}x")]


def section(start: Start) -> str:
    """Return the table."""
    rows = [
        ("import torch, transformers, load tokenizer and weights", f"{start.loading:.1f}"),
        (f"emotion-probes score, one line, {MODEL}", f"{start.score:.1f}"),
    ]
    return f"## Start-up\n\nWhole processes, in turn.\n\n{table(('what', 'seconds'), rows)}"


def _run(folder: Path) -> str:
    """Leave vectors of two emotions in a folder; return the config that names it."""
    settings = {
        "model": {"name": MODEL},
        "corpus": {"stories": "reference", "neutral": "reference"},
        "generation": {"emotions_subset": ["sad", "happy"], "topics_subset": 2},
        "output_dir": str(folder / "run"),
    }
    config = folder / "start.yaml"
    config.write_text(yaml.safe_dump(settings))
    run = Run(parse_config(settings, "benchmark"), "benchmark")
    do(run, Models(run.config), _STAGES)
    return str(config)


def _start(command: list[str]) -> float:
    return seconds(lambda: subprocess.run(command, check=True, capture_output=True))
