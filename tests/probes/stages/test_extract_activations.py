"""Stages that read the subject: what is in the files is what the model says, or a clear error."""

import hashlib
import shutil
from dataclasses import replace

import pytest
import tiny_models
import torch
from small_runs import Heard

import hooks
from hooks.errors import DataError, InvalidInput, StaleArtifact
from hooks.memory import DEFAULT_BATCH_TOKENS
from probes import EmotionVectors
from probes.corpus import cells
from probes.runs.models import Models
from probes.stages import extract_activations as reading
from probes.stages.compute_vectors import compute_vectors
from probes.storage import read_json, write_json
from probes.vectors.activations import load_shard, save_shard

READING = ("generate-stories", "generate-neutral", "extract-activations")
N_LAYERS = tiny_models.N_LAYERS


def read_all(made, **overrides):
    return made.stages(*READING, "compute-vectors", **overrides)


def load(folder):
    return hooks.load(folder, backend="huggingface", dtype="float32", device="cpu")


def index_of(folder):
    return read_json(folder / "activations" / "index.json")


class TestShortTexts:
    def test_are_left_out_counted_and_said(self, reading_run):
        made = reading_run(corpus={"per_cell": 2})
        stories = made.folder.parent / "stories.jsonl"
        lines = stories.read_text().splitlines(keepends=True)
        short = '{"emotion": "sad", "topic": "a lost key", "text": "He."}\n'
        stories.write_text("".join(lines) + short)
        made.stages(*READING[:2])
        heard = Heard()
        made.stage("extract-activations", heard)
        counts = made.run().record("extract-activations").counts
        assert (counts["stories"]["dropped"], counts["stories"]["n_texts"]) == (1, 18)
        assert any("1 texts had no token after the first 3" in note for note in heard.notes)
        made.stage("compute-vectors")
        assert EmotionVectors.load(made.folder).provenance.n_stories == [6, 6, 6]

    def test_all_shorter_than_the_offset_is_an_error_that_names_it(self, reading_run):
        made = reading_run(activation={"token_offset": 400}, vectors={"neutral_pca": "none"})
        made.stages(*READING)
        with pytest.raises(DataError, match="no usable story for: angry, happy, sad") as caught:
            made.stage("compute-vectors")
        assert "activation.token_offset=400" in str(caught.value)
        assert not (made.folder / "vectors").exists()

    def test_an_emotion_all_of_whose_stories_are_too_short_is_named_alone(self, reading_run):
        made = reading_run()
        stories = made.folder.parent / "stories.jsonl"
        stories.write_text(
            stories.read_text() + '{"emotion": "bored", "topic": "a lost key", "text": "He."}\n'
        )
        made.stages(*READING)
        with pytest.raises(DataError, match=r"no usable story for: bored \(all were shorter"):
            made.stage("compute-vectors")

    def test_no_neutral_token_left_is_an_error_with_the_cures(self, reading_run):
        made = reading_run()
        neutral = made.folder.parent / "neutral.jsonl"
        neutral.write_text('{"topic": "x", "text": "He."}\n{"topic": "y", "text": "She."}\n')
        made.stages(*READING)
        with pytest.raises(DataError, match="at least two neutral document samples") as caught:
            made.stage("compute-vectors")
        assert "vectors.neutral_pca=none" in str(caught.value)

    def test_no_single_neutral_tokens_is_an_error_at_token_level(self, reading_run):
        made = reading_run(
            activation={"neutral_tokens_per_text": 0}, vectors={"neutral_pca": "token"}
        )
        made.stages(*READING)
        with pytest.raises(DataError, match="at least two neutral token samples"):
            made.stage("compute-vectors")

    def test_one_neutral_text_stops_before_reading_unless_none_are_needed(self, reading_run):
        made = reading_run()
        neutral = made.folder.parent / "neutral.jsonl"
        neutral.write_text(neutral.read_text().splitlines(keepends=True)[0])
        made.stages(*READING[:2])
        with pytest.raises(DataError, match="at least two neutral texts, got 1"):
            made.stage("extract-activations")
        assert not (made.folder / "activations").exists()
        change = {"vectors__neutral_pca": "none"}
        assert made.stages("extract-activations", "compute-vectors", **change) == [True, True]


