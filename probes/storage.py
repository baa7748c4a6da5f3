"""Files: written whole or not at all, read with an error that says what is wrong.

Contract: `write_*` writes a temporary file in the target's folder, flushes it and renames it: a
reader, or a killed process, sees the old content or the new. A temporary file's name says whose it
is, so that only those whose writer is dead are removed. JSON holds finite numbers alone, and no
character inside it ends a line for one reader and not for another.
"""

import codecs
import contextlib
import hashlib
import json
import os
import re
import secrets
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import IO, Any

import psutil

from hooks.errors import DataError, EmotionLensError, InvalidInput

LEFTOVER = ".part-"
"""How the names of temporary files begin; host, process id and random letters follow."""

_ABANDONED_AFTER = 24 * 3600
"""Seconds after which no process is still at the writing of one file."""
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
"""How JSON spells half of a surrogate pair, or a whole one."""
_LINE_ENDS = re.compile("[\x85\u2028\u2029]")
"""Characters at which some readers of lines end one; in JSON they stand in strings alone."""
_swept: set[Path] = set()


class StorageError(EmotionLensError, OSError):
    """The disk refused: full, read-only, or not permitted."""


@contextlib.contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that appears whole when the block ends without an error; else StorageError."""
    temporary = path.with_name(f"{LEFTOVER}{_host()}-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep_once(path.parent)
        # Not `tempfile`, whose files no other user may read: a new file follows the umask.
        handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise StorageError(
            f"could not write {path}: {error.strerror or error}. Free some space or choose another "
            "folder, then run the same command again: finished work is kept."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder that is to be written to; StorageError when it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"cannot make the folder {folder}: {error.strerror}. Choose another with "
            "--output_dir=FOLDER, or --output=FOLDER."
        ) from error


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically, creating its folder; raises as `writing` does."""
    with writing(path) as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, with sorted keys, so that equal values give equal bytes."""
    write_text(path, to_json(value, indent=1, sort_keys=True) + "\n")


def to_json(value: Any, **how: Any) -> str:
    """Spell a value as JSON without what line readers disagree on; DataError unless finite."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, **how)
    except ValueError as error:
        raise DataError(
            "expected finite numbers, got one that is not, as where scores are constant or missing."
        ) from error
    return _LINE_ENDS.sub(lambda it: f"\\u{ord(it[0]):04x}", text)


def decode(content: bytes) -> str:
    """Read UTF-8, with or without a byte order mark; ValueError that names UTF-16, or the byte."""
    unmarked = len(content) > 1 and content[:2].count(0) == 1
    if unmarked or content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError("this is UTF-16; make it UTF-8: iconv -f UTF-16 -t UTF-8 FILE > NEW")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"byte {content[error.start]:#04x} is not UTF-8; if this is Windows-1252, make it "
            "UTF-8: iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW"
        ) from error


def from_json(text: str | bytes) -> Any:
    """Read JSON; ValueError also where it is nested too deeply, or half of a character is spelled.

    Half of a surrogate pair can be spelled in JSON, and neither stored nor tokenized.
    """
    spelled = decode(text) if isinstance(text, bytes) else text
    try:
        value = json.loads(spelled)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if _HALF.search(spelled):
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError as error:
            half = ascii(error.object[error.start])[1:-1]
            raise ValueError(
                f"{half} is half of a surrogate pair, no character; jq -c . FILE > NEW puts a mark "
                "in its place"
            ) from None
    return value


def parse_line(line: bytes, where: str) -> Any:
    """Read one line of a file of JSON lines; InvalidInput that says where, what and the cure."""
    try:
        return from_json(line)
    except ValueError as error:
        why = str(error)
        if isinstance(error, json.JSONDecodeError):
            why = f"{error.msg} at character {error.colno}"
        items = {b"[": ".[]", b"[{": ".[]", b"{": "."}.get(line.strip())
        cure = f" To make lines of JSON that spans several: jq -c '{items}' FILE > NEW."
        start = repr(line[:40].decode("utf-8", "replace").strip())
        raise InvalidInput(
            f"{where}: expected JSON on one line, got {start} ({why}).{cure if items else ''}"
        ) from error


def read_json(path: Path) -> Any:
    """Read a JSON file; DataError when it is missing, unreadable, truncated or not JSON."""
    try:
        return from_json(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing. Run the stage that makes it.") from error
    except OSError as error:
        raise DataError(
            f"{path}: expected a file that can be read, got: {error.strerror}. Check what it is "
            "and its permissions, or delete it and run the stage again."
        ) from error
    except ValueError as error:
        raise DataError(
            f"{path} is damaged or truncated ({error}). Delete it and run the stage again."
        ) from error


def read_object(path: Path, *keys: str) -> dict[str, Any]:
    """Read a JSON file that holds an object with these keys; raises as `read_json`, and if not."""
    content = read_json(path)
    with ours(path):
        if not isinstance(content, dict):
            raise TypeError(f"it is a {type(content).__name__}")
        for key in keys:
            content[key]  # raises
    return content


@contextlib.contextmanager
def ours(path: Path) -> Iterator[None]:
    """Turn what the use of a file raises that is JSON but not ours into one error with the cure."""
    try:
        yield
    except EmotionLensError:
        raise
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise DataError(
            f"{path}: expected what this project writes there, got something else "
            f"({type(error).__name__}: {error}). Put it back, or delete it and run the stage again."
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


def _sweep_once(folder: Path) -> None:
    """Remove killed writers' files wherever something is written, at the first time."""
    if folder not in _swept:
        _swept.add(folder)
        remove_leftovers(folder, below=False)


def _is_abandoned(path: Path) -> bool:
    named = re.fullmatch(rf"{re.escape(LEFTOVER)}(.+)-(\d+)-[^-]+", path.name)
    try:
        changed = path.stat().st_mtime
    except FileNotFoundError:  # its writer has just finished
        return False
    if named is None or named[1] != _host():
        return time.time() - changed > _ABANDONED_AFTER
    try:  # a process that is younger than the file has only got the number of its writer
        return psutil.Process(int(named[2])).create_time() > changed + 1
    except (psutil.NoSuchProcess, OverflowError):
        return True
    except psutil.AccessDenied:  # another user's
        return False


def digest_of(value: Any) -> str:
    """Return sixteen hex digits of the SHA-256 of a JSON value."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_by_content(path: Path, recorded: str | None) -> str:
    """Return sixteen hex digits of a file's content: its name and place are no part of it.

    `recorded` is returned where it is the same content, spelled as earlier versions did, with the
    name; and where the file is gone, for what it held has been used.
    """
    if not path.is_file():
        if recorded is None:
            raise InvalidInput(f"{str(path)!r} not found: expected a file.")
        return recorded
    sha256 = digest_file(path)
    before = digest_listed({path.name: sha256})
    return before if recorded == before else sha256[:16]


def digest_files(paths: Iterable[Path], root: Path) -> str:
    """Return sixteen hex digits over the names and contents of files."""
    return digest_listed({path.relative_to(root).as_posix(): digest_file(path) for path in paths})


def digest_listed(digests: Mapping[str, str]) -> str:
    """Return sixteen hex digits over the names of files and the digests of their contents."""
    whole = hashlib.sha256()
    # As paths are sorted: part by part.
    for name in sorted(digests, key=lambda it: it.split("/")):
        whole.update(f"{name}\0".encode())
        whole.update(bytes.fromhex(digests[name]))
    return whole.hexdigest()[:16]


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
