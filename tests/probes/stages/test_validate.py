"""Validation: experiments one by one, each stored when done; one that fails stops no other."""

from typing import ClassVar

import pytest
from small_runs import Heard

from hooks.errors import EmotionLensError, InvalidInput, ModelError
from probes import run as command
from probes import stages
from probes.experiments import EXPERIMENTS, NAMES, find_entries, find_experiment
from probes.report import summary
from probes.runs.models import Models
from probes.runs.reporting import Silent
from probes.stages import experiments_of
from probes.storage import read_json, write_json


def test_a_done_experiment_is_not_run_again(finished):
    path = finished.folder / "analysis" / "steering.json"
    write_json(path, {**read_json(path), "seconds": 77.0})
    run = finished.run()
    run.record_path("validate").unlink()
    assert finished.stage("validate")
    assert run.record("validate").counts["experiments"] == {"steering": 77.0}


def test_only_runs_what_is_named_and_leaves_the_stage_open(finished):
    run = finished.run()
    [stage] = stages.find_stages(["validate"])
    stages.set_aside(run, [stage])
    assert not stages.is_complete(run, stage)
    everything = finished.run(validation__experiments="all")
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


@pytest.mark.slow
class TestFailure:
    """Two experiments; one needs the model, whose weights are gone for a while."""

    BOTH: ClassVar = {"validation__experiments": ["clusters", "steering"]}

    @pytest.fixture
    def broken(self, finished, monkeypatch):
        """A run whose validation is to be made again, without its model."""

        def gone(_models):
            raise ModelError("the weights are gone")

        stages.set_aside(finished.run(), stages.find_stages(["validate"]))
        monkeypatch.setattr(Models, "subject", gone)
        return finished

    def test_it_stops_no_other_experiment_and_the_report_says_it(self, broken, monkeypatch):
        heard = Heard()
        assert broken.stage("validate", heard, **self.BOTH)
        assert "steering failed: the weights are gone" in heard.notes
        assert (broken.folder / "analysis" / "clusters.json").is_file()
        assert (broken.folder / "analysis" / "scorecard.json").is_file()
        assert not broken.run().record("validate").complete
        monkeypatch.undo()
        assert broken.stages("visualize", "report", **self.BOTH) == [True, True]
        said = "A test failed and shows nothing: steering (the weights are gone)"
        assert said in (broken.folder / "report.md").read_text()
        table = dict(summary.rows(summary.summarize(broken.run(**self.BOTH))))
        assert table["FAILED: steering"] == "the weights are gone"

    def test_trying_again_measures_what_is_missing_and_makes_the_report_again(
        self, broken, monkeypatch
    ):
        broken.stage("validate", **self.BOTH)
        kept = broken.folder / "analysis" / "clusters.json"
        before = kept.stat().st_mtime_ns
        monkeypatch.undo()
        broken.stages("visualize", "report", **self.BOTH)
        again = broken.stages("validate", "visualize", "report", **self.BOTH)
        assert again == [True, True, True]
        assert kept.stat().st_mtime_ns == before
        assert broken.run().record("validate").complete
        assert "failed" not in (broken.folder / "report.md").read_text()

    def test_the_command_ends_with_1_and_says_how_to_try_again(self, broken, capsys):
        words = [broken.config, "validate", "--validation.experiments=clusters,steering"]
        assert command.main(words) == 1
        said = capsys.readouterr().err
        assert "steering: the weights are gone" in said
        assert f"python -m probes.run {broken.config}" in said

    def test_an_experiment_asked_for_alone_fails_like_any_command(self, broken):
        run = broken.run()
        [stage] = stages.find_stages(["validate"])
        only = find_entries(["steering"])
        with pytest.raises(EmotionLensError, match="the weights are gone"):
            stages.run_stage(run, stage, Models(run.config), Silent(), only=only)


def test_validate_ends_with_the_scorecard(finished):
    lines = read_json(finished.folder / "analysis" / "scorecard.json")["lines"]
    by_name = {line["name"]: line for line in lines}
    assert by_name["geometry.pc1_variance_share"]["ours"] is not None
    assert by_name["intensity.expected_signs"]["why"] == "experiment intensity was not run"
    [validate] = stages.find_stages(["validate"])
    assert "analysis/scorecard.json" in validate.leaves


def test_tiers_stand_for_what_a_first_look_needs_and_for_everything():
    core = [entry.name for entry in find_entries(["core"])]
    assert core == [
        "expression",
        "same-words",
        "negation",
        "held-out-topics",
        "null-ladder",
        "human-ratings",
        "clusters",
        "sample-size",
        "steering",
    ]
    assert find_entries(["all"]) == list(EXPERIMENTS)
    assert len(find_entries(["core", "scenarios", "steering"])) == len(core) + 1
    with pytest.raises(InvalidInput, match="expected core or all, or one of: expression"):
        find_entries(["everything"])


@pytest.mark.parametrize("asked", ["core", ["core"], "core,scenarios"])
def test_a_tier_is_a_setting(finished, asked):
    chosen = experiments_of(finished.run(validation__experiments=asked))
    assert len(chosen) == (10 if "scenarios" in asked else 9)
