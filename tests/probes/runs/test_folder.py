"""A run's folder remembers what each stage was made from, and deletes only what is its own."""

import json
import os

import pytest
import small_runs

from hooks.errors import InvalidInput, StaleArtifact
from probes.config import parse_config
from probes.corpus.cells import Cell
from probes.runs.folder import Run, differences
from probes.storage import StorageError, digest_files

UPSTREAM = {"upstream": "0" * 16}


def run_in(folder, source="my.yaml", **sections) -> Run:
    values = {"model": {"name": "gpt2"}, "output_dir": str(folder), **sections}
    return Run(parse_config(values), source)


class TestDifferences:
    def test_leaves_are_listed_with_their_full_keys(self):
        before = {"a": {"b": 1, "c": [1, 2]}, "gone": 1, "same": {"x": None}}
        now = {"a": {"b": 2, "c": [1, 2]}, "new": 3, "same": {"x": None}}
        assert [str(difference) for difference in differences(before, now)] == [
            "  a.b: was 1, now 2",
            "  gone: was 1, now None",
            "  new: was None, now 3",
        ]

    def test_a_section_that_became_a_value_is_one_difference(self):
        assert [d.key for d in differences({"a": {"b": 1}}, {"a": 3})] == ["a"]


class TestRecords:
    def test_a_stage_is_begun_once_and_finished(self, tmp_path):
        run = run_in(tmp_path)
        assert run.record("analyze") is None
        run.begin("analyze", {"seed": 1}, UPSTREAM)
        run.begin("analyze", {"seed": 2}, UPSTREAM)
        assert run.record("analyze").settings == {"seed": 1}
        assert run.record("analyze").complete is False
        (tmp_path / "made").write_text("x")
        run.finish("analyze", [tmp_path / "made"], {"n": 3}, 1.23456)
        record = run.record("analyze")
        assert (record.complete, record.seconds) == (True, 1.23)
        assert record.counts == {"files": 1, "n": 3}
        assert record.output_digest == digest_files([tmp_path / "made"], tmp_path)
        assert "torch" in record.versions

    def test_a_stage_begun_with_other_weights_is_refused_with_both_fingerprints(self, tmp_path):
        run = run_in(tmp_path)
        run.begin("extract-activations", {}, UPSTREAM)
        run.pin_model("extract-activations", "model", {"name": "gpt2", "fingerprint": "aaaa"})
        run.pin_model("extract-activations", "model", {"name": "gpt2", "fingerprint": "aaaa"})
        with pytest.raises(StaleArtifact, match=r"(?s)aaaa.*bbbb.*--restart extract-activations"):
            run.pin_model("extract-activations", "model", {"name": "gpt2", "fingerprint": "bbbb"})
        run.finish("extract-activations", [], {}, 1.0)
        assert run.record("extract-activations").model == {"fingerprint": "aaaa"}

    def test_a_stage_goes_on_in_the_dtype_on_the_device_it_was_begun_with(self, tmp_path):
        run = run_in(tmp_path)
        asked = {"writer": {"dtype": "auto", "device": "auto"}}
        begun = {"name": "gpt2", "fingerprint": "aaaa", "dtype": "bfloat16", "device": "cuda"}
        run.begin("generate-stories", asked, UPSTREAM)
        run.pin_model("generate-stories", "writer", begun)
        elsewhere = {**begun, "dtype": "float32", "device": "cpu"}
        with pytest.raises(StaleArtifact, match="dtype: was 'bfloat16', now 'float32'") as caught:
            run.pin_model("generate-stories", "writer", elsewhere)
        assert "--writer.device=cuda --writer.dtype=bfloat16" in str(caught.value)
        # The cure cures, and asking for what was begun is no change of settings.
        cured = {"writer": {"dtype": "bfloat16", "device": "cuda"}}
        run.check_unchanged("generate-stories", cured, UPSTREAM)
        run.pin_model("generate-stories", "writer", begun)
        other = {"writer": {"dtype": "float32", "device": "auto"}}
        with pytest.raises(StaleArtifact, match=r"writer\.dtype: was 'auto', now 'float32'"):
            run.check_unchanged("generate-stories", other, UPSTREAM)

    def test_attempts_may_be_raised_and_not_lowered(self, tmp_path):
        run = run_in(tmp_path)
        few, more = ({"generation": {"max_attempts": number}} for number in (2, 5))
        run.begin("generate-stories", few, {})
        run.finish("generate-stories", [], {}, 1.0)
        run.check_unchanged("generate-stories", more, {})
        run.begin("generate-stories", more, {})
        assert run.record("generate-stories").complete is False
        with pytest.raises(StaleArtifact, match=r"generation\.max_attempts: was 5, now 2"):
            run.check_unchanged("generate-stories", few, {})

    def test_unchanged_settings_pass_and_changed_ones_are_refused_with_the_cure(self, tmp_path):
        run = run_in(tmp_path, source="my.yaml --seed=1")
        run.check_unchanged("analyze", {"seed": 1}, UPSTREAM)
        run.begin("analyze", {"a": {"seed": 1}}, UPSTREAM)
        run.check_unchanged("analyze", {"a": {"seed": 1}}, UPSTREAM)
        with pytest.raises(StaleArtifact) as caught:
            run.check_unchanged("analyze", {"a": {"seed": 2}}, {"upstream": "1" * 16})
        message = str(caught.value)
        assert "a.seed: was 1, now 2" in message
        assert f"input.upstream: was '{'0' * 16}', now '{'1' * 16}'" in message
        assert "python -m probes.run my.yaml --seed=1 --restart analyze" in message

    def test_inputs_come_from_complete_stages_only(self, tmp_path):
        run = run_in(tmp_path)
        for begun in (False, True):
            if begun:
                run.begin("analyze", {}, {})
            with pytest.raises(StaleArtifact, match=r"analyze is not complete.*my\.yaml analyze"):
                run.input_digests(["analyze"])
        run.finish("analyze", [], {}, 0.0)
        assert run.input_digests(["analyze"]) == {"analyze": digest_files([], tmp_path)}

    def test_a_summary_gathers_what_was_done(self, tmp_path):
        run = run_in(tmp_path)
        run.begin("analyze", {}, {})
        run.write_summary(["analyze", "visualize"])
        summary = json.loads((tmp_path / "run.json").read_text())
        assert list(summary["stages"]) == ["analyze"]
        assert summary["config"]["model"]["name"] == "gpt2"
        assert summary["config_hash"] == run.settings_hash()

    def test_where_results_are_written_is_not_what_decides_them(self, tmp_path):
        one, two = run_in(tmp_path / "one"), run_in(tmp_path / "two")
        assert one.settings_hash() == two.settings_hash()
        assert one.settings_hash() != run_in(tmp_path / "one", seed=1).settings_hash()


