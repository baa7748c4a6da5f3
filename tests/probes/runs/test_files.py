"""A finished stage's files are known by content; times only spare the reading."""

import os

import pytest

from hooks.errors import DataError
from probes.runs.files import FileList
from probes.storage import digest_files


@pytest.fixture
def paths(tmp_path):
    paths = [tmp_path / name for name in ("a/b.json", "a-b/c.json", "a b.json", "é.json")]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text(path.name)
    return paths


def test_one_digest_stands_for_all_as_it_always_did(tmp_path, paths):
    assert FileList.of(paths, tmp_path).digest == digest_files(paths, tmp_path)


def test_what_changed_is_told_from_what_was_only_touched_or_is_lost(tmp_path, paths):
    left = FileList.of(paths, tmp_path)
    os.utime(paths[0], (1, 1))
    paths[1].write_text("C.json")  # as long as before
    paths[2].unlink()
    assert left.changed(tmp_path) == [paths[1]]
    assert set(left.present(tmp_path)) == {*paths} - {paths[2]}


def test_goes_to_a_file_and_back(tmp_path, paths):
    left = FileList.of(paths, tmp_path)
    left.write(tmp_path / "list.json")
    assert FileList.read(tmp_path / "list.json") == left
    assert FileList.read(tmp_path / "none.json") is None
    (tmp_path / "list.json").write_text('{"a": 1}')
    with pytest.raises(DataError, match=r"list\.json: expected what this project writes there"):
        FileList.read(tmp_path / "list.json")
