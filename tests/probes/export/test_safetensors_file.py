"""Safetensors control vectors: named tensors, told metadata, and the same bits when read back."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from hooks.errors import DataError
from probes.export import control_vector, read_safetensors, write_safetensors


def test_a_round_trip_changes_no_bit(vectors, tmp_path):
    made = control_vector(vectors, "at ease", layers=[0, 3], dose=0.15)
    write_safetensors(made, tmp_path / "v.safetensors")
    again = read_safetensors(tmp_path / "v.safetensors")
    assert torch.equal(again.tensors, made.tensors)
    assert torch.equal(again.residual_norm, made.residual_norm)
    assert (again.emotion, again.layers, again.dose) == ("at ease", [0, 3], 0.15)
    assert again.made_from == made.made_from


def test_any_reader_finds_one_tensor_per_layer_by_name(vectors, tmp_path):
    made = control_vector(vectors, "sad", layers=[0, 2])
    write_safetensors(made, tmp_path / "v.safetensors")
    tensors = load_file(tmp_path / "v.safetensors")
    assert sorted(tensors) == ["resid_post.0", "resid_post.2"]
    assert torch.equal(tensors["resid_post.2"], made.tensors[1])


def test_the_header_says_dose_and_provenance(vectors, model, tmp_path):
    write_safetensors(control_vector(vectors, "sad", dose=0.2), tmp_path / "v.safetensors")
    with safe_open(tmp_path / "v.safetensors", "pt") as file:
        told = file.metadata()
    assert json.loads(told["dose"]) == 0.2
    assert json.loads(told["residual_norm"]) == [7.0]
    assert json.loads(told["made_from"])["fingerprint"] == model.fingerprint
    assert "strength s is dose s * 0.2 per layer" in told["description"]


def test_another_file_is_refused(tmp_path):
    save_file({"resid_post.1": torch.ones(4)}, tmp_path / "other.safetensors")
    with pytest.raises(DataError, match="no control vector of this project"):
        read_safetensors(tmp_path / "other.safetensors")


@pytest.mark.parametrize("keep", [0, 6, 100, -8])
def test_a_truncated_file_is_refused(vectors, tmp_path, keep):
    path = tmp_path / "v.safetensors"
    write_safetensors(control_vector(vectors, "sad"), path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match="damaged"):
        read_safetensors(path)
