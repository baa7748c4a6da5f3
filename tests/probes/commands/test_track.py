"""`emotion-probes track`: a real offline record of wandb, read back."""

import json
from pathlib import Path

from probes.run import main


def test_an_offline_record_holds_the_numbers_and_figures(finished, capsys):
    assert main(["track", finished.config, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["metrics"]["stories/accepted"] == 18
    assert said["figures"] == len(list((finished.folder / "figures").glob("*.png"))) > 0
    record = Path(said["record"])
    assert finished.folder in record.parents
    [history] = record.glob("*.wandb")
    content = history.read_bytes()
    assert content.startswith(b":W&B")
    after = content.partition(b"stories/accepted")[2]
    assert b"18" in after[:8]
    images = list((record / "files" / "media" / "images" / "figures").glob("*.png"))
    assert len(images) == said["figures"]


def test_wrong_words_are_refused(finished, capsys):
    assert main(["track", finished.config, "--mode=both"]) == 2
    assert "expected offline or online" in " ".join(capsys.readouterr().err.split())
