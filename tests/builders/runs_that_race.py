"""Start writers of different settings in one folder at the same moment, again and again.

``python runs_that_race.py CONFIG FOLDER N``: N times four children (forks, so that they start
together) write stories of four seeds into one folder; the first has ``--restart``. Prints for each
race the exit codes, the seed in the record and the seeds in the stories, and how `status` ends.
"""

import json
import os
import signal
import sys
from pathlib import Path

import torch

import hooks
import probes.stages.before
import probes.stages.checks
import probes.stages.write_texts  # noqa: F401 - imported before the fork
from probes.config import load_config
from probes.run import main

SEEDS = (0, 1, 2, 3)


def start(words: list[str], go: int) -> int:
    """Fork a child that waits for the sign and then runs a command; returns its process id."""
    child = os.fork()
    if child == 0:
        code = 99
        try:
            os.read(go, 1)
            code = main(words)
        finally:
            os._exit(code)
    return child


def race(config: str, folder: Path) -> dict[str, object]:
    """Let four writers run for one folder, the last of which is killed in half of the races."""
    ready, go = os.pipe()
    words = [config, "generate-stories", "--quiet", f"--output_dir={folder}"]
    options = [[f"--seed={seed}"] for seed in SEEDS]
    if (folder / "stages").is_dir():
        options[0].append("--restart=generate-stories")
    children = [start([*words, *more], ready) for more in options]
    os.write(go, b"go!!")
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    os.close(ready)
    os.close(go)
    record = json.loads((folder / "stages" / "generate-stories.json").read_text())
    stories = [json.loads(path.read_text()) for path in folder.glob("stories/*/*.json")]
    seed = record["settings"]["seed"]
    return {
        "codes": codes,
        "complete": record["complete"],
        "seed": seed,
        "seeds": sorted({story["seed"] for story in stories}),
        "stories": len(stories),
        "status": main(["status", config, f"--seed={seed}", f"--output_dir={folder}", "--quiet"]),
    }


def command_line(config: str, folder: str, n: str) -> None:
    """Import what children need, then let them race."""
    torch.set_num_threads(1)
    signal.alarm(300)
    settings = load_config(config)
    hooks.load(settings.writer_model.name, backend="huggingface", dtype="float32", device="cpu")
    # Every second race finds the results of the one before, and one of its four starts over.
    races = [race(config, Path(folder) / str(number // 2)) for number in range(int(n))]
    print(json.dumps(races))  # noqa: T201


if __name__ == "__main__":
    command_line(*sys.argv[1:])
