"""Data files travel inside the package."""

from importlib.resources import files

import pytest

from probes.stimuli._data import read_corpus_file, read_text, read_yaml

DATA = files("probes.stimuli") / "data"


@pytest.mark.parametrize(
    "name", sorted(it.name for it in DATA.iterdir() if it.name.endswith("yaml"))
)
def test_every_yaml_file_says_something(name):
    assert read_yaml(name)


def test_a_text_is_read_as_it_is_on_the_disk():
    assert read_text("emotions_171.txt") == (DATA / "emotions_171.txt").read_text("utf-8")


def test_a_file_of_a_corpus_is_read_as_it_is_on_the_disk():
    path = files("probes.stimuli") / "corpora" / "speakers" / "dialogues.jsonl"
    assert read_corpus_file("speakers", "dialogues.jsonl") == path.read_text("utf-8")
