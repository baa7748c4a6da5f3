"""The command line as tests call it: in this process, or as a program of its own."""

import subprocess
import sys
from pathlib import Path

from probes import run as command

ROOT = Path(__file__).parents[2]


def main(*words: object) -> int:
    return command.main([str(word) for word in words])


def python(*words: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=120, **options
    )
