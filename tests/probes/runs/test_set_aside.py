"""What a restart replaces is moved, never deleted, and comes back as it was."""

import errno
import shutil

import pytest

from hooks.errors import InvalidInput
from probes.runs import set_aside
from probes.storage import StorageError


@pytest.fixture
def files(tmp_path):
    names = ["figures/deep/a.png", "figures/b.png", "report.md", "stages/visualize.json"]
    for name in (*names, "figures/paper.pdf"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return {"visualize": [tmp_path / name for name in names]}


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_only_what_is_named_goes_and_empty_folders_after_it(tmp_path, files):
    set_aside.set_aside(tmp_path, files)
    left = [name for name in contents(tmp_path) if not name.startswith(set_aside.FOLDER)]
    assert left == ["figures/paper.pdf"]
    assert not (tmp_path / "figures" / "deep").exists()
    assert not (tmp_path / "stages").exists()


def test_comes_back_as_it_was(tmp_path, files):
    before = contents(tmp_path)
    set_aside.set_aside(tmp_path, files)
    (tmp_path / "report.md").write_text("new")
    set_aside.put_back(tmp_path)
    assert contents(tmp_path) == before
    assert not set_aside.is_there(tmp_path)


def test_of_two_restarts_the_older_results_are_kept(tmp_path, files):
    before = contents(tmp_path)
    set_aside.set_aside(tmp_path, files)
    (tmp_path / "report.md").write_text("half made")
    set_aside.set_aside(tmp_path, {"report": [tmp_path / "report.md"]})
    assert not (tmp_path / "report.md").exists()
    set_aside.put_back(tmp_path)
    assert contents(tmp_path) == before


def test_a_link_is_moved_and_what_it_leads_to_stays(tmp_path, files):
    outside = tmp_path / "outside.md"
    outside.write_text("precious")
    (tmp_path / "report.md").unlink()
    (tmp_path / "report.md").symlink_to(outside)
    set_aside.set_aside(tmp_path, files)
    set_aside.drop(tmp_path)
    assert outside.read_text() == "precious"


@pytest.mark.parametrize("leaf", ["stories", "analysis/geometry.json"])
def test_a_folder_that_is_a_link_is_refused(tmp_path, leaf):
    (tmp_path / "outside").mkdir()
    (tmp_path / leaf.split("/")[0]).symlink_to(tmp_path / "outside")
    with pytest.raises(InvalidInput, match=r"is a link to .*outside.*Nothing was changed"):
        set_aside.check_links(tmp_path, ["figures", leaf])
    set_aside.check_links(tmp_path, ["figures"])


def test_a_folder_that_cannot_be_written_is_an_error_of_this_project(tmp_path, files, monkeypatch):
    def refuse(_source, _target):
        raise OSError(errno.EROFS, "Read-only file system", "figures")

    monkeypatch.setattr(shutil, "move", refuse)
    with pytest.raises(StorageError, match=r"Read-only file system.*--output_dir"):
        set_aside.set_aside(tmp_path, files)
