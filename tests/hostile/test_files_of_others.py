"""Files that are JSON but not ours, damaged, or somebody else's: one line, which, what to do."""

import shutil
from pathlib import Path

import pytest
from command_line import main

STRANGE = ["[]", "{}", "null", "3", '"x"', '[{"a": 1}]', "[" * 100_000, '{"a": NaN', "\ufeff", ""]
READERS = {
    "status": ["status", "CONFIG"],
    "whole run": ["CONFIG"],
    "one stage": ["report", "CONFIG"],
    "one experiment": ["validate", "CONFIG", "--only=steering"],
    "summary": ["track", "CONFIG"],
    "card": ["export", "RUN", "--to=hub", "--dry-run"],
    "texts": ["export", "RUN", "--to=parquet", "--dry-run"],
}


def json_files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.json"))


@pytest.mark.parametrize("reader", READERS)
def test_a_file_that_is_json_and_not_ours_is_one_line(finished, capsys, monkeypatch, reader):
    monkeypatch.setenv("WANDB_X_SAVE_REQUIREMENTS", "false")  # most of a tracker's time
    words = [
        word.replace("CONFIG", finished.config).replace("RUN", str(finished.folder))
        for word in READERS[reader]
    ]
    whole = finished.folder.parent / "whole"
    assert main(finished.config, "--quiet") == 0
    shutil.copytree(finished.folder, whole)
    names = json_files(finished.folder)
    assert len(names) > 20
    for place, name in enumerate(names):
        strange = STRANGE[place % len(STRANGE)], STRANGE[(place + 1) % len(STRANGE)]
        for content in strange[: 1 if reader == "summary" else 2]:  # a tracker takes its time
            (finished.folder / name).write_text(content, encoding="utf-8")
            code = main(*words)
            printed = capsys.readouterr()
            assert "nobody expected" not in printed.err, (name, content[:20], printed.err)
            assert "Traceback" not in printed.err, (name, content[:20])
            if code not in (0, 3):  # where it is read it is named
                assert Path(name).name in printed.err.replace("\n", ""), (name, printed.err)
            shutil.rmtree(finished.folder)
            shutil.copytree(whole, finished.folder)
