"""Files: written whole or not at all, read with an error that says what is wrong.

Contract: `write_*` writes a temporary file in the target's folder, flushes it and renames it: a
reader, or a killed process, sees the old content or the new. There are no locks: two processes that
write one file write the same bytes. A temporary file's name says whose it is, so that only those
whose writer is dead are removed.
"""

import contextlib
import hashlib
import json
import os
import re
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

from hooks.errors import DataError, EmotionLensError, InvalidInput

LEFTOVER = ".part-"
"""How the names of temporary files begin; host, process id and random letters follow."""

_ABANDONED_AFTER = 24 * 3600
"""Seconds after which no process is still at the writing of one file."""


class StorageError(EmotionLensError, OSError):
    """The disk refused: full, read-only, or not permitted."""


@contextlib.contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that appears whole when the block ends without an error; else StorageError."""
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(
            dir=path.parent, prefix=f"{LEFTOVER}{_host()}-{os.getpid()}-"
        )
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise StorageError(
            f"could not write {path}: {error.strerror or error}. Free some space or choose another "
            "output_dir, then run the same command again: finished work is kept."
        ) from error
    finally:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically, creating its folder; raises as `writing` does."""
    with writing(path) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, with sorted keys, so that equal values give equal bytes."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file; DataError when it is missing, unreadable, truncated or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing. Run the stage that makes it.") from error
    except OSError as error:
        raise DataError(
            f"{path}: expected a file that can be read, got: {error.strerror}. Check what it is "
            "and its permissions, or delete it and run the stage again."
        ) from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path} is damaged or truncated ({error}). Delete it and run the stage again."
        ) from error


def map_leaves(value: Any, change: Callable[[Any], Any]) -> Any:
    """Copy what JSON holds with every leaf changed."""
    if isinstance(value, Mapping):
        return {str(key): map_leaves(inner, change) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [map_leaves(inner, change) for inner in value]
    return change(value)


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname())[:64]


def remove_leftovers(folder: Path, *, below: bool = True) -> None:
    """Delete the temporary files that killed writers left in a folder, and below it if asked.

    A file of a live process stays; of another machine, whose processes cannot be seen from here,
    only what is older than a day goes.
    """
    if folder.is_dir():
        for path in (folder.rglob if below else folder.glob)(f"{LEFTOVER}*"):
            if _is_abandoned(path):
                path.unlink(missing_ok=True)


def _is_abandoned(path: Path) -> bool:
    named = re.fullmatch(rf"{re.escape(LEFTOVER)}(.+)-(\d+)-[^-]+", path.name)
    if named is not None and named[1] == _host() and os.name == "posix":
        return not _is_alive(int(named[2]))
    try:
        return time.time() - path.stat().st_mtime > _ABANDONED_AFTER
    except FileNotFoundError:  # its writer has just finished
        return False


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        pass
    return True


def digest_of(value: Any) -> str:
    """Return sixteen hex digits of the SHA-256 of a JSON value."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def digest_files(paths: Iterable[Path], root: Path) -> str:
    """Return sixteen hex digits over the names and contents of files."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def stamp_of(paths: Iterable[Path], root: Path) -> str:
    """Return sixteen hex digits over the names, sizes and times of files; none is opened."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        status = path.stat()
        name = path.relative_to(root).as_posix()
        digest.update(f"{name}\0{status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def seed_of(*parts: object) -> int:
    """Return a 63-bit seed that depends on its parts alone, the same in every process."""
    text = json.dumps([str(part) for part in parts])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


MAX_LENGTH = 100

_WINDOWS_DEVICES = re.compile(r"con|prn|aux|nul|com[0-9]|lpt[0-9]")


def slug(name: str) -> str:
    """Return the folder name that stands for this name and no other; InvalidInput if empty."""
    if not name.strip():
        raise InvalidInput(f"expected a name with at least one visible character, got {name!r}")
    # surrogatepass: a half surrogate from a broken file is still a name of its own.
    data = name.encode("utf-8", errors="surrogatepass")
    safe = re.sub(rb"[^a-z0-9-]", lambda it: b"_" if it[0] == b" " else b"%%%02x" % it[0][0], data)
    text = safe.decode("ascii")
    if text.startswith("-") or _WINDOWS_DEVICES.fullmatch(text):
        text = f"%{ord(text[0]):02x}{text[1:]}"
    if len(text) <= MAX_LENGTH:
        return text
    digest = sha256(data).hexdigest()
    return f"{text[: MAX_LENGTH - 1 - len(digest)]}~{digest}"
