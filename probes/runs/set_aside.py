"""Results that a restart replaces: set aside, dropped when the new ones stand, or put back.

They lie in ``.replaced`` of the run's folder as they lay in it. Files go before records: a process
that is killed in between leaves a stage whose record says that files are missing.
"""

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from hooks.errors import InvalidInput
from probes.storage import StorageError

FOLDER = ".replaced"
Files = Mapping[str, Sequence[Path]]
"""What belongs to each stage, in the order in which it goes: results first, records last."""


def set_aside(root: Path, files: Files) -> None:
    """Move what belongs to stages aside; of what lies there already, the older is kept."""
    with _explained(root):
        for owned in files.values():
            for path in owned:
                kept = root / FOLDER / path.relative_to(root)
                if os.path.lexists(kept):
                    path.unlink(missing_ok=True)
                elif os.path.lexists(path):
                    _move(path, kept)
            _remove_empty(root, (path.parent for path in owned))


def put_back(root: Path) -> list[Path]:
    """Move everything back that was set aside; return the files."""
    aside = root / FOLDER
    kept = sorted(path for path in aside.rglob("*") if path.is_symlink() or path.is_file())
    kept.sort(key=lambda path: path.relative_to(aside).parts[0] == "stages")
    with _explained(root):
        for path in kept:
            _move(path, root / path.relative_to(aside))
        drop(root)
    return [root / path.relative_to(aside) for path in kept]


def drop(root: Path) -> None:
    """Delete what was set aside."""
    with _explained(root):
        if (root / FOLDER).is_dir():
            shutil.rmtree(root / FOLDER)


def is_there(root: Path) -> bool:
    """Whether anything is set aside."""
    return (root / FOLDER).is_dir()


def check_links(root: Path, leaves: Iterable[str]) -> None:
    """Refuse to replace what lies in a folder that is a link: it may be another run's as well."""
    for name in leaves:
        parts = Path(name).parts
        for depth in range(1, len(parts) + 1):
            path = root.joinpath(*parts[:depth])
            if path.is_symlink() and path.is_dir():
                raise InvalidInput(
                    f"{path} is a link to {path.resolve()}: what lies there is not deleted through "
                    "a link. Delete the old results there yourself, or remove the link, and give "
                    "the command again. Nothing was changed."
                )


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(source, target)  # a folder of the run may be a mount of its own


def _remove_empty(root: Path, folders: Iterable[Path]) -> None:
    for folder in sorted(set(folders), key=lambda it: -len(it.parts)):
        for path in (folder, *folder.parents):
            if path == root or root not in path.parents:
                break
            with contextlib.suppress(OSError):  # something else lies there
                path.rmdir()


@contextlib.contextmanager
def _explained(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"could not move results in {root}: {error.strerror or error} ({error.filename}). "
            "Check the folder's permissions, or choose another with --output_dir=FOLDER."
        ) from error
