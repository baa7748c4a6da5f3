"""Writers of different settings in one folder: one works, the others are told, nothing is mixed."""

import json
import os
import subprocess
import sys
from collections import Counter

import pytest
import small_runs
from command_line import ROOT, main

from probes.runs.lock import only_writer

SCRIPT = ROOT / "tests" / "builders" / "runs_that_race.py"
RACES = 20


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_of_four_writers_one_works_and_what_is_there_is_its_own(tiny_folder, tmp_path):
    writer = small_runs.save_tiny_writer(tmp_path / "writer")
    values = small_runs.small_settings(
        tiny_folder("gpt2"), tmp_path / "unused", writer={"name": str(writer)}
    )
    config = small_runs.write_config(tmp_path / "c.yaml", values)
    ran = subprocess.run(
        [sys.executable, SCRIPT, config, tmp_path, str(RACES)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr
    assert "nobody expected" not in ran.stderr
    races = json.loads(ran.stdout.splitlines()[-1])
    assert len(races) == RACES
    for race in races:
        assert race["complete"], race
        assert race["seeds"] == [race["seed"]], race
        assert race["stories"] == 9, race
        assert set(race["codes"]) <= {0, 1}, race
        assert race["status"] == 3, race  # what follows is yet to be made
    # One works in a new folder; where results are, who starts over may find another at the door.
    assert all(race["codes"].count(0) >= 1 for race in races[::2])
    assert any(race["codes"][0] == 0 for race in races[1::2])
    # They did meet: somebody was refused in most of them, and not always the same one won.
    assert sum("is being written to by" in line for line in ran.stderr.splitlines()) >= RACES
    assert len(Counter(race["seed"] for race in races)) > 1


def test_whoever_comes_second_is_told_and_readers_are_free(finished, capsys):
    with only_writer(finished.folder, pytest.fail):
        assert main(finished.config, "--restart=generate-stories") == 1
        said = " ".join(capsys.readouterr().err.split())
        assert f"is being written to by process {os.getpid()} on" in said
        assert "Nothing was done" in said
        assert main("status", finished.config, "--quiet") == 0
        assert main("score", finished.config, "--text=He closed the door.") == 0
    assert main(finished.config, "--quiet") == 0
