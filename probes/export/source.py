"""The run that is exported: its folder, vectors, texts, and what it says of itself.

Contract: reads; the folder may have been moved, and the models need not be there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hooks.errors import DataError, InvalidInput
from hooks.models.local_files import public_name
from probes.config import config_folder, load_config
from probes.corpus.cells import Cell, read_cell
from probes.storage import read_json
from probes.vectors.emotion_vectors import FILE_NAME, EmotionVectors


@dataclass(frozen=True)
class Source:
    """A run's folder, and how it was named."""

    root: Path
    name: str

    @cached_property
    def vectors(self) -> EmotionVectors:
        """The run's vectors."""
        return EmotionVectors.load(self.root / "vectors" / FILE_NAME)

    @cached_property
    def record(self) -> dict[str, Any]:
        """What ``run.json`` says.

        Raises
        ------
        DataError
            When it is not there; with the command that makes it.
        """
        return self._read("run.json")

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What ``analysis/summary.json`` says; raises as `record` does."""
        return self._read("analysis/summary.json")

    def _read(self, file: str) -> Any:
        if not (self.root / file).is_file():
            raise DataError(
                f"{self.root} has no {file}, which a card is written from. Finish the run: "
                f"python -m probes.run {_config_of(self.name)}"
            )
        return read_json(self.root / file)

    def texts(self, kind: str) -> Iterator[dict[str, Any]]:
        """Yield accepted texts with how they were made, ``"stories"`` or ``"neutral"``.

        Emotions come in the order of the vectors, topics by name, texts by index.
        """
        order = {emotion: place for place, emotion in enumerate(self.vectors.emotions)}
        cells = [self._cell(path) for path in self._cell_files(kind)]
        for cell in sorted(cells, key=lambda c: (order.get(c.emotion or "", 0), c.topic)):
            content = read_cell(self.root, cell)
            writer = content.get("writer") or {}
            name = writer.get("name")
            for text in sorted(content["texts"], key=lambda text: text["index"]):
                yield {
                    "emotion": cell.emotion,
                    "topic": cell.topic,
                    "index": text["index"],
                    "text": text["text"],
                    "writer": None if name is None else public_name(name),
                    "phrasing": text.get("phrasing"),
                    "attempt": text.get("attempt"),
                    "trimmed": text.get("trimmed"),
                }

    def _cell_files(self, kind: str) -> Sequence[Path]:
        pattern = "stories/*/*.json" if kind == "stories" else "neutral/*.json"
        return sorted(self.root.glob(pattern))

    def _cell(self, path: Path) -> Cell:
        content = read_json(path)
        try:
            return Cell(content["emotion"], content["topic"])
        except (TypeError, KeyError) as error:
            raise DataError(f"{path} is not a file of texts (missing {error}).") from error

    def has(self, kind: str) -> bool:
        """Whether there are texts of a kind."""
        return bool(self._cell_files(kind))


def find_source(named: str) -> Source:
    """Find a run by its folder, or by the config that says where its folder is.

    Raises
    ------
    InvalidInput
        When there is no such run, or it has no vectors yet; with the command that makes them.
    """
    root = Path(named).expanduser()
    if not _is_run(root):
        try:
            root = Path(load_config(named).output_dir).expanduser()
        except (InvalidInput, OSError) as error:  # a folder can be no config
            if not root.is_dir():
                known = ", ".join(sorted(path.stem for path in config_folder().glob("*.yaml")))
                raise InvalidInput(
                    f"no run {named!r}: expected a run's folder (as output/demo), or a config: a "
                    f"YAML file, or one of {known}. {error}"
                ) from error
    if not (root / "vectors" / FILE_NAME).is_file():
        raise InvalidInput(
            f"{root} has no vectors/{FILE_NAME}. Run the pipeline first: python -m probes.run "
            f"{_config_of(named)}"
        )
    return Source(root, named)


def _is_run(folder: Path) -> bool:
    return (folder / "run.json").is_file() or (folder / "vectors").is_dir()


def _config_of(named: str) -> str:
    """How a config is named in a cure: as it was named, or, of a folder, left to the reader."""
    return "CONFIG" if Path(named).is_dir() else named
