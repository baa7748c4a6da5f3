"""``emotion-probes doctor``: every check in a table, and an exit code to build upon."""

import json

import pytest

from probes.run import main


def test_a_sound_model_exits_with_0_and_its_checks_are_told(subject, capsys):
    assert main(["doctor", str(subject), "--dtype=float32", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["model"], printed["ok"], printed["exit_code"]) == (str(subject), True, 0)
    assert all(check["passed"] is not False for check in printed["checks"])
    assert any(check["passed"] for check in printed["checks"])


def test_a_model_that_does_not_load_exits_with_1(tmp_path, capsys):
    assert main(["doctor", str(tmp_path)]) == 1
    assert "could not load model" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "expected one model, e.g. emotion-probes doctor embedded:gemma-3-270m, got none"),
        (["a", "b"], "got a b"),
        (["gpt2", "--device"], "--device: expected a value, got nothing"),
    ],
)
def test_wrong_words_are_refused(capsys, words, message):
    assert main(["doctor", *words]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
