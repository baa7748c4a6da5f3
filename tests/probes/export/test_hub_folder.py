"""What goes to the hub says nothing of this machine, and can be loaded again."""

import json

import pytest
import yaml

from hooks.errors import DataError
from probes.config import parse_config
from probes.export.hub_folder import hub_files
from probes.storage import read_json


def test_both_repositories_hold_a_card_and_what_it_speaks_of(source):
    files = hub_files(source, "me/mine")
    assert sorted(files) == [
        *("dataset/README.md", "dataset/neutral.parquet", "dataset/stories.parquet"),
        *("model/README.md", "model/config.yaml", "model/emotion_vectors.safetensors"),
        "model/pca_scatter.png",
    ]
    (source.root / "figures" / "pca_scatter.png").unlink()
    assert "model/pca_scatter.png" not in hub_files(source, "me/mine")


def test_no_file_names_a_folder_of_this_machine(source):
    root, model = str(source.root).encode(), source.vectors.provenance.model.encode()
    for name, content in hub_files(source, "me/mine").items():
        assert root not in content, name
        assert model not in content, name


def test_nor_does_what_an_experiment_says(source):
    words = f"Read {source.vectors.provenance.model} twice, in {source.root}."
    source.summary["experiments"] = {"x": {"rows": [["x", words]], "limits": [words]}}
    card = hub_files(source, "me/mine")["model/README.md"].decode()
    assert card.count("Read gpt2 twice, in out.") == 2
    assert str(source.root) not in card


def test_the_settings_can_be_loaded_again_and_name_no_folder_and_no_server(source):
    config = source.record["config"]
    config["writer"]["name"] = "someone/writer"
    config["generation"] |= {"engine": "openai", "base_urls": ["http://10.0.0.7:8000/v1"]}
    config["compute"]["address"] = "head.lan:6379"
    text = hub_files(source, "me/mine")["model/config.yaml"].decode()
    values = yaml.safe_load(text)
    assert not [word for word in ("/tmp", "10.0.0.7", "head.lan") if word in text]
    assert values["corpus"]["stories"] == "stories.jsonl"
    assert values["output_dir"] == "output/out"
    recorded = read_json(source.root / "run.json")["config"]
    assert parse_config(values).activation.model_dump() == recorded["activation"]


def test_a_summary_of_another_version_is_refused_with_the_cure(source):
    del source.summary["subject"]["n_layers"]
    with pytest.raises(DataError, match=r"lacks 'n_layers'.* another version .* Run the config"):
        hub_files(source, "me/mine")


def test_the_same_run_gives_the_same_bytes(source):
    before = json.dumps(source.record)
    assert hub_files(source, "me/mine") == hub_files(source, "me/mine")
    assert json.dumps(source.record) == before
