"""A model's small files are found where they are, and nothing is fetched when they are not."""

import json

import pytest
from huggingface_hub import constants

from hooks.models import embedded
from hooks.models.local_files import local_config, local_file, public_name

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub_cache(tmp_path, monkeypatch):
    """A hub cache as a download leaves it, with one model in it."""
    repo = tmp_path / "hub" / "models--someone--model"
    (repo / "snapshots" / COMMIT).mkdir(parents=True)
    (repo / "snapshots" / COMMIT / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def test_of_a_folder(tiny_folder):
    assert local_config(str(tiny_folder("llama")))["model_type"] == "llama"
    assert local_file(str(tiny_folder("llama")), "README.md") is None


@pytest.mark.parametrize("revision", [None, "main", COMMIT])
def test_of_a_model_in_the_hub_cache(hub_cache, revision):
    assert local_config("someone/model", revision) == {"model_type": "llama"}
    assert local_file("someone/model", "README.md", revision) is None


@pytest.mark.parametrize("name", ["someone/other", "no such: name", "a/b/c", "embedded:none"])
def test_of_a_model_that_is_not_here_there_is_none(hub_cache, name):
    assert local_config(name) == {}


def test_of_an_embedded_model_that_is_not_converted_there_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv("EMOTION_LENS_CACHE", str(tmp_path))
    assert local_config("embedded:gemma-3-270m") == {}
    folder = embedded._target("gemma-3-270m")
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "gemma3_text"}))
    assert local_config("embedded:gemma-3-270m") == {"model_type": "gemma3_text"}
    assert list(tmp_path.iterdir()) == [folder]


def test_others_read_the_name_of_a_folder_and_not_its_path(tmp_path):
    assert public_name(str(tmp_path / "mine")) == "mine"
    assert public_name("google/gemma-3-270m") == "google/gemma-3-270m"
    assert public_name("embedded:gemma-3-270m") == "embedded:gemma-3-270m"
    assert public_name("~/models/mine") == "mine"
    assert public_name("x" * 5000) == "x" * 5000
