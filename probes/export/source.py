"""The run that is exported, though its folder may have been moved: vectors, texts, records."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hooks.errors import DataError, InvalidInput
from hooks.models.embedded import is_embedded
from hooks.models.local_files import public_name
from probes.config import load_config
from probes.corpus import reference
from probes.corpus.cells import AROUND, Cell, Passage, read_cell
from probes.runs.shipped import ShippedRun
from probes.storage import read_object
from probes.vectors.bundle_file import FILE_NAME
from probes.vectors.emotion_vectors import EmotionVectors


@dataclass(frozen=True)
class Source:
    """A run's folder, and how a cure names its config."""

    root: Path
    config: str
    way: str | None = None
    """Of which way of expression the vectors are that are exported singly; None: the run's own."""
    shipped: str | None = None
    """The name of vectors that come with the package, instead of the folder's."""

    @cached_property
    def vectors(self) -> EmotionVectors:
        """The run's vectors."""
        lie_at = self.shipped or self.root / "vectors" / FILE_NAME
        return EmotionVectors.load(lie_at).using(self.way)

    @cached_property
    def record(self) -> dict[str, Any]:
        """What ``run.json`` says; DataError with the command that makes it."""
        return self._read("run.json")

    @cached_property
    def summary(self) -> dict[str, Any]:
        """What ``analysis/summary.json`` says; raises as `record` does."""
        return self._read("analysis/summary.json")

    def _read(self, file: str) -> Any:
        if not (self.root / file).is_file():
            raise DataError(
                f"{self.root} has no {file}, which a card is written from. Finish the run: "
                f"python -m probes.run {self.config}"
            )
        return read_object(self.root / file)

    def texts(self, kind: str) -> Iterator[dict[str, Any]]:
        """Yield accepted texts (``"stories"`` or ``"neutral"``) by emotion, topic, index."""
        order = {emotion: index for index, emotion in enumerate(self.vectors.emotions)}
        cells = map(_cell, self._cell_files(kind))
        for cell in sorted(cells, key=lambda c: (order.get(c.emotion or "", 0), c.topic)):
            content = read_cell(self.root, cell)
            name = (content.get("writer") or {}).get("name")
            for text in sorted(content["texts"], key=lambda text: text["index"]):
                yield {
                    "emotion": cell.emotion,
                    "topic": cell.topic,
                    "index": text["index"],
                    "text": Passage(text["text"], *(text.get(key, "") for key in AROUND)).whole,
                    "writer": None if name is None else public_name(name),
                    **{key: text.get(key) for key in ("phrasing", "attempt", "trimmed")},
                }

    def has(self, kind: str) -> bool:
        """Whether there are texts of a kind."""
        return bool(self._cell_files(kind))

    def _cell_files(self, kind: str) -> list[Path]:
        return sorted(self.root.glob("stories/*/*.json" if kind == "stories" else "neutral/*.json"))


def _cell(path: Path) -> Cell:
    content = read_object(path)
    try:
        return Cell(content["emotion"], content["topic"])
    except (TypeError, KeyError) as error:
        raise DataError(f"{path} is not a file of texts (missing {error}).") from error


def find_source(named: str, way: str | None = None) -> Source:
    """Find a run by its folder or config; InvalidInput when it has no vectors yet.

    Vectors that come with the package are found by their name, ``embedded:MODEL``.
    """
    if is_embedded(named):
        run = ShippedRun(named, {})
        remade = f"{reference.NAME} --model.name={named} --output_dir={run.root}"
        return Source(run.root, remade, way, named)
    root = Path(named).expanduser()
    if not ((root / "run.json").is_file() or (root / "vectors").is_dir()):
        try:
            root = Path(load_config(named).output_dir).expanduser()
        except (InvalidInput, OSError) as error:  # a folder can be no config
            if not root.is_dir():
                raise InvalidInput(
                    f"no run {named!r}: expected a run's folder (as output/demo), or a config. "
                    f"{error}"
                ) from error
    source = Source(root, "CONFIG" if Path(named).is_dir() else named, way)
    if not (root / "vectors" / FILE_NAME).is_file():
        raise InvalidInput(
            f"{root} has no vectors/{FILE_NAME}. Run the pipeline first: python -m probes.run "
            f"{source.config}"
        )
    return source
