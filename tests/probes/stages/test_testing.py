"""Validation: experiments one by one, each stored when it is done, more of them at any time."""

import pytest

from probes import stages
from probes.experiments import EXPERIMENTS, NAMES, find_entries, find_experiment
from probes.storage import read_json, write_json


def test_a_done_experiment_is_not_run_again(finished):
    path = finished.folder / "analysis" / "steering.json"
    write_json(path, {**read_json(path), "seconds": 77.0})
    run = finished.run()
    run.record_path("validate").unlink()
    assert finished.stage("validate")
    assert run.record("validate")["counts"]["experiments"] == {"steering": 77.0}


def test_only_runs_what_is_named_and_leaves_the_stage_open(finished):
    run = finished.run()
    [stage] = stages.find_stages(["validate"])
    stages.restart(run, stage)
    assert not stages.is_complete(run, stage)
    everything = finished.run(validation__experiments=None)
    from probes.models import Models
    from probes.reporting import Silent

    only = find_entries(["steering"])
    assert stages.run_stage(everything, stage, Models(run.config), Silent(), only=only)
    assert (finished.folder / "analysis" / "steering.json").is_file()
    assert stages.is_complete(everything, stage) == (len(NAMES) == 1)


@pytest.mark.parametrize("entry", EXPERIMENTS, ids=lambda entry: entry.name)
def test_every_experiment_is_where_the_list_says(entry):
    experiment = find_experiment(entry.name)
    assert callable(experiment.measure)
    assert entry.question.endswith("?")
    assert entry.file == f"analysis/{entry.name.replace('-', '_')}.json"
