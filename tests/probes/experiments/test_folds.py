"""Folds hold topics out together, stories and neutral text alike."""

import planted_runs
import pytest
import torch
from small_runs import EMOTIONS, TOPICS, SmallRun, small_settings, write_config, write_corpus

from probes.analysis.held_out import held_out_ranks
from probes.experiments.folds import TopicFolds, accuracy_by_layer, basis_of, best_layer
from probes.vectors.denoising import neutral_components

STRENGTH = (0.0, 0.3, 3.0, 3.0)


@pytest.fixture(scope="module")
def materials(tmp_path_factory, tiny_folder):
    folder = tmp_path_factory.mktemp("folds")
    settings = small_settings(
        tiny_folder("llama"),
        folder / "run",
        corpus=write_corpus(folder),
        model={"target_layer": 2},
        vectors={"neutral_pca": "document", "pca_variance_threshold": 0.5},
    )
    made = SmallRun(write_config(folder / "config.yaml", settings), folder / "run")
    return planted_runs.plant(made, planted_runs.emotion_rows(EMOTIONS, TOPICS, strength=STRENGTH))


@pytest.fixture
def folds(materials):
    return TopicFolds(materials, 3)


class TestBasis:
    @pytest.mark.parametrize("held", [(0,), (1,), (0, 2)])
    def test_it_is_of_neutral_text_on_the_topics_outside_the_folds(self, materials, folds, held):
        samples, topics = materials.neutral_samples("document", 1)
        outside = [index for index, topic in enumerate(topics) if folds.excluded(topic) not in held]
        expected = neutral_components(samples[outside], 0.5).directions.float()
        assert torch.equal(folds.basis(1)(*held), expected)

    def test_with_nothing_held_out_it_is_what_the_vectors_were_freed_of(self, materials, folds):
        assert torch.equal(folds.basis(2)(), materials.neutral_components(2).float())

    def test_each_fold_has_its_own(self, folds):
        bases = folds.bases(1)
        assert len(bases) == folds.design.n_folds == 3
        assert not torch.equal(bases[0], bases[1])

    def test_samples_of_elsewhere_are_treated_alike(self, materials, folds):
        samples, topics = materials.neutral_samples("document", 1)
        basis = basis_of(samples, topics, folds.excluded, 0.5)
        for held in ((), (0,), (1, 2), (0, 1, 2)):
            assert torch.equal(basis(*held), folds.basis(1)(*held))
        assert basis_of(samples, topics, folds.excluded, 0.0)(0).shape == (0, samples.shape[1])

    def test_text_on_a_topic_without_stories_is_never_held_out(self, folds):
        assert folds.excluded("a topic of no story") is None
        samples = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
        basis = basis_of(samples, ["a topic of no story"] * 6, folds.excluded, 0.5)
        assert torch.equal(basis(0), basis())


class TestAccuracy:
    def test_it_rises_with_the_planted_strength(self, materials, folds):
        accuracy = accuracy_by_layer(folds, materials.layers)
        assert accuracy[0] < 0.7 < 1.0 == accuracy[2] == accuracy[3]
        ranks = held_out_ranks(folds.rows(1), folds.design, folds.bases(1))
        assert accuracy[1] == float((ranks == 0).double().mean())

    def test_the_earliest_of_the_best_layers_is_chosen(self, materials, folds):
        assert best_layer(accuracy_by_layer(folds, materials.layers)) == 2
        assert best_layer({5: 0.5, 3: 0.9, 7: 0.9}) == 3


def test_topics_are_dealt_evenly(folds):
    counts = torch.bincount(folds.design.fold_of_topic)
    assert counts.tolist() == [1, 1, 1]
