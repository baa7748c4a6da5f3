"""One writer per folder: an advisory lock that ends with its process, however it ends.

Readers need none. Workers of one run share its lock: what they make is written by the process that
holds it.
"""

import contextlib
import errno
import os
import shlex
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from hooks.errors import EmotionLensError
from probes.storage import StorageError

FILE = ".lock"


class FolderInUse(EmotionLensError, RuntimeError):
    """Another command writes to this folder."""


@contextlib.contextmanager
def only_writer(folder: Path, warn: Callable[[str], None]) -> Iterator[None]:
    """Hold a folder that exists; `FolderInUse` says who else does, `StorageError` what failed.

    Where the file system keeps no locks (some network mounts) the caller is warned and goes on.
    """
    path = folder / FILE
    try:
        # Read and write: an exclusive lock over NFS wants a file that is open for both.
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise StorageError(
            f"could not write {path}: {error.strerror}. Choose another folder with "
            "--output_dir=FOLDER."
        ) from error
    with os.fdopen(handle, "r+", encoding="utf-8", errors="replace") as file:
        try:
            _lock(handle)
        except BlockingIOError:
            raise FolderInUse(
                f"{folder} is being written to by {file.read() or 'another command'}. Wait until "
                "it has ended, stop it, or choose another folder with --output_dir=FOLDER. "
                "Nothing was done."
            ) from None
        except OSError as error:
            warn(
                f"the file system of {folder} keeps no locks ({error.strerror}): make sure "
                "yourself that no other command writes there."
            )
        # In place: a new file of this name would be another lock.
        file.truncate()
        file.write(_myself())
        file.flush()
        yield  # closing the file releases the lock; so does a kill


def _lock(handle: int) -> None:
    """Take the lock, or raise: BlockingIOError where another process has it."""
    try:
        import fcntl
    except ImportError:  # Windows
        raise OSError(errno.ENOLCK, "no flock on this system") from None
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _myself() -> str:
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    return f"process {os.getpid()} on {socket.gethostname()} since {since} ({command})"
