"""What cannot be read is refused before a word is written."""

import importlib.util
import json
import shutil

import pytest
import tiny_models

from probes import run as command
from probes.runs.models import Models

N_LAYERS = tiny_models.N_LAYERS


@pytest.fixture
def refused(small_run, tiny_writer, capsys):
    """``refused(**sections)``: what a whole run says that writes with another model."""

    def run(*flags, **sections):
        made = small_run(writer={"name": str(tiny_writer)}, **sections)
        assert command.main([made.config, *flags]) != 0
        assert not made.folder.exists()
        return " ".join(capsys.readouterr().err.split())

    return run


def test_a_subject_that_is_not_there_is_named(refused):
    said = refused(model={"name": "no/such/folder"})
    assert "could not read the config of model 'no/such/folder'" in said


def test_a_target_layer_out_of_range_says_which_there_are(refused):
    said = refused(model={"target_layer": N_LAYERS})
    assert f"model.target_layer: layer {N_LAYERS} is out of range" in said
    assert f"{N_LAYERS} layers, 0 to {N_LAYERS - 1}" in said


@pytest.mark.parametrize("key", ["activation.layers", "validation.sweep_layers"])
def test_a_layer_to_read_out_of_range_is_named_with_its_setting(refused, key):
    assert f"{key}: layer 40 is out of range" in refused(f"--{key}=3,40")


def test_a_target_layer_that_is_not_read_is_refused(refused):
    said = refused(activation={"layers": [0, 1]})
    assert "target layer 3 is not among activation.layers [0, 1]" in said


def test_layers_without_those_that_the_paper_steers_are_refused(refused):
    layers = {"activation": {"layers": [0, 1]}, "model": {"target_layer": 0}}
    said = refused("--validation.paper=true", **layers)
    assert "validation.paper: expected layers from 2 to 2" in said
    assert "got [0, 1]" in said


def test_too_few_topics_to_hold_out_are_refused(refused):
    said = refused("--generation.topics_subset=2", model={"target_layer": "held-out"})
    assert "at least 3 topics, got 2 topics, 2 of them shared" in said


def test_a_target_layer_cannot_be_chosen_by_topics_that_no_emotions_share(reading_run, capsys):
    made = reading_run(model={"target_layer": "held-out"})
    path = made.folder.parent / "stories.jsonl"
    rows = list(map(json.loads, path.read_text().splitlines()))
    alone = [{**row, "topic": f"{row['topic']}, {row['emotion']}"} for row in rows]
    path.write_text("".join(json.dumps(row) + "\n" for row in alone))
    assert command.main([made.config]) != 0
    assert "got 9 topics, 0 of them shared" in " ".join(capsys.readouterr().err.split())
    assert not made.folder.exists()


def test_quantizing_without_the_package_says_how_to_install_it(refused, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "bitsandbytes" else find(name)
    )
    said = refused(model={"quantize": "4bit"})
    assert "pip install 'emotion-lens[quantize]'" in said


def test_texts_are_written_where_the_subject_is_not(small_run, tiny_writer):
    made = small_run(writer={"name": str(tiny_writer)}, model={"name": "no/such/folder"})
    assert command.main([made.config, "generate-neutral", "--quiet"]) == 0


def test_a_finished_run_asks_no_model(finished, monkeypatch):
    monkeypatch.setattr(Models, "subject", None)
    monkeypatch.setattr("probes.stages.checks.describe", None)
    assert command.main([finished.config, "--quiet"]) == 0


@pytest.mark.parametrize(
    ("section", "cure"),
    [({"system": "Be brief."}, "Leave out writer.system"), ({}, "Take another writer")],
)
def test_a_template_that_refuses_the_prompt_is_named_with_the_setting(
    small_run, tiny_writer, tmp_path, capsys, section, cure
):
    strict = tmp_path / "strict"
    shutil.copytree(tiny_writer, strict)
    wrong = "messages[0].role == 'system'" if section else "true"
    template = "{% if " + wrong + " %}{{ raise_exception('not like this') }}{% endif %}"
    for path in strict.glob("*.jinja"):
        path.write_text(template + path.read_text())
    made = small_run(writer={"name": str(strict), **section})
    assert command.main([made.config]) != 0
    said = " ".join(capsys.readouterr().err.split())
    assert f"the chat template of {strict} refuses messages of" in said
    assert "not like this" in said
    assert f"{cure}; nothing was written." in said
    assert not made.folder.exists()
