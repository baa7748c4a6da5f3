"""A run's folder: which stages are done, under which settings, from which inputs.

Contract
--------
* A complete stage is skipped. A stage whose settings or inputs are not those it was begun with is
  refused, with the differences and the command that cures it; only what is in `record.MAY_GROW` may
  be raised.
* ``auto`` is what it was when the stage was begun: other weights, precision or kind of device are
  refused.
* `restart` deletes a stage's outputs and those of every later stage, and nothing else.
* A stage may end with parts that failed: later stages go on from what it left, and it is tried
  again.
* No model is loaded to decide any of this.
"""

import importlib.metadata
import platform
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from hooks.errors import InvalidInput, StaleArtifact
from probes.config import Config
from probes.corpus.cells import Cell, OwnTexts, neutral_cells, read_jsonl, story_cells
from probes.runs import record
from probes.runs.record import StageRecord, differences
from probes.stimuli.rating_files import read_norms
from probes.storage import (
    StorageError,
    digest_files,
    digest_of,
    remove_leftovers,
    stamp_of,
    write_json,
)

_FOLDERS = ("stories", "neutral", "activations", "vectors", "analysis", "figures", "stages")
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
        self._own: dict[str, OwnTexts] = {}
        for kind, path in (("stories", config.corpus.stories), ("neutral", config.corpus.neutral)):
            if path is not None:
                self._own[kind] = read_jsonl(path, emotion=kind == "stories")
        if self.brings_corpus:
            self._check_own_emotions()
        if config.validation.norms is not None:
            read_norms(config.validation.norms)  # a file that cannot be read stops before any work

    def _check_own_emotions(self) -> None:
        subset = self.config.generation.emotions_subset
        named = sorted({cell.emotion or "" for cell in self._own["stories"]})
        for name in subset if isinstance(subset, list) else []:
            if name not in named:
                raise InvalidInput(
                    f"generation.emotions_subset: {name!r} is not in {self.config.corpus.stories}; "
                    f"it has: {', '.join(named)}."
                )
        if isinstance(subset, int) and subset > len(named):
            raise InvalidInput(
                f"generation.emotions_subset: expected at most {len(named)}, as many as there are "
                f"in {self.config.corpus.stories}, got {subset}. null takes all."
            )
        if len(self.emotions) < 2:
            raise InvalidInput(
                f"corpus.stories: expected stories of at least two emotions (a vector is a "
                f"difference from the mean over emotions), got {', '.join(self.emotions)}."
            )

    @property
    def brings_corpus(self) -> bool:
        """Whether the texts are the user's own."""
        return "stories" in self._own

    def own_texts(self, kind: str) -> OwnTexts:
        """Return the user's own texts by cell."""
        return self._own[kind]

    @cached_property
    def emotions(self) -> tuple[str, ...]:
        """The run's emotions; of a user's corpus, those of its file, in its order."""
        if not self.brings_corpus:
            return self.config.emotions
        named = list(dict.fromkeys(cell.emotion or "" for cell in self._own["stories"]))
        subset = self.config.generation.emotions_subset
        if isinstance(subset, int):
            return tuple(named[:subset])
        return tuple(name for name in named if subset is None or name in subset)

    @property
    def story_cells(self) -> list[Cell]:
        """Story cells in the order in which they are written and read."""
        if self.brings_corpus:
            chosen = set(self.emotions)
            return [cell for cell in self._own["stories"] if cell.emotion in chosen]
        return story_cells(self.config.emotions, self.config.topics)

    @property
    def neutral_cells(self) -> list[Cell]:
        """Neutral cells in the order in which they are written and read."""
        return (
            list(self._own["neutral"]) if self.brings_corpus else neutral_cells(self.config.topics)
        )

    @property
    def n_clusters(self) -> int:
        """Number of k-means clusters."""
        return self.config.analysis.n_clusters or max(2, min(10, len(self.emotions) // 6))

    def settings_hash(self) -> str:
        """Digest of the settings that decide the numbers; where they are written is not one."""
        return digest_of(self.config.deciding())

    def prepare(self) -> None:
        """Make the run's folder, before any work; StorageError when it cannot be made."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"output_dir: cannot make the folder {self.root}: {error.strerror}. Choose another "
                "with --output_dir=FOLDER."
            ) from error
        for folder in _FOLDERS:
            remove_leftovers(self.root / folder)
        # The folder itself may hold anything else: nothing below it is searched.
        remove_leftovers(self.root, below=False)

    def record_path(self, stage: str) -> Path:
        """Where a stage's record lies."""
        return self.root / "stages" / f"{stage}.json"

    def record(self, stage: str) -> StageRecord | None:
        """Return a stage's record, or None when it was never begun."""
        return record.read(self.record_path(stage))

    def left_by(self, stage: str) -> str | None:
        """Return the digest of what a stage left, or None where it has not ended."""
        ended = self.record(stage)
        return (ended.output_digest or "") if ended is not None and ended.has_ended else None

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
        listed = "\n".join(str(difference) for difference in changed)
        raise StaleArtifact(
            f"stage {stage} in {self.root} was made under other settings:\n{listed}\n"
            f"Nothing was changed. To make it again (and what follows from it): "
            f"python -m probes.run {self.source} --restart {stage}\n"
            "To keep both, choose another folder with --output_dir=FOLDER."
        )

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
        else:
            flags = " ".join(f"--{section}.{it.key}={it.before}" for it in changed)
            cure = f"Go on as it was begun, with {flags}"
        raise StaleArtifact(
            f"stage {stage} in {self.root} was begun with {about['name']} loaded otherwise:\n"
            f"{listed}\n{cure}, or make the stage again: "
            f"python -m probes.run {self.source} --restart {stage}"
        )

    def forget(self, stage: str) -> None:
        """Delete the record of a stage that has made nothing."""
        self.record_path(stage).unlink(missing_ok=True)

    def _begun(self, stage: str) -> StageRecord:
        return self.record(stage) or StageRecord({}, {})

    def finish(self, stage: str, files: Sequence[Path], counts: Any, seconds: float) -> None:
        """Record that a stage has ended, complete unless ``counts["failed"]`` names anything."""
        replace(
            self._begun(stage),
            complete=not counts.get("failed"),
            output_digest=digest_files(files, self.root),
            stamp=stamp_of(files, self.root),
            counts={**counts, "files": len(files)},
            seconds=round(seconds, 2),
            versions=versions(),
        ).write(self.record_path(stage))

    def check_intact(self, stage: str, files: Sequence[Path]) -> None:
        """Raise StaleArtifact for files of a finished stage that changed.

        Same times are not opened.
        """
        ended, stamp = self._begun(stage), stamp_of(files, self.root)
        if stamp == ended.stamp:
            return
        if digest_files(files, self.root) == ended.output_digest:
            replace(ended, stamp=stamp).write(self.record_path(stage))  # a copied folder
            return
        when = self.record_path(stage).stat().st_mtime_ns
        later = [p.relative_to(self.root).as_posix() for p in files if p.stat().st_mtime_ns > when]
        before = ended.counts["files"]
        again = stage if len(files) < before and not later else f"--restart {stage}"
        raise StaleArtifact(
            f"the files of stage {stage} in {self.root} are not those it left: {before} then, "
            f"{len(files)} now, changed since: {', '.join(later[:5]) or 'none'}. Put them back, or "
            f"make them again: python -m probes.run {self.source} {again}"
        )

    def restart(self, stages: Sequence[str], folders: Mapping[str, Sequence[str]]) -> None:
        """Delete the outputs and records of stages; `folders` maps a stage to what it leaves."""
        for stage in stages:
            for name in folders[stage]:
                target = self.root / name
                if target.is_dir() and not target.is_symlink():
                    shutil.rmtree(target)
                else:
                    target.unlink(missing_ok=True)
            self.record_path(stage).unlink(missing_ok=True)

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