class TestFilesOfAFinishedStage:
    @pytest.fixture
    def finished(self, tmp_path):
        run = run_in(tmp_path)
        files = [tmp_path / name for name in ("a", "b")]
        for path in files:
            path.write_text("whole")
        run.begin("analyze", {}, {})
        run.finish("analyze", files, {}, 1.0)
        return run, files

    def test_are_not_opened_while_names_sizes_and_times_are_the_same(self, finished, monkeypatch):
        run, files = finished
        monkeypatch.setattr("probes.runs.files.digest_file", None)
        run.check_intact("analyze", files)

    def test_may_be_copied_and_are_then_read_once(self, finished, monkeypatch):
        run, files = finished
        os.utime(files[0], (1, 1))
        run.check_intact("analyze", files)
        monkeypatch.setattr("probes.runs.files.digest_file", None)
        run.check_intact("analyze", files)

    def test_are_refused_when_one_has_changed_at_the_same_size(self, finished):
        run, files = finished
        files[1].write_text("wHole")
        os.utime(files[1], (2e9, 2e9))
        with pytest.raises(
            StaleArtifact, match=r"1 files.*changed.*0 are lost: b\..*nothing else: .*yaml analyze"
        ):
            run.check_intact("analyze", files)

    def test_are_made_again_when_one_is_lost(self, finished):
        run, files = finished
        files[1].unlink()
        with pytest.raises(StaleArtifact, match=r"1 are lost: b\..*probes\.run my\.yaml analyze"):
            run.check_intact("analyze", files[:1])


