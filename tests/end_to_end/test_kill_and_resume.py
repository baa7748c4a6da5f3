"""A run that is killed at random moments and resumed ends with the bytes of a run in one go."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import small_runs

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tests" / "builders" / "runs_that_are_killed.py"

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


@pytest.fixture(scope="module")
def outcome(tiny_folder, tmp_path_factory):
    """Both runs' folder and where the kills struck."""
    folder = tmp_path_factory.mktemp("killed")
    writer = small_runs.save_tiny_writer(folder / "writer")
    values = small_runs.small_settings(
        tiny_folder("gpt2"),
        folder / "unused",
        writer={"name": str(writer)},
        generation={"topics_subset": 10, "stories_per_topic": 4, "batch_size": 8},
        neutral={"dialogues_per_topic": 4},
        activation={"shard_size": 4},
    )
    config = small_runs.write_config(folder / "c.yaml", values)
    ran = subprocess.run(
        [sys.executable, SCRIPT, config, folder, "0"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    return folder, json.loads(ran.stdout)


def files_below(folder: Path, pattern: str) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.glob(pattern)
        if path.is_file()
    }


def test_the_kills_struck_while_writing_and_while_reading(outcome):
    _, report = outcome
    struck = Counter(report["kills"])
    assert report["exit_codes"] == [0, 0]
    assert sum(struck.values()) >= 20
    assert struck["generate-stories"] >= 5
    assert struck["generate-neutral"] >= 1
    assert struck["extract-activations"] >= 5
    assert report["parts_seen"] >= 1  # some struck within the writing of a file


@pytest.mark.parametrize(
    ("pattern", "at_least"),
    [
        ("vectors/*", 1),
        ("stories/**/*", 30),
        ("neutral/*", 10),
        ("activations/*", 40),
    ],
)
def test_every_file_is_the_same_to_the_byte(outcome, pattern, at_least):
    folder, _ = outcome
    whole = files_below(folder / "whole", pattern)
    assert len(whole) >= at_least
    killed = files_below(folder / "killed", pattern)
    assert set(killed) == set(whole)
    assert [name for name in whole if killed[name] != whole[name]] == []


def test_no_temporary_file_is_left(outcome):
    folder, _ = outcome
    names = [path.name for path in (folder / "killed").rglob("*") if path.is_file()]
    assert len(names) > 80
    assert all(name.endswith((".json", ".safetensors")) for name in names)
    assert not [name for name in names if name.startswith(".")]
