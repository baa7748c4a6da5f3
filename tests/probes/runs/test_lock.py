"""One writer per folder, told from real processes; a kill releases it."""

import errno
import os
import signal
import subprocess
import sys

import pytest

from probes.runs import lock
from probes.runs.lock import FolderInUse, only_writer
from probes.storage import StorageError

HOLDER = """
import sys, time
from pathlib import Path
from probes.runs.lock import only_writer
with only_writer(Path(sys.argv[1]), print):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_the_second_is_told_who_holds_it_and_a_kill_releases_it(tmp_path, holder):
    with (
        pytest.raises(FolderInUse, match=rf"process {holder.pid} on .* since 20.*--output_dir"),
        only_writer(tmp_path, pytest.fail),
    ):
        pass
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with only_writer(tmp_path, pytest.fail):
        assert f"process {os.getpid()} " in (tmp_path / lock.FILE).read_text()
    with only_writer(tmp_path, pytest.fail):
        pass


def test_a_file_system_without_locks_is_said(tmp_path, monkeypatch):
    def refuse(_handle):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock, "_lock", refuse)
    heard = []
    with only_writer(tmp_path, heard.append):
        pass
    assert "keeps no locks (No locks available)" in heard[0]


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / lock.FILE).mkdir()
    with pytest.raises(StorageError, match="could not write"), only_writer(tmp_path, pytest.fail):
        pass
