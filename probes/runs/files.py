"""What a finished stage left, file by file: ``stages/files/NAME.json``, by path below the run.

Size and content tell whether a file is as it was left; times only spare the reading.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from probes.storage import digest_file, digest_listed, ours, read_object, stamp_of, write_json


@dataclass(frozen=True)
class FileList:
    """Sizes in bytes and SHA-256 of a stage's files, by their paths below the run's folder."""

    files: Mapping[str, tuple[int, str]]

    @classmethod
    def of(cls, paths: Iterable[Path], root: Path) -> "FileList":
        """Look at files as they are now."""
        named = {path.relative_to(root).as_posix(): path for path in paths}
        return cls({name: (it.stat().st_size, digest_file(it)) for name, it in named.items()})

    @classmethod
    def read(cls, path: Path) -> "FileList | None":
        """Read a list; None where there is none, DataError when it is damaged."""
        if not path.is_file():
            return None
        with ours(path):
            content = read_object(path)
            return cls({name: (int(it["bytes"]), it["sha256"]) for name, it in content.items()})

    def write(self, path: Path) -> None:
        """Write the list, whole or not at all."""
        write_json(path, {name: {"bytes": n, "sha256": it} for name, (n, it) in self.files.items()})

    @property
    def digest(self) -> str:
        """Sixteen hex digits over names and contents."""
        return digest_listed({name: digest for name, (_, digest) in self.files.items()})

    def paths(self, root: Path) -> list[Path]:
        """Where the files lie."""
        return [root / name for name in self.files]

    def present(self, root: Path) -> list[Path]:
        """Return the files that are there, whatever they hold now."""
        return [path for path in self.paths(root) if path.is_file()]

    def changed(self, root: Path) -> list[Path]:
        """Return the files that are there and do not hold what was left; each of them is read."""
        return [
            path
            for path, (n_bytes, digest) in zip(self.paths(root), self.files.values(), strict=True)
            if path.is_file() and (path.stat().st_size != n_bytes or digest_file(path) != digest)
        ]

    def stamp(self, root: Path) -> str:
        """Return what changes when a file is touched; none is opened."""
        return stamp_of(self.present(root), root)
