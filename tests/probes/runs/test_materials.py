"""Activations are read layer by layer, each about once, and neutral components are taken once."""

import planted_runs
import pytest
import torch
from small_runs import EMOTIONS, TOPICS, SmallRun, small_settings, write_config, write_corpus

from hooks import DataError, InvalidInput, StaleArtifact
from probes.runs import materials as module
from probes.storage import read_json, write_json
from probes.vectors.activations import load_shard, load_shards

ROW = planted_runs.emotion_rows(EMOTIONS, TOPICS, strength=(0.1, 0.5, 1.0, 2.0))
TARGET = 2


@pytest.fixture
def made(tmp_path, tiny_folder):
    settings = small_settings(
        tiny_folder("llama"),
        tmp_path / "run",
        corpus=write_corpus(tmp_path),
        model={"target_layer": TARGET},
        vectors={"neutral_pca": "document", "pca_variance_threshold": 0.5},
    )
    run = SmallRun(write_config(tmp_path / "config.yaml", settings), tmp_path / "run")
    planted_runs.plant(run, ROW)
    return run


@pytest.fixture
def materials(made):
    return planted_runs.materials(made)


@pytest.fixture
def reads(monkeypatch):
    """Layer of every slice that is read."""
    positions = []

    def load_layer(path, name, position):
        positions.append(position)
        return kept(path, name, position)

    kept = module.load_layer
    monkeypatch.setattr(module, "load_layer", load_layer)
    return positions


@pytest.fixture
def fits(monkeypatch):
    """Number of samples of every PCA."""
    sizes = []

    def neutral_components(samples, threshold):
        sizes.append(len(samples))
        return kept(samples, threshold)

    kept = module.neutral_components
    monkeypatch.setattr(module, "neutral_components", neutral_components)
    return sizes


class TestStories:
    @pytest.mark.parametrize("layer", range(planted_runs.N_LAYERS))
    def test_a_layer_is_that_of_the_whole_shards(self, materials, layer):
        shards = list(load_shards(materials.run.root, "stories", materials.index))
        whole = torch.cat([shard.mean for shard in shards])
        stories = materials.stories(layer)
        assert torch.equal(stories.mean, whole[:, layer])
        rows = [row for shard in shards for row in shard.rows]
        assert [EMOTIONS[i] for i in stories.emotion.tolist()] == [row.emotion for row in rows]
        assert [TOPICS[i] for i in stories.topic.tolist()] == [row.topic for row in rows]
        assert stories.index.tolist() == [row.index for row in rows]
        assert torch.equal(stories.n_tokens, torch.cat([shard.n_tokens for shard in shards]))

    def test_a_layer_that_was_not_kept_is_refused(self, materials):
        with pytest.raises(InvalidInput, match=r"layer 9; expected one of \[0, 1, 2, 3\]"):
            materials.stories(9)

    def test_rows_need_no_activations(self, materials, reads):
        assert len(materials.rows.emotion) == len(EMOTIONS) * len(TOPICS) * 2
        assert reads == []


class TestEachLayerOnce:
    def test_a_sweep_and_what_follows_it_read_each_layer_once(self, materials, reads):
        assert materials.layer == TARGET
        for layer in materials.layers:
            materials.stories(layer)
            materials.stories(layer)
        materials.stories()
        materials.cell_sums()
        assert reads == materials.layers

    def test_the_target_layer_and_one_other_are_kept(self, materials, reads):
        assert materials.layer == TARGET
        for layer in (TARGET, 0, TARGET, 0, 1, TARGET, 0):
            assert torch.equal(materials.stories(layer).mean, materials.stories(layer).mean)
        assert reads == [TARGET, 0, 1, 0]

    def test_before_there_are_vectors_no_layer_is_the_target(self, materials, reads):
        for layer in (TARGET, 0, TARGET):
            materials.stories(layer)
        assert reads == [TARGET, 0, TARGET]