class TestFolder:
    def test_that_is_no_runs_and_holds_what_a_run_writes_is_refused(self, tmp_path):
        (tmp_path / "mine.txt").write_text("x")
        (tmp_path / "figures").mkdir()
        run_in(tmp_path).check_folder()
        for name in ("report.md", "figures/mine.pdf"):
            (tmp_path / name).write_text("x")
            with pytest.raises(InvalidInput, match=rf"{name.split('/')[0]}.*no record of a run"):
                run_in(tmp_path).check_folder()
            (tmp_path / name).unlink()

    def test_removes_what_killed_writers_left_and_nothing_deeper(self, tmp_path):
        folders = ("", "stories/sad", "activations", "figures", "stages", "vectors", "analysis")
        for folder in (*folders, "mine"):
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
            part = tmp_path / folder / ".part-x"
            part.write_text("half")
            os.utime(part, (0, 0))
        run_in(tmp_path).remove_leftovers()
        left = [path.parent.name for path in tmp_path.rglob(".part-*")]
        assert left == ["mine"]

    def test_a_folder_below_a_file_cannot_be_made(self, tmp_path):
        (tmp_path / "file").write_text("x")
        for folder in (tmp_path / "file" / "run", tmp_path / "file"):
            with pytest.raises(StorageError, match=r"cannot make the folder.*--output_dir"):
                run_in(folder).prepare()

    def test_a_home_folder_may_be_written_with_a_tilde(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        assert run_in("~/run").root == tmp_path / "run"


class TestOwnCorpus:
    def run(self, tmp_path, emotions=("homesick", "sad", "at_ease"), **generation) -> Run:
        own = small_runs.write_corpus(tmp_path, emotions, ["x", "y"], per_cell=1)
        return run_in(tmp_path / "out", corpus=own, generation=generation)

    def test_its_emotions_may_be_any_words_in_the_files_order(self, tmp_path):
        run = self.run(tmp_path)
        assert run.emotions == ("homesick", "sad", "at_ease")
        assert len(run.story_cells) == 6
        assert [cell.emotion for cell in run.neutral_cells] == [None, None]

    def test_the_cells_of_a_large_file_are_listed_by_looking_at_each_once(
        self, tmp_path, monkeypatch
    ):
        words = [f"word {n}" for n in range(100)]
        own = small_runs.write_corpus(tmp_path, words, [f"topic {n}" for n in range(80)], 1)
        run = run_in(tmp_path / "out", corpus=own)
        compared = []
        monkeypatch.setattr(
            Cell, "__eq__", lambda one, other: compared.append(one) or vars(one) == vars(other)
        )
        assert len(run.story_cells) == 8_000
        assert len(compared) < 8_000  # a search for each would be millions

    def test_a_subset_chooses_among_them(self, tmp_path):
        assert self.run(tmp_path, emotions_subset=2).emotions == ("homesick", "sad")
        run = self.run(tmp_path, emotions_subset=["at_ease", "homesick"])
        assert set(run.emotions) == {"homesick", "at_ease"}
        assert {cell.emotion for cell in run.story_cells} == set(run.emotions)

    def test_more_emotions_than_the_file_has_are_refused(self, tmp_path):
        with pytest.raises(InvalidInput, match=r"at most 3.*stories\.jsonl, got 4"):
            self.run(tmp_path, emotions_subset=4)

    def test_a_subset_with_a_word_that_is_not_in_the_file_is_refused(self, tmp_path):
        with pytest.raises(InvalidInput, match="'happy' is not in .*it has: at_ease, homesick"):
            self.run(tmp_path, emotions_subset=["sad", "happy"])

    def test_steering_with_an_emotion_that_the_run_lacks_is_refused_before_any_work(self, tmp_path):
        own = small_runs.write_corpus(tmp_path, ["homesick", "sad", "at_ease"])

        def run(*steered, **generation):
            asked = {"steered_emotions": list(steered)}
            return run_in(tmp_path / "out", corpus=own, generation=generation, validation=asked)

        assert run("sad", "homesick").config.validation.steered_emotions == ["sad", "homesick"]
        with pytest.raises(InvalidInput, match="got 'happy'; of the 3 that it has the nearest"):
            run("sad", "happy")
        with pytest.raises(InvalidInput, match=r"steered_emotions.* got 'at_ease'; of the 2"):
            run("sad", "at_ease", emotions_subset=2)
        assert not (tmp_path / "out").exists()

    def test_one_emotion_is_refused_before_any_work(self, tmp_path):
        with pytest.raises(InvalidInput, match="at least two emotions.*got sad"):
            self.run(tmp_path, emotions=["sad"])
        assert not (tmp_path / "out").exists()
