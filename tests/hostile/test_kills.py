"""Whatever is killed, wherever, goes on and ends with the bytes of a run in one go."""

import json
import os
import subprocess
import sys
from collections import Counter

import pytest
import small_runs
from command_line import ROOT

from probes.stages import NAMES

SCRIPT = ROOT / "tests" / "builders" / "runs_that_are_killed.py"
KILLS = 20
TELLS_TIME = (".lock", "run.json", "summary.json")


@pytest.fixture(scope="module")
def outcome(tiny_folder, tmp_path_factory):
    """The folder of all runs, and where the kills struck."""
    folder = tmp_path_factory.mktemp("killed")
    writer = small_runs.save_tiny_writer(folder / "writer")
    values = small_runs.small_settings(
        tiny_folder("gpt2"),
        folder / "unused",
        writer={"name": str(writer)},
        generation={"stories_per_topic": 4, "batch_size": 8},
        activation={"shard_size": 4},
    )
    config = small_runs.write_config(folder / "c.yaml", values)
    texts = folder / "texts.jsonl"
    rows = [small_runs.story_text("x", "y", n) for n in range(64)]
    texts.write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    ran = subprocess.run(
        [sys.executable, SCRIPT, config, folder, texts, str(KILLS), "0"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert ran.returncode == 0, ran.stderr
    return folder, json.loads(ran.stdout.splitlines()[-1])


pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in TELLS_TIME and "stages" not in path.parts
    }


def test_the_kills_struck_in_every_stage_an_export_and_a_sweep(outcome):
    _, report = outcome
    struck = Counter(report["kills"])
    assert set(report["exit_codes"]) == {0}
    assert sum(struck.values()) >= KILLS
    assert struck.keys() == {*NAMES, "export", "sweep"}


def test_what_is_there_in_the_end_is_the_same_to_the_last_byte(outcome):
    folder, report = outcome
    whole = contents(folder / "whole")
    kinds = Counter(name.split("/")[0] for name in whole)
    assert kinds.keys() >= {"stories", "neutral", "activations", "vectors", "analysis", "figures"}
    assert kinds.keys() >= {"export", "sweep", "report.html"}
    for number in range(report["folders"]):
        killed = contents(folder / str(number))
        differing = {name for name in {*whole, *killed} if whole.get(name) != killed.get(name)}
        assert differing == set(), number
