"""A bundle's file: the same after a round trip; what is missing or damaged is named."""

import dataclasses
import json

import pytest
import torch
from safetensors.torch import save_file
from tiny_vectors import bundle, provenance

from hooks.errors import DataError
from probes import EmotionVectors
from probes.vectors.activations import read_metadata
from probes.vectors.bundle_file import FILE_NAME


def test_a_round_trip_changes_no_bit(tmp_path):
    made = bundle()
    path = made.save(tmp_path / "run" / "vectors")
    for source in (path, path.parent, path.parent.parent, str(path)):
        again = EmotionVectors.load(source)
        for name in ("vectors", "raw", "global_mean", "residual_norm"):
            assert torch.equal(getattr(again, name), getattr(made, name))
        assert again.provenance == made.provenance


def test_the_same_vectors_give_the_same_bytes(tmp_path):
    assert bundle().save(tmp_path / "a").read_bytes() == bundle().save(tmp_path / "b").read_bytes()


def test_the_header_says_what_they_were_made_from(tmp_path):
    header = read_metadata(bundle().save(tmp_path).read_bytes())
    written = json.loads(header["provenance"])
    assert written == dataclasses.asdict(provenance())
    assert set(written) >= {
        "emotions",
        "layers",
        "model",
        "revision",
        "fingerprint",
        "tokenizer_hash",
        "dtype",
        "quantize",
        "hook_name",
        "weight_processing",
        "corpus_hash",
        "config_hash",
        "n_neutral_components",
        "versions",
    }


def test_a_missing_bundle_is_named(tmp_path):
    with pytest.raises(DataError, match="expected the file, its folder or the folder of a run"):
        EmotionVectors.load(tmp_path)


def test_damage_is_an_error_with_the_cure(tmp_path):
    path = bundle().save(tmp_path)
    whole = path.read_bytes()
    for size in (0, 7, 100, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(DataError, match="Run compute-vectors again"):
            EmotionVectors.load(tmp_path)


def test_a_bundle_that_cannot_be_read_is_named(tmp_path, unreadable):
    unreadable(FILE_NAME)
    with pytest.raises(DataError, match=rf"{FILE_NAME} cannot be read.*permissions"):
        EmotionVectors.load(tmp_path)


def test_a_file_of_another_tool_is_refused(tmp_path):
    save_file({"emotion_vectors": torch.zeros(1, 2, 3)}, tmp_path / FILE_NAME)
    with pytest.raises(DataError, match="not written by this project"):
        EmotionVectors.load(tmp_path)
