"""A run's folder: which stages are done, under which settings, from which inputs.

Contract
--------
* A complete stage is skipped. A stage whose settings or inputs are not those it was begun with is
  refused, with the differences and the command that cures it; only what is in `record.MAY_GROW` may
  be raised.
* ``auto`` is what it was when the stage was begun: other weights, precision or kind of device are
  refused.
* What a stage left is known file by file, by content: what is damaged is made again, alone. A
  restart sets a stage's own files aside until the new ones stand, and touches nothing else.
* A stage may end with parts that failed: later stages go on from what it left, and it is tried
  again.
* No model is loaded to decide any of this.
"""

import contextlib
import importlib.metadata
import json
import platform
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hooks.errors import InvalidInput, StaleArtifact
from probes.config import Config, Way, valid_keys
from probes.corpus.cells import Cell, read_corpus
from probes.runs import record
from probes.runs.files import FileList
from probes.runs.record import Difference, StageRecord, differences
from probes.runs.reporting import duration
from probes.runs.texts import RunTexts
from probes.storage import (
    StorageError,
    digest_files,
    digest_of,
    make_folder,
    remove_leftovers,
    stamp_of,
    write_json,
)

_TEXTS = ("stories", "said", "neutral", "matched")
_FOLDERS = (*_TEXTS, "activations", "vectors", "analysis", "figures", "stages")
_NAMES = (*_FOLDERS, "report.html", "report.md", "run.json")
"""What a run writes directly below its folder."""
_PINNED = ("fingerprint", "dtype", "device", "backend")
"""What is resolved when a model is loaded, and decides the numbers."""
PACKAGES = ("emotion-lens", "torch", "transformers", "transformer-lens", "numpy", "scikit-learn")


def versions() -> dict[str, str]:
    """Versions of python and of the packages that decide the numbers."""
    installed = {it: next(iter(importlib.metadata.distributions(name=it)), None) for it in PACKAGES}
    known = {name: it.version if it else "not installed" for name, it in installed.items()}
    return {"python": platform.python_version(), **known}