class TestLayers:
    def test_a_target_layer_out_of_range_stops_before_reading(self, reading_run):
        made = reading_run(model={"target_layer": N_LAYERS})
        made.stages(*READING[:2])
        with pytest.raises(InvalidInput, match=f"layer {N_LAYERS} is out of range"):
            made.stage("extract-activations")
        assert not (made.folder / "activations").exists()

    def test_an_activation_layer_out_of_range_stops_before_reading(self, reading_run):
        made = reading_run(activation={"layers": [3, 40]})
        made.stages(*READING[:2])
        with pytest.raises(InvalidInput, match="layer 40 is out of range"):
            made.stage("extract-activations")
        assert not (made.folder / "activations").exists()

    def test_a_target_layer_that_is_not_read_is_refused(self, reading_run):
        made = reading_run(activation={"layers": [0, 1]})
        made.stages(*READING[:2])
        with pytest.raises(DataError, match=r"target layer 3 is not among .*\[0, 1\]"):
            made.stage("extract-activations")
        assert not (made.folder / "activations").exists()


class TestBrokenModels:
    @pytest.fixture
    def own_subject(self, tmp_path):
        return tiny_models.save_tiny_model(tmp_path / "subject", "gpt2")

    def test_weights_that_are_nan_are_an_error_and_nothing_is_half_written(
        self, reading_run, own_subject
    ):
        model = tiny_models.tiny_model("gpt2")
        with torch.no_grad():
            model.transformer.h[2].mlp.c_proj.bias[5] = float("nan")
        model.save_pretrained(own_subject)
        made = reading_run(model={"name": str(own_subject)})
        made.stages(*READING[:2])
        with pytest.raises(DataError, match="neutral / 'a lost key' / text 0 are not finite"):
            made.stage("extract-activations")
        assert not (made.folder / "activations").exists()
        assert made.run().record("extract-activations").complete is False

    def test_other_weights_in_the_same_folder_are_refused_by_their_fingerprint(
        self, reading_run, own_subject, tmp_path
    ):
        made = reading_run(model={"name": str(own_subject)})
        read_all(made)
        first = load(own_subject).fingerprint
        shutil.rmtree(own_subject)
        tiny_models.save_tiny_model(own_subject, "gpt2", seed=1)
        with pytest.raises(StaleArtifact) as caught:
            made.stage("logit-lens")
        assert first in str(caught.value)
        assert load(own_subject).fingerprint in str(caught.value)
        assert not (made.folder / "analysis").exists()

    def test_a_model_that_is_not_there_is_named(self, reading_run):
        made = reading_run(model={"name": "no/such/folder"})
        made.stages(*READING[:2])
        with pytest.raises(hooks.ModelError, match="could not load model 'no/such/folder'"):
            made.stage("extract-activations")


