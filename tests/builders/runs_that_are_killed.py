"""Run everything in children of one process that has imported it all, and kill them anywhere.

``python runs_that_are_killed.py CONFIG FOLDER TEXTS N SEED``: all stages, an export and a sweep go
through once in FOLDER/whole; in FOLDER/0, FOLDER/1, ... they are killed at random moments and gone
on with, until N kills have struck and each place was among theirs. Every second kill, and every one
after the N, waits for a place that none has struck, while there is one. Prints where each struck.
A child is a fork, so that it starts in a tenth of a second; SIGKILL leaves it no last word.
"""

import functools
import importlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

import hooks
from probes.commands import sweep
from probes.config import load_config
from probes.figures import png
from probes.run import main
from probes.stages import NAMES, STAGES

PLACES = (*NAMES, "export", "sweep")
_CODE = ("commands.pipeline", "commands.export", "stages.before", "stages.checks", "figures.png")


def do_all(config: str, folder: Path, texts: str) -> int:
    """Run all stages, an export and a sweep; return the first exit code that is not 0."""
    there = f"--output_dir={folder}"
    return (
        main([config, there, "--quiet"])
        or main(["export", str(folder), "--to=safetensors", "--quiet"])
        or main(["sweep", config, there, f"--file={texts}", "--top=3", "--quiet"])
    )


def start(config: str, folder: Path, texts: str) -> int:
    """Fork a child that does all; returns its process id."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            code = do_all(config, folder, texts)
        finally:
            os._exit(code)
    return child


def reached(folder: Path) -> str:
    """Name what a killed run was at."""
    for stage in NAMES:
        try:
            record = json.loads((folder / "stages" / f"{stage}.json").read_text())
        except FileNotFoundError:  # not begun, or just forgotten by the child
            return stage
        if not record["complete"]:
            return stage
    return "sweep" if list(folder.glob("export/*/*")) else "export"


def wait_for_a_place(child: int, folder: Path, place: str) -> None:
    """Return when the child has come to a place, or has ended."""
    while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if reached(folder) == place:
            return
        time.sleep(0.005)


def experiment(config: str, folder: Path, texts: str, n_kills: int, seed: int) -> dict[str, object]:
    """Do it once in one go, and again and again with kills."""
    generator = random.Random(seed)
    begun = time.monotonic()
    _, status = os.waitpid(start(config, folder / "whole", texts), 0)
    took, codes = time.monotonic() - begun, [os.waitstatus_to_exitcode(status)]
    kills: list[str] = []
    number = 0
    while len(kills) < n_kills or set(PLACES) - set(kills):
        place = folder / str(number)
        child = start(config, place, texts)
        missing = [it for it in PLACES if it not in kills]
        if missing and (len(kills) % 2 == 0 or len(kills) >= n_kills):
            wait_for_a_place(child, place, missing[0])
            time.sleep(generator.uniform(0, 0.03))
        else:
            time.sleep(generator.uniform(0, took / 4))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            kills.append(reached(place))
        else:
            codes.append(os.waitstatus_to_exitcode(status))
            number += 1
    _, status = os.waitpid(start(config, folder / str(number), texts), 0)
    codes.append(os.waitstatus_to_exitcode(status))
    return {"exit_codes": codes, "kills": kills, "folders": number + 1, "seconds": took}


def command_line(config: str, folder: str, texts: str, n_kills: str, seed: str) -> None:
    """Import what children need, then do the experiment."""
    for code in (*_CODE, *(f"stages.{stage.code.split(':')[0]}" for stage in STAGES)):
        importlib.import_module(f"probes.{code}")
    torch.set_num_threads(1)
    sweep._SECONDS_BETWEEN_SAVES = -1.0
    png.render = functools.partial(png.render, dots_per_inch=20)  # half of the time were pictures
    settings = load_config(config)
    for name in (settings.model.name, settings.writer_model.name):
        hooks.load(name, backend="huggingface", dtype="float32", device="cpu")
    print(json.dumps(experiment(config, Path(folder), texts, int(n_kills), int(seed))))  # noqa: T201


if __name__ == "__main__":
    command_line(*sys.argv[1:])
