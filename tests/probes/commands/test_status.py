"""What is done, what is missing, and how long the rest may take; fast and without a model."""

import json
import os
import re
import time

import pytest
from command_line import main, python

from probes.commands.status import progress_of
from probes.stages import NAMES


def by_stage(run):
    return {stage.stage: stage for stage in progress_of(run)}


def age(paths, start, gap):
    """Give files times that are `gap` seconds apart."""
    for number, path in enumerate(paths):
        os.utime(path, (start + number * gap, start + number * gap))


def test_a_finished_run_is_done_and_says_what_it_took(finished, capsys):
    assert main("status", finished.config) == 0
    assert "done, 18 of 18 texts" in capsys.readouterr().out
    progress = by_stage(finished.run())
    assert [stage.state for stage in progress.values()] == ["done"] * len(NAMES)
    assert all(stage.seconds_left == 0 for stage in progress.values())


def test_nothing_begun_is_nothing_known_and_exits_3(small_run, capsys):
    made = small_run()
    assert main("status", made.config, "--json") == 3
    said = json.loads(capsys.readouterr().out)
    assert said["exit_code"] == 3
    assert not said["complete"]
    assert said["not_measured"] == list(NAMES)
    stages = {stage["stage"]: stage for stage in said["stages"]}
    assert (stages["generate-stories"]["total"], stages["generate-stories"]["done"]) == (18, 0)
    assert stages["extract-activations"]["total"] is None
    assert main("status", made.config) == 3
    assert f"emotion-probes plan {made.config}" in " ".join(capsys.readouterr().err.split())
    assert not made.folder.exists()


def test_what_is_left_costs_what_finished_units_took(small_run, tiny_writer):
    made = small_run(writer={"name": str(tiny_writer)}, generation={"batch_size": 2})
    run = made.run()
    run.prepare()
    assert made.stage("generate-stories")
    paths = [run.root / cell.path for cell in run.story_cells]
    run.record_path("generate-stories").write_text(
        json.dumps({**run.record("generate-stories").to_json(), "complete": False})
    )
    for path in paths[5:]:
        path.unlink()
    age(paths[:3], time.time() - 9000, 10)  # then the night, then two more
    age(paths[3:5], time.time() - 100, 10)
    progress = by_stage(run)
    stories = progress["generate-stories"]
    assert (stories.state, stories.done, stories.total) == ("begun", 10, 18)
    assert stories.seconds_per_unit == pytest.approx(5, abs=0.01)
    assert stories.seconds_left == pytest.approx(40, abs=0.1)
    neutral = progress["generate-neutral"]
    assert neutral.seconds_per_unit == stories.seconds_per_unit


def test_a_finished_stage_says_what_it_could_not_fill(finished, capsys):
    run = finished.run()
    path = run.record_path("generate-stories")
    kept = path.read_text()
    record = json.loads(kept)
    record["counts"]["accepted"] -= 2
    path.write_text(json.dumps(record))
    assert main("status", finished.config) == 0
    path.write_text(kept)
    told = re.sub(r"[\s\u2502]+", " ", capsys.readouterr().out)
    assert "done, 16 of 18 texts, 2 could not be filled" in told


@pytest.mark.slow
def test_changed_settings_show_as_stale_and_the_command_to_go_on_is_taken(finished, capsys):
    assert main("status", finished.config, "--vectors.neutral_pca=none") == 3
    shown = capsys.readouterr()
    assert "made under other settings" in " ".join(shown.out.split())
    [cure] = re.findall(r"python -m probes\.run (.+) To keep", " ".join(shown.err.split()))
    assert "add --vectors.neutral_pca=document" in " ".join(shown.err.split())
    assert cure.split() == [
        finished.config,
        "--vectors.neutral_pca=none",
        "--restart",
        "compute-vectors",
    ]
    changed = finished.run(vectors__neutral_pca="none")
    progress = by_stage(changed)
    assert progress["compute-vectors"].state == "stale"
    assert progress["extract-activations"].state == "done"
    assert main(*cure.split(), "--quiet") == 0
    assert by_stage(changed)["compute-vectors"].state == "done"


@pytest.mark.slow
def test_is_fast_on_17100_cells_and_needs_no_torch(small_run, tmp_path):
    made = small_run(generation={"emotions_subset": None, "topics_subset": None})
    run = made.run()
    cells = run.story_cells
    assert len(cells) == 17100
    for cell in cells:
        path = run.root / cell.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    from probes.stages import find_stages

    [stage] = find_stages(["generate-stories"])
    run.begin(stage.name, stage.settings(run), {})
    code = (
        "import sys, time; from probes.run import main; code = main(sys.argv[1:]);"
        "print('torch' in sys.modules, time.process_time(), file=sys.stderr); sys.exit(code)"
    )
    ran = python("-c", code, "status", made.config)
    assert ran.returncode == 3, ran.stderr
    torch, seconds = ran.stderr.splitlines()[-1].split()
    assert torch == "False"
    assert float(seconds) < 1
    assert "34200 of 34200 texts" in ran.stdout