class TestDamage:
    def test_a_truncated_shard_is_named_with_the_cure(self, finished):
        shard = finished.folder / "activations" / "stories-00000.safetensors"
        shard.write_bytes(shard.read_bytes()[:-10])
        (finished.folder / "vectors" / "emotion_vectors.safetensors").unlink()
        with pytest.raises(
            StaleArtifact, match=r"changed.*: activations/stories-00000.*these again"
        ):
            finished.stage("compute-vectors")
        assert not (finished.folder / "vectors" / "emotion_vectors.safetensors").exists()

    def test_a_shard_of_other_texts_and_equal_shape_is_put_beside_and_read_again(
        self, finished, reading_run
    ):
        other = reading_run(corpus={"n_sentences": 9})
        other.stages(*READING, output_dir=str(finished.folder.parent / "other"))
        name = "activations/stories-00001.safetensors"
        shutil.copy(finished.folder.parent / "other" / name, finished.folder / name)
        first = finished.folder / "activations" / "stories-00000.safetensors"
        before = first.stat().st_size
        first.unlink()
        heard = Heard()
        assert finished.stage("extract-activations", heard)
        assert f"{name} is not what extract-activations left in it" in " ".join(heard.notes)
        assert (finished.folder / f"{name}.changed").is_file()
        assert first.stat().st_size == before

    def test_activations_of_an_emotion_that_is_not_in_the_run_are_refused(self, finished):
        path = finished.folder / "activations" / "stories-00000.safetensors"
        shard = load_shard(path)
        rows = [replace(row, emotion="bored") for row in shard.rows]
        save_shard(path, replace(shard, rows=rows), index_of(finished.folder)["made_from"])
        run = finished.run()
        with pytest.raises(DataError, match=r"expected activations of angry, happy, sad.*bored"):
            compute_vectors(run, Models(run.config), Heard())

    def test_reading_again_after_deleting_it_gives_the_same_bytes(self, finished):
        shard = finished.folder / "activations" / "stories-00000.safetensors"
        before = hashlib.sha256(shard.read_bytes()).hexdigest()
        shard.unlink()
        others = list((finished.folder / "activations").glob("*.safetensors"))
        times = [path.stat().st_mtime_ns for path in others]
        assert finished.stage("extract-activations")
        assert len(others) == 3
        assert [path.stat().st_mtime_ns for path in others] == times
        assert hashlib.sha256(shard.read_bytes()).hexdigest() == before


def test_a_reading_begun_in_another_dtype_is_not_gone_on_with(finished):
    path = finished.folder / "stages" / "extract-activations.json"
    record = read_json(path)
    assert record["model"].items() >= {"dtype": "float32", "device": "cpu"}.items()
    write_json(path, {**record, "model": {**record["model"], "dtype": "bfloat16"}})
    (finished.folder / "activations" / "stories-00001.safetensors").unlink()
    with pytest.raises(StaleArtifact, match="dtype: was 'bfloat16', now 'float32'"):
        finished.stage("extract-activations")
    assert not (finished.folder / "activations" / "stories-00001.safetensors").exists()


class TestBatchSize:
    @pytest.fixture
    def sizes(self, monkeypatch):
        """Sizes with which texts were read; the reading itself is real."""
        seen = []
        real = hooks.pooled_resid_post

        def watch(*arguments, **options):
            seen.append(options["batch_tokens"])
            return real(*arguments, **options)

        monkeypatch.setattr("hooks.reading.capture.pooled_resid_post", watch)
        return seen

    def test_a_resumed_run_goes_on_with_the_size_it_began_with(self, reading_run, sizes):
        made = reading_run()
        made.stages(*READING)
        path = made.folder / "stages" / "extract-activations.json"
        record = read_json(path)
        assert set(sizes) == {DEFAULT_BATCH_TOKENS}
        write_json(path, {**record, "batch_tokens": 77, "complete": False})
        (made.folder / "activations" / "stories-00001.safetensors").unlink()
        sizes.clear()
        assert made.stage("extract-activations")
        assert sizes == [77]

    def test_a_size_that_is_asked_for_is_taken(self, reading_run, sizes):
        made = reading_run(activation={"batch_tokens": 40})
        made.stages(*READING)
        assert set(sizes) == {40}


def test_texts_are_held_in_memory_one_shard_at_a_time(reading_run, monkeypatch):
    made = reading_run(corpus={"per_cell": 4})
    made.stages(*READING[:2])
    opened, at_each_shard = [], []
    real_read, real_save = cells.read_cell, reading.save_shard

    def read(root, cell):
        opened.append(cell)
        return real_read(root, cell)

    def save(path, shard, made_from):
        at_each_shard.append(len(opened))
        real_save(path, shard, made_from)

    monkeypatch.setattr(cells, "read_cell", read)
    monkeypatch.setattr(reading, "save_shard", save)
    made.stage("extract-activations")
    n_cells = 9 + 3  # every cell is counted once, then read with its shard of 8 texts
    stories = [n_cells + 3 + n for n in (2, 4, 6, 8, 9)]  # after the three cells of neutral text
    assert at_each_shard[-5:] == stories
