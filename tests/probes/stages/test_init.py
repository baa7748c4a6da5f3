"""A complete stage is skipped, a changed one refused, a restarted one made again."""

from pathlib import Path

import pytest
import yaml

from hooks.errors import InvalidInput, StaleArtifact
from probes import stages
from probes.stages import NAMES, STAGES, find_stages
from probes.storage import write_json


def files_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.parent.name != "stages"
    }


class TestOrder:
    def test_stages_come_in_pipeline_order_and_none_means_all(self):
        assert [stage.name for stage in find_stages([])] == list(NAMES)
        chosen = find_stages(["logit-lens", "generate-stories"])
        assert [stage.name for stage in chosen] == ["generate-stories", "logit-lens"]

    def test_every_stage_comes_after_what_it_reads(self):
        for place, stage in enumerate(STAGES):
            assert set(stage.upstream) <= set(NAMES[:place])

    def test_no_two_stages_leave_the_same_files(self):
        left = [name for stage in STAGES for name in stage.leaves]
        assert len(set(left)) == len(left)

    def test_an_unknown_stage_is_refused_with_the_known_ones(self):
        with pytest.raises(InvalidInput, match="unknown stage 'analyse'.*analyze"):
            find_stages(["analyse"])


class TestSkipping:
    @pytest.mark.slow
    def test_a_finished_run_is_skipped_and_no_file_is_touched(self, finished):
        before = {path: path.stat().st_mtime_ns for path in finished.folder.rglob("*")}
        assert finished.stages(*NAMES) == [False] * len(NAMES)
        assert {path: path.stat().st_mtime_ns for path in finished.folder.rglob("*")} == before

    @pytest.mark.parametrize(
        ("stage", "lost"),
        [
            ("generate-stories", "stories/sad/*.json"),
            ("extract-activations", "activations/stories-00000.safetensors"),
            ("compute-vectors", "vectors/emotion_vectors.safetensors"),
            ("analyze", "analysis/pca.csv"),
            ("logit-lens", "analysis/logit_lens.json"),
            ("report", "report.html"),
            ("report", "report.md"),
        ],
    )
    def test_a_lost_file_is_made_again_with_the_same_bytes(self, finished, stage, lost):
        before = files_of(finished.folder)
        next(finished.folder.glob(lost)).unlink()
        ran = dict(zip(NAMES, finished.stages(*NAMES), strict=True))
        assert ran == {name: name == stage for name in NAMES}
        assert files_of(finished.folder) == before

    @pytest.mark.parametrize(
        "stray",
        ["stories/.DS_Store", "stories/sad/notes.json", "figures/Thumbs.db", "activations/a.txt"],
    )
    def test_a_file_of_somebody_else_is_left_alone(self, finished, stray):
        (finished.folder / stray).write_text("mine")
        assert finished.stages(*NAMES) == [False] * len(NAMES)
        assert (finished.folder / stray).read_text() == "mine"

    def test_a_story_that_was_changed_is_noticed_by_what_reads_it(self, finished):
        story = next(finished.folder.glob("stories/sad/*.json"))
        story.write_text(story.read_text().replace("It was about", "It was above", 1))
        (finished.folder / "activations" / "index.json").unlink()
        with pytest.raises(StaleArtifact, match=rf"1 files.*changed.*: stories/sad/{story.name}"):
            finished.stage("extract-activations")

    def test_a_stage_that_was_begun_and_not_finished_goes_on(self, finished):
        run = finished.run()
        record = run.record("compute-vectors").to_json() | {"complete": False}
        write_json(run.record_path("compute-vectors"), record)
        with pytest.raises(StaleArtifact, match="compute-vectors is not complete"):
            finished.stage("analyze")
        assert finished.stages("compute-vectors", "analyze") == [True, False]


class TestChangedSettings:
    @pytest.mark.parametrize(
        ("stage", "key", "value"),
        [
            ("extract-activations", "activation.token_offset", 4),
            ("extract-activations", "model.dtype", "float16"),
            ("compute-vectors", "vectors.neutral_pca", "none"),
            ("compute-vectors", "model.target_layer", 1),
            ("analyze", "seed", 5),
            ("logit-lens", "logit_lens.top_k", 3),
        ],
    )
    def test_are_refused_with_the_difference_and_the_cure(self, finished, stage, key, value):
        before = files_of(finished.folder)
        with pytest.raises(StaleArtifact) as caught:
            finished.stage(stage, **{key.replace(".", "__"): value})
        message = str(caught.value)
        assert f"{key}: was " in message
        assert f"now {value!r}" in message
        assert f"--restart {stage}" in message
        assert files_of(finished.folder) == before

    @pytest.mark.parametrize(
        "change",
        [
            {"generation__batch_size": 3},
            {"writer__name": "another"},
            {"analysis__n_bootstrap": 9},
            {"activation__keep": "cell"},
        ],
    )
    def test_that_cannot_matter_to_a_stage_cost_nothing(self, finished, change):
        assert finished.stage("compute-vectors", **change) is False

    def test_a_changed_corpus_file_is_noticed(self, finished):
        values = yaml.safe_load(Path(finished.config).read_text())
        own = Path(values["corpus"]["stories"])
        changed = finished.folder.parent / "changed.jsonl"
        changed.write_text(own.read_text().replace("lost", "last", 1))
        with pytest.raises(StaleArtifact, match=r"corpus\.file"):
            finished.stage("generate-stories", corpus__stories=str(changed))

    def test_a_stage_whose_input_was_made_anew_is_refused(self, finished):
        run = finished.run(vectors__neutral_pca="none")
        [stage] = find_stages(["compute-vectors"])
        for path in [*stages.outputs(run, stage), run.record_path(stage.name)]:
            path.unlink()
        finished.stage("compute-vectors", vectors__neutral_pca="none")
        with pytest.raises(StaleArtifact, match=r"input\.compute-vectors: was"):
            finished.stage("analyze", vectors__neutral_pca="none")


class TestRestart:
    def test_cures_a_change_and_drops_what_follows_from_it(self, finished):
        run = finished.run()
        [stage] = find_stages(["compute-vectors"])
        dropped = stages.set_aside(run, [stage])
        assert dropped == list(NAMES[NAMES.index("compute-vectors") :])
        assert not (finished.folder / "figures").exists()
        assert not (finished.folder / "vectors").exists()
        assert (finished.folder / "activations" / "index.json").exists()
        change = {"vectors__neutral_pca": "none"}
        assert finished.stage("extract-activations", **change) is False
        assert finished.stages("compute-vectors", "analyze", **change) == [True, True]

    def test_of_one_branch_leaves_the_other(self, finished):
        [stage] = find_stages(["logit-lens"])
        names = ["logit-lens", "visualize", "report"]
        assert stages.set_aside(finished.run(), [stage]) == names
        assert finished.stage("analyze") is False

    def test_of_a_stage_that_was_never_run_is_no_error(self, small_run):
        [stage] = find_stages(["generate-stories"])
        assert stages.set_aside(small_run().run(), [stage])[0] == "generate-stories"


class TestMissingInputs:
    @pytest.mark.parametrize("stage", [stage for stage in STAGES if stage.upstream])
    def test_the_missing_stage_and_its_command_are_named(self, reading_run, stage):
        made = reading_run()
        with pytest.raises(StaleArtifact) as caught:
            made.stage(stage.name)
        assert f"stage {stage.upstream[0]} is not complete" in str(caught.value)
        assert f"python -m probes.run {made.config} {stage.upstream[0]}" in str(caught.value)
        assert not made.folder.exists()
