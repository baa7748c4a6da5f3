"""``emotion-probes app``: what is refused, and what the run tells the page (see tests/browser)."""

import importlib.util

import pytest

from probes.commands.app import _usable
from probes.experiments import find_entries
from probes.run import main
from probes.storage import write_json


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--port=0"], "--port: expected 1 or more, got '0'"),
        (["--port=http"], "--port: expected a whole number"),
        (["--prot=1"], "did you mean --port?"),
        (["again"], "expected one config"),
        (["--host=0.0.0.0"], "opens the page, its model and the run's texts to everybody"),
    ],
)
def test_wrong_words_are_refused(finished, capsys, words, message):
    assert main(["app", finished.config, *words]) == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_without_its_extra_it_says_what_to_install(finished, capsys, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["app", finished.config]) == 2
    assert "pip install 'emotion-lens[app]'" in " ".join(capsys.readouterr().err.split())


def test_usable_doses_are_those_of_the_layers_that_were_measured(finished):
    run = finished.run()
    assert _usable(run) == {}
    [entry] = find_entries(["steering-dose-response"])
    layers = [{"layer": 1, "usable": 0.2}, {"layer": 3, "usable": None}]
    write_json(run.root / entry.file, {"layers": layers})
    assert _usable(run) == {1: 0.2}
