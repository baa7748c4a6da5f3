"""Run the pipeline in children of one process that has imported everything, and kill them.

``python runs_that_are_killed.py CONFIG FOLDER SEED``: one run goes through into
FOLDER/whole, another into FOLDER/killed is killed again and again. Prints where each kill struck.
A child is a fork, so that it starts in a tenth of a second; SIGKILL leaves it no last word.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

import hooks
import probes.stages.extract_activations  # noqa: F401 - imported before the fork
import probes.stages.write_texts  # noqa: F401
from probes.config import load_config
from probes.run import main

STAGES = ("generate-stories", "generate-neutral", "extract-activations", "compute-vectors")
PLAN = (
    ("generate-stories", ["anywhere"] * 3 + ["now"] * 3 + ["later"] * 4),
    ("generate-neutral", ["now", "later"]),
    ("extract-activations", ["anywhere"] * 2 + ["writing"] * 4 + ["now"] * 4 + ["later"] * 4),
)
"""In which stages to kill, and at which moments (see `kill_once`)."""


def start(config: str, folder: Path) -> int:
    """Fork a child that runs all stages; returns its process id."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            code = main([config, *STAGES, "--quiet", f"--output_dir={folder}"])
        finally:
            os._exit(code)
    return child


def count_outputs(folder: Path) -> int:
    """Count the finished files of a run."""
    files = [*folder.glob("*/*.safetensors"), *folder.glob("neutral/*.json")]
    return len(files) + len(list(folder.glob("stories/*/*.json")))


def current_stage(folder: Path) -> str:
    """Name the stage that a killed run was in."""
    for stage in STAGES:
        record = folder / "stages" / f"{stage}.json"
        if not record.exists() or not json.loads(record.read_text())["complete"]:
            return stage
    return "none"


def kill_once(
    config: str, folder: Path, stage: str, moment: str, generator: random.Random
) -> str | None:
    """Start a run and kill it in a stage; returns the stage it was in, or None if it had ended.

    `moment`: ``"later"`` is up to 80 ms after the stage's next file, ``"now"`` right after it,
    ``"anywhere"`` any time after the start, ``"writing"`` when a temporary file is seen.
    """
    child = start(config, folder)

    def wait_for(condition: Callable[[], bool]) -> None:
        ended = os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT
        while not condition() and os.waitid(*ended) is None:
            time.sleep(0)

    if moment == "anywhere":
        time.sleep(generator.uniform(0, 0.3))
    else:
        wait_for((folder / "stages" / f"{stage}.json").exists)
        before = count_outputs(folder)
        if moment == "writing":
            wait_for(lambda: any(True for _ in folder.glob("activations/.part-*")))
        else:
            wait_for(lambda: count_outputs(folder) > before)
    if moment == "later":
        time.sleep(generator.uniform(0, 0.08))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return current_stage(folder) if os.WIFSIGNALED(status) else None


def run_to_the_end(config: str, folder: Path) -> int:
    """Run all stages in a child; returns its exit code."""
    _, status = os.waitpid(start(config, folder), 0)
    return os.waitstatus_to_exitcode(status)


def experiment(config: str, folder: Path, seed: int) -> dict[str, object]:
    """Do both runs."""
    generator = random.Random(seed)
    whole = run_to_the_end(config, folder / "whole")
    kills: list[str] = []
    parts = 0
    for stage, moments in PLAN:
        for moment in generator.sample(moments, len(moments)):
            struck = kill_once(config, folder / "killed", stage, moment, generator)
            if struck is not None:
                kills.append(struck)
            parts += len(list((folder / "killed").rglob(".part-*")))
    end = run_to_the_end(config, folder / "killed")
    return {"exit_codes": [whole, end], "kills": kills, "parts_seen": parts}


def command_line(words: Sequence[str]) -> None:
    """Import what children need, then do the experiment."""
    config, folder, seed = words
    torch.set_num_threads(1)
    settings = load_config(config)
    for name in (settings.model.name, settings.writer_model.name):
        hooks.load(name, backend="huggingface", dtype="float32", device="cpu")
    print(json.dumps(experiment(config, Path(folder), int(seed))))  # noqa: T201


if __name__ == "__main__":
    command_line(sys.argv[1:])