class Run:
    """One run: its config and its folder."""

    def __init__(self, config: Config, source: str) -> None:
        self.config = config
        self.source = source
        """How the config was named on the command line; shown in cures."""
        self.root = Path(config.output_dir).expanduser()
        self.texts = RunTexts(config, self._stages / "corpus")
        self.texts.check()

    @property
    def brings_corpus(self) -> bool:
        """Whether the texts are there, and not written by the run."""
        return self.texts.is_brought

    @property
    def emotions(self) -> tuple[str, ...]:
        """The run's emotions; of a corpus, those of its stories, in their order."""
        return self.texts.emotions

    @property
    def way(self) -> Way:
        """Which way of expression the vectors in use are learned from."""
        return self.config.vectors.way or ("both" if self.texts.frames else "shown")

    @property
    def story_cells(self) -> list[Cell]:
        """Story cells in the order in which they are written and read."""
        return self.texts.story_cells

    @property
    def neutral_cells(self) -> list[Cell]:
        """Neutral cells in the order in which they are written and read."""
        return self.texts.neutral_cells

    @property
    def vectors_at(self) -> Path | str:
        """What `EmotionVectors.load` takes."""
        return self.root

    def neutral_texts(self) -> list[str]:
        """Return the neutral texts that stand alone, in the order in which they are read."""
        return [text.text for text in read_corpus(self.root, self.neutral_cells)]

    @property
    def n_clusters(self) -> int:
        """Number of k-means clusters."""
        return self.config.analysis.n_clusters or max(2, min(10, len(self.emotions) // 6))

    def settings_hash(self) -> str:
        """Digest of the settings that decide the numbers; where they are written is not one."""
        return digest_of(self.config.deciding())

    def check_folder(self) -> None:
        """Refuse a folder that is no run's and holds what a run would write over."""
        if any(self._stages.glob("*.json")):
            return
        taken = [name for name in _NAMES if _holds(self.root / name)]
        if taken:
            raise InvalidInput(
                f"output_dir: expected a run's folder, a new or an empty one, got {self.root}, "
                f"which holds {', '.join(taken)} and no record of a run. Nothing was changed: "
                "choose another with --output_dir=FOLDER."
            )

    def prepare(self) -> None:
        """Make the run's folder, before any work; StorageError when it cannot be made."""
        make_folder(self.root)

    def remove_leftovers(self) -> None:
        """Remove what killed writers left in the run's folders, and nothing else below it."""
        for folder in _FOLDERS:
            remove_leftovers(self.root / folder)
        remove_leftovers(self.root, below=False)

    @property
    def _stages(self) -> Path:
        return self.root / "stages"

    def record_path(self, stage: str) -> Path:
        """Where a stage's record lies."""
        return record.path_of(self.root, stage)

    def list_path(self, stage: str) -> Path:
        """Where the list of a finished stage's files lies."""
        return self._stages / "files" / f"{stage}.json"

    def record(self, stage: str) -> StageRecord | None:
        """Return a stage's record, or None when it was never begun."""
        return record.read(self.record_path(stage))

    def left_by(self, stage: str) -> str | None:
        """Return the digest of what a stage left, or None where it has not ended."""
        return record.left_by(self.root, stage)

    def input_digests(self, upstream: Sequence[str]) -> dict[str, str]:
        """Digests of the outputs of earlier stages; StaleArtifact when one is not complete."""
        digests = {}
        for stage in upstream:
            digest = self.left_by(stage)
            if digest is None:
                raise StaleArtifact(
                    f"stage {stage} is not complete in {self.root}. Run it first: "
                    f"python -m probes.run {self.source} {stage}"
                )
            digests[stage] = digest
        return digests

    def check_unchanged(
        self, stage: str, settings: Mapping[str, Any], inputs: Mapping[str, str]
    ) -> None:
        """Refuse to go on with a stage begun under other settings or from other inputs."""
        begun = self.record(stage)
        if begun is None or not (changed := record.refusals(begun, settings, inputs)):
            return
        raise StaleArtifact(
            f"stage {stage} in {self.root} was made under other settings:\n"
            f"{self.ways_back(stage, changed)}"
        )

    def ways_back(self, stage: str, changed: Sequence[Difference]) -> str:
        """List what differs, how to go on as a stage was begun, and what a new start costs."""
        keys = {it.key: it.before for it in changed}
        flags = [f"--{key}={_spelled(it)}" for key, it in keys.items() if key in valid_keys()]
        begun = self._begun(stage)
        n_files, seconds = begun.counts.get("files", "its"), begun.seconds
        cost = f"{n_files} files" + (f" made in {duration(seconds)}" if seconds else "")
        lines = [str(difference) for difference in changed]
        lines.append("Nothing was changed.")
        if flags and len(flags) == len(keys):
            lines.append(f"To go on as it was begun, add {shlex.join(flags)}")
        elif any(it.key.endswith("corpus.file") for it in changed):
            lines.append("To go on as it was begun, give the corpus with the same content.")
        lines.append(
            f"To make it and what follows from it again (the old results, {cost}, are set aside "
            f"until the new ones stand): python -m probes.run {self.source} --restart {stage}"
        )
        lines.append("To keep both, choose another folder with --output_dir=FOLDER.")
        return "\n".join(lines)

    def begin(self, stage: str, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> None:
        """Record under which settings a stage was begun, or is gone on with."""
        begun = self.record(stage)
        if begun is None:
            begun = StageRecord(dict(settings), inputs)
        elif any(it.grew for it in record.changes(begun, settings)):
            begun = replace(begun, settings=dict(settings), complete=False)
        begun.write(self.record_path(stage))

    def pin_model(self, stage: str, section: str, about: Mapping[str, Any]) -> None:
        """Record which model a stage was begun with and how it was loaded, and refuse another.

        A name or a folder can hold other weights than yesterday, and ``auto`` is another dtype on
        another machine. `section` is where the config sets dtype and device; `about` holds name and
        fingerprint, of a model loaded here also dtype, device and backend. Raises StaleArtifact.
        """
        begun, now = self._begun(stage), {key: about[key] for key in _PINNED if key in about}
        if begun.model is None:
            replace(begun, model=now).write(self.record_path(stage))
            return
        changed = differences(begun.model, now)
        if not changed:
            return
        listed = "\n".join(str(difference) for difference in changed)
        if begun.model["fingerprint"] != now["fingerprint"]:
            cure = "Put the weights back"
        elif str(begun.model.get("backend")).startswith("vllm "):
            cure = f"Put {begun.model['backend']} and {begun.model['dtype']} back"
        else:
            flags = " ".join(f"--{section}.{it.key}={it.before}" for it in changed)
            cure = f"Go on as it was begun, with {flags}"
        raise StaleArtifact(
            f"stage {stage} in {self.root} was begun with {about['name']} loaded otherwise:\n"
            f"{listed}\n{cure}, or make the stage again: "
            f"python -m probes.run {self.source} --restart {stage}"
        )

    def unit_texts(self, stage: str) -> int:
        """Return how many texts a stage writes together: as it began, else as the config says."""
        begun = self.record(stage)
        return (begun and begun.unit_texts) or self.config.generation.batch_size

    def pin_unit_texts(self, stage: str, unit_texts: int) -> None:
        """Record how many texts a stage writes together, so that it goes on with as many."""
        replace(self._begun(stage), unit_texts=unit_texts).write(self.record_path(stage))

    def forget(self, stage: str) -> None:
        """Delete the record of a stage that has made nothing."""
        self.record_path(stage).unlink(missing_ok=True)

    def _begun(self, stage: str) -> StageRecord:
        return self.record(stage) or StageRecord({}, {})

    def note_part(self, stage: str, name: str, seconds: float) -> None:
        """Record that a part of a stage is done, and how long it took."""
        begun = self._begun(stage)
        parts = {**begun.parts, name: round(seconds, 2)}
        replace(begun, parts=parts).write(self.record_path(stage))

    def finish(self, stage: str, files: Sequence[Path], counts: Any, seconds: float) -> None:
        """Record that a stage has ended, complete unless ``counts["failed"]`` names anything."""
        left = FileList.of(files, self.root)
        left.write(self.list_path(stage))
        replace(
            self._begun(stage),
            complete=not counts.get("failed"),
            output_digest=left.digest,
            stamp=stamp_of(files, self.root),
            counts={**counts, "files": len(files)},
            seconds=round(seconds, 2),
            versions=versions(),
        ).write(self.record_path(stage))

    def left_files(self, stage: str) -> FileList | None:
        """Return what a finished stage left; None where it is not known file by file."""
        left, ended = FileList.read(self.list_path(stage)), self._begun(stage)
        # One that is not of what has ended is of no use.
        is_of = left is None or not ended.has_ended or left.digest == ended.output_digest
        return left if is_of else None

    def changed_files(self, stage: str, files: Sequence[Path]) -> list[Path]:
        """Return the files of a finished stage that do not hold what it left in them.

        Nothing is opened where names, sizes and times are the same. `files` are those that are
        there, for a stage of an earlier version, of which one digest is known for all.
        """
        ended, left = self._begun(stage), self.left_files(stage)
        if not ended.has_ended:
            return []
        stamp = stamp_of(files, self.root) if left is None else left.stamp(self.root)
        if stamp == ended.stamp:
            return []
        if left is None and digest_files(files, self.root) != ended.output_digest:
            return list(files) if len(files) == ended.counts.get("files") else []
        changed = [] if left is None else left.changed(self.root)
        if not changed:  # a copied folder
            with contextlib.suppress(StorageError):  # which may be read-only
                replace(ended, stamp=stamp).write(self.record_path(stage))
        return changed

    def check_intact(self, stage: str, files: Sequence[Path]) -> None:
        """Raise StaleArtifact for files of a finished stage that are lost or damaged."""
        changed, left = self.changed_files(stage, files), self.left_files(stage)
        lost = [] if left is None else sorted({*left.paths(self.root)} - {*left.present(self.root)})
        if not changed and not lost and len(files) >= self._begun(stage).counts.get("files", 0):
            return
        named = [path.relative_to(self.root).as_posix() for path in (*changed, *lost)]
        raise StaleArtifact(
            f"in {self.root}, {len(changed)} files of stage {stage} have changed and "
            f"{len(lost)} are lost: {', '.join(named[:5])}. Put them back, or make these again and "
            f"nothing else: python -m probes.run {self.source} {stage}"
        )

    def write_summary(self, stages: Sequence[str], failed: Mapping[str, str] | None = None) -> None:
        """Write ``run.json``: resolved config, versions, every stage's record, and what failed."""
        records = {stage: self.record(stage) for stage in stages}
        config = self.config.model_dump(mode="json")
        write_json(
            self.root / "run.json",
            {
                "config": config,
                "config_hash": self.settings_hash(),
                "versions": versions(),
                "stages": {name: it.to_json() for name, it in records.items() if it is not None},
                **({"failed": dict(failed)} if failed else {}),
            },
        )


def _holds(path: Path) -> bool:
    """Whether there is a file, or a folder with anything in it."""
    return any(path.iterdir()) if path.is_dir() else path.exists()


def _spelled(value: Any) -> str:
    return str(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
