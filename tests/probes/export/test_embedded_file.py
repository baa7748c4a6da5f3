"""Vectors at half the size: the same to rounding, and all that a command needs goes along."""

from dataclasses import replace

import pytest
import torch

from hooks.errors import InvalidInput
from probes import EmotionVectors
from probes.export.embedded_file import embedded_file
from probes.export.source import Source, find_source
from probes.vectors.neutral_tokens import NeutralTokens


@pytest.fixture
def run(finished) -> Source:
    return find_source(str(finished.folder))


def written(tmp_path, source: Source, *layers) -> EmotionVectors:
    name, content = embedded_file(source, *layers)
    (tmp_path / name).write_bytes(content)
    return EmotionVectors.load(tmp_path / name)


def test_the_target_layer_and_its_neighbors_are_kept_to_rounding(run, tmp_path):
    whole, kept = run.vectors, written(tmp_path, run)
    assert kept.provenance.target_layer == whole.provenance.target_layer == 3
    assert kept.layers == [2, 3]  # of layers 0 to 3
    for layer in kept.layers:
        cosines = torch.cosine_similarity(kept.at(layer), whole.at(layer), dim=1)
        assert (1 - cosines).max() < 1e-6
        assert not torch.equal(kept.at(layer), whole.at(layer))
        place = kept.layer_index(layer)
        assert torch.equal(kept.global_mean[place], whole.global_mean[whole.layer_index(layer)])
        assert kept.norm_by_layer[layer] == whole.norm_by_layer[layer]
    assert kept.vectors.dtype == torch.float32  # so that it is used as any other
    assert kept.raw is None
    assert written(tmp_path, run, [1, 3]).layers == [1, 3]


def test_what_they_were_made_from_goes_along(run, tmp_path):
    whole, kept = run.vectors.provenance, written(tmp_path, run).provenance
    assert (kept.fingerprint, kept.corpus_hash) == (whole.fingerprint, whole.corpus_hash)
    assert kept.n_neutral_components == whole.n_neutral_components[2:4]
    assert "/" not in kept.model


def test_zeros_of_texts_and_of_tokens_are_those_of_the_run(run, tmp_path):
    whole, kept = run.vectors, written(tmp_path, run)
    tokens = NeutralTokens.of_run(run.root, whole)
    brought = NeutralTokens.of_vectors(kept)
    assert brought.n == tokens.n > 2
    for layer in kept.layers:
        place, before = kept.layer_index(layer), whole.layer_index(layer)
        assert torch.equal(kept.zero.mean[place], whole.zero.mean[before])
        assert torch.equal(brought.at(layer).mean, tokens.at(layer).mean)
        assert torch.equal(brought.at(layer).sd, tokens.at(layer).sd)
    assert NeutralTokens.of_vectors(whole) is None


def test_the_same_run_gives_the_same_bytes_and_a_copy_keeps_all(run, tmp_path):
    name, content = embedded_file(run)
    assert embedded_file(run) == (name, content)
    kept = written(tmp_path, run)
    again = kept.to_bytes(torch.float16)
    assert again == content


def test_what_cannot_be_kept_is_refused(run):
    with pytest.raises(InvalidInput, match="expected the target layer, 3, among them"):
        embedded_file(run, [1, 2])
    large = replace(run.vectors, vectors=run.vectors.vectors * 1e9)
    run.__dict__["vectors"] = large
    with pytest.raises(InvalidInput, match="float16 holds numbers up to 65504"):
        embedded_file(run)
