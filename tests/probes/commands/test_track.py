"""`emotion-probes track`: a real offline record of wandb, read back."""

import json
from pathlib import Path

import pytest

from probes.run import main


@pytest.mark.slow
def test_an_offline_record_holds_the_numbers_and_figures(finished, capsys):
    assert main(["track", finished.config, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["metrics"]["stories/accepted"] == 18
    assert printed["figures"] == len(list((finished.folder / "figures").glob("*.png"))) > 0
    record = Path(printed["record"])
    assert finished.folder in record.parents
    [history] = record.glob("*.wandb")
    content = history.read_bytes()
    assert content.startswith(b":W&B")
    after = content.partition(b"stories/accepted")[2]
    assert b"18" in after[:8]
    images = list((record / "files" / "media" / "images" / "figures").glob("*.png"))
    assert len(images) == printed["figures"]


def test_wrong_words_are_refused(finished, capsys):
    assert main(["track", finished.config, "--mode=both"]) == 2
    assert "expected offline or online" in " ".join(capsys.readouterr().err.split())