class TestNeutral:
    def test_all_samples_are_decomposed_once_per_layer(self, materials, fits):
        for _ in range(3):
            for layer in materials.layers:
                materials.neutral_components(layer)
                materials.neutral_share(layer)
        assert fits == [2 * len(TOPICS)] * len(materials.layers)

    def test_samples_of_some_topics_are_decomposed_once(self, materials, fits):
        assert materials.layer == TARGET
        for layer in (TARGET, 0, TARGET):
            for without in (TOPICS[:1], TOPICS[1:], TOPICS[:1]):
                materials.neutral_components(layer, without=without)
        assert fits == [4, 2] * 2

    def test_components_are_those_that_the_vectors_were_freed_of(self, materials):
        bundle = materials.vectors
        for layer in materials.layers:
            components = materials.neutral_components(layer)
            position = bundle.layer_index(layer)
            assert len(components) == bundle.provenance.n_neutral_components[position]
            along = bundle.at(layer).double() @ components.T
            torch.testing.assert_close(along, torch.zeros_like(along), atol=1e-6, rtol=0)

    def test_without_every_topic_all_samples_stand_in(self, materials):
        everything = materials.neutral_components(0)
        assert torch.equal(materials.neutral_components(0, without=TOPICS), everything)

    def test_a_run_without_denoising_has_none(self, made):
        materials = planted_runs.materials(made, vectors__neutral_pca="none")
        assert materials.neutral_components(0).shape == (0, planted_runs.D_MODEL)
        assert materials.neutral_share(0) == 0.0

    def test_too_few_samples_are_an_error_with_the_cure(self, made):
        materials = planted_runs.materials(made, vectors__neutral_pca="token")
        with pytest.raises(DataError, match=r"two neutral token samples.*got 0.*neutral_pca=none"):
            materials.neutral_components(0)


class TestDamage:
    def shard(self, made):
        return made.folder / "activations" / "stories-00000.safetensors"

    def test_a_truncated_shard_is_an_error_with_the_cure(self, made, materials):
        path = self.shard(made)
        path.write_bytes(path.read_bytes()[:-10])
        with pytest.raises(DataError, match="stories-00000.*run extract-activations again"):
            materials.stories(0)

    def test_a_shard_of_another_run_is_refused(self, made, materials):
        path = made.folder / "activations" / "index.json"
        write_json(path, {**read_json(path), "made_from": {"fingerprint": "another"}})
        with pytest.raises(StaleArtifact, match="stories-00000.*fingerprint"):
            materials.stories(0)

    def test_fewer_layers_than_the_index_says_are_an_error(self, made, materials):
        path = made.folder / "activations" / "index.json"
        n_layers = load_shard(self.shard(made)).mean.shape[1]
        write_json(path, {**read_json(path), "layers": list(range(n_layers + 1))})
        with pytest.raises(DataError, match="stories-00000.*damaged"):
            materials.stories(n_layers)

    def test_no_shard_is_an_error_with_the_cure(self, made, materials):
        path = made.folder / "activations" / "index.json"
        index = read_json(path)
        write_json(path, {**index, "stories": {**index["stories"], "n_shards": 0}})
        with pytest.raises(DataError, match="run extract-activations again"):
            materials.stories(0)


class TestSteered:
    def test_a_run_whose_emotions_are_in_the_default_is_steered_with_all(self, materials):
        assert materials.steered_emotions() == materials.steered_emotions("hostile") == EMOTIONS

    def test_a_setting_says_which_and_the_runs_order_is_kept(self, made):
        asked = planted_runs.materials(made, validation__steered_emotions=["sad", "angry"])
        assert asked.steered_emotions() == asked.steered_emotions("happy") == ["angry", "sad"]


class TestSums:
    def test_cells_hold_the_sums_of_their_stories(self, materials):
        cells = materials.cell_sums(1)
        stories = materials.stories(1)
        for emotion in range(len(EMOTIONS)):
            for topic in range(len(TOPICS)):
                members = (stories.emotion == emotion) & (stories.topic == topic)
                expected = stories.mean[members].double().sum(dim=0)
                torch.testing.assert_close(cells.sums[topic, emotion], expected)
                assert cells.counts[topic, emotion] == members.sum()


class TestTexts:
    def test_every_row_has_its_text(self, materials):
        texts = materials.texts(materials.rows)
        assert len(texts) == len(materials.rows.emotion)
        for text, topic in zip(texts, materials.rows.topic.tolist(), strict=True):
            assert text.startswith(f"It was about {TOPICS[topic]}.")
