"""Activations become vectors: the mean difference, neutral components out."""

import pytest
import small_runs
import tiny_models
import torch
from small_runs import Heard

import hooks
from hooks import DataError, InvalidInput
from probes import EmotionVectors
from probes.corpus.cells import read_corpus
from probes.runs.materials import Materials
from probes.runs.models import Models
from probes.storage import read_json
from probes.vectors.activations import load_shards

READING = ("generate-stories", "generate-neutral", "extract-activations")
N_LAYERS = tiny_models.N_LAYERS


def read_all(made, **overrides):
    return made.stages(*READING, "compute-vectors", **overrides)


def load(folder):
    return hooks.load(folder, backend="huggingface", dtype="float32", device="cpu")


def index_of(folder):
    return read_json(folder / "activations" / "index.json")


class TestVectors:
    def test_raw_vectors_are_the_mean_difference_of_what_the_model_reads(
        self, reading_run, subject
    ):
        made = reading_run(vectors={"neutral_pca": "none"})
        read_all(made)
        bundle = EmotionVectors.load(made.folder)
        run, model = made.run(), load(subject)
        means = []
        for emotion in bundle.emotions:
            cells = [cell for cell in run.story_cells if cell.emotion == emotion]
            texts = [text.text for text in read_corpus(run.root, cells)]
            pooled = hooks.pooled_resid_post(model, texts, hooks.FromToken(3))
            means.append(pooled.mean.mean(dim=0))
        stacked = torch.stack(means, dim=1)
        expected = stacked - stacked.mean(dim=1, keepdim=True)
        torch.testing.assert_close(bundle.raw, expected, atol=2e-5, rtol=1e-4)
        torch.testing.assert_close(bundle.global_mean, stacked.mean(dim=1), atol=2e-5, rtol=1e-4)
        assert torch.equal(bundle.vectors, bundle.raw)

    @pytest.mark.parametrize("level", ["document", "token"])
    def test_neutral_components_are_gone_from_the_vectors(self, reading_run, level):
        made = reading_run(vectors={"neutral_pca": level, "pca_variance_threshold": 0.3})
        read_all(made)
        bundle = EmotionVectors.load(made.folder)
        shards = list(load_shards(made.folder, "neutral", index_of(made.folder)))
        samples = torch.cat([s.tokens if level == "token" else s.mean for s in shards]).double()
        for layer in range(N_LAYERS):
            centered = samples[:, layer] - samples[:, layer].mean(dim=0)
            leading = torch.linalg.svd(centered, full_matrices=False).Vh[0]
            before = (bundle.raw[layer].double() @ leading).abs().max()
            after = (bundle.vectors[layer].double() @ leading).abs().max()
            assert after < 1e-5 < before
        assert min(bundle.provenance.n_neutral_components) >= 1

    def test_the_bundle_says_what_it_was_made_from(self, finished, subject):
        bundle = EmotionVectors.load(finished.folder)
        made_from, model = bundle.provenance, load(subject)
        assert made_from.model == str(subject)
        assert made_from.fingerprint == model.fingerprint
        assert (made_from.dtype, made_from.backend) == ("float32", "huggingface")
        assert made_from.hook_name == "transformer.h.{layer}, output"
        assert made_from.emotions == small_runs.EMOTIONS
        assert made_from.n_stories == [6, 6, 6]
        assert made_from.layers == list(range(N_LAYERS))
        assert made_from.target_layer == 3
        assert made_from.config_hash == finished.run().settings_hash()
        assert bundle.residual_norm.shape == (N_LAYERS,)
        assert (bundle.residual_norm > 0).all()

    def test_one_mean_per_cell_gives_the_vectors_of_single_stories(self, reading_run, tmp_path):
        made = reading_run()
        read_all(made)
        heard = Heard()
        other = {"activation__keep": "cell", "output_dir": str(tmp_path / "cells")}
        made.stages(*READING[:2], **other)
        made.stage("extract-activations", heard, **other)
        made.stage("compute-vectors", **other)
        one, two = (EmotionVectors.load(made.folder), EmotionVectors.load(tmp_path / "cells"))
        torch.testing.assert_close(one.vectors, two.vectors, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(one.residual_norm, two.residual_norm)
        assert two.provenance.n_stories == [6, 6, 6]
        [shard, *_] = load_shards(tmp_path / "cells", "stories", index_of(tmp_path / "cells"))
        assert all(row.index is None for row in shard.rows)
        assert any("one mean per (emotion, topic) is kept" in note for note in heard.notes)
        assert any("single stories at layers [2, 3]" in note for note in heard.notes)
        sums = [
            Materials(run, Models(run.config), Heard()).cell_sums(3)
            for run in (made.run(), made.run(**other))
        ]
        torch.testing.assert_close(sums[0].sums, sums[1].sums, atol=1e-4, rtol=1e-4)
        assert torch.equal(sums[0].counts, sums[1].counts)

    def test_beside_means_of_cells_single_stories_are_kept_around_the_target(
        self, reading_run, tmp_path
    ):
        made = reading_run()
        read_all(made)
        other = {"activation__keep": "cell", "output_dir": str(tmp_path / "cells")}
        made.stages(*READING, **other)
        made.stage("compute-vectors", **other)
        one, cells = (
            Materials(run, Models(run.config), Heard()) for run in (made.run(), made.run(**other))
        )
        assert one.by_story is one
        assert cells.per_cell
        single = cells.by_story
        assert not single.per_cell
        assert single.layers == [2, 3]
        for layer in single.layers:
            torch.testing.assert_close(
                vars(single.stories(layer)), vars(one.stories(layer)), atol=1e-5, rtol=1e-5
            )
        assert single.texts(single.rows) == one.texts(one.rows)
        torch.testing.assert_close(single.neutral_components(), cells.neutral_components())
        with pytest.raises(InvalidInput, match=r"no activations at layer 0; expected .*\[2, 3\]"):
            single.stories(0)
        with pytest.raises(DataError, match="kept per cell"):
            cells.texts(cells.rows)

    def test_single_stories_that_are_gone_are_read_again(self, reading_run):
        made = reading_run(activation={"keep": "cell"})
        made.stages(*READING)
        files = sorted((made.folder / "activations").glob("*.safetensors"))
        before = {path.name: path.read_bytes() for path in files}
        [gone, *_] = [path for path in files if path.name.startswith("single")]
        gone.unlink()
        made.stages(*READING)
        assert {path.name: path.read_bytes() for path in files} == before

    def test_shards_and_batches_leave_no_trace(self, reading_run, tmp_path):
        made = reading_run()
        read_all(made)
        read_all(made, activation__shard_size=1, output_dir=str(tmp_path / "single"))
        one, two = (EmotionVectors.load(made.folder), EmotionVectors.load(tmp_path / "single"))
        assert read_json(tmp_path / "single/activations/index.json")["stories"]["n_shards"] == 9
        torch.testing.assert_close(one.vectors, two.vectors, atol=1e-4, rtol=1e-4)

    def test_chosen_layers_are_those_of_a_full_reading(self, reading_run, tmp_path):
        made = reading_run()
        read_all(made)
        other = {"activation__layers": [3, 1], "output_dir": str(tmp_path / "two")}
        read_all(made, **other)
        one, two = (EmotionVectors.load(made.folder), EmotionVectors.load(tmp_path / "two"))
        assert two.layers == [3, 1]
        torch.testing.assert_close(one.at(1), two.at(1), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(one.at(3), two.at(3), atol=1e-4, rtol=1e-4)
