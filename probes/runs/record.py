"""What is known of one stage of a run: its settings, what it was made from, what it has left.

Contract: `state` and `changes` are pure, and they alone decide what is skipped, gone on with,
refused or shown; `read` and `StageRecord.write` alone touch files (``stages/NAME.json``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from probes.storage import ours, read_json, write_json

State = Literal["missing", "begun", "stale", "done"]
MAY_GROW = ("generation.max_attempts",)
"""Settings under whose larger value everything made under a smaller one stays as it is."""


@dataclass(frozen=True)
class Difference:
    """One setting that is not what it was."""

    key: str
    before: Any
    now: Any

    @property
    def grew(self) -> bool:
        """Whether a setting that may be raised was raised."""
        return self.key in MAY_GROW and self.now > self.before

    def __str__(self) -> str:
        return f"  {self.key}: was {self.before!r}, now {self.now!r}"


def differences(before: Any, now: Any, prefix: str = "") -> list[Difference]:
    """List the leaves in which two nested mappings differ."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        return [
            difference
            for key in sorted({*before, *now})
            for difference in differences(
                before.get(key), now.get(key), f"{prefix}.{key}" if prefix else str(key)
            )
        ]
    return [] if before == now else [Difference(prefix, before, now)]


@dataclass(frozen=True)
class StageRecord:
    """One stage: the settings and inputs it was begun with, and once it has ended what it left."""

    settings: Mapping[str, Any]
    inputs: Mapping[str, str]
    complete: bool = False
    model: Mapping[str, Any] | None = None
    batch_tokens: int | None = None
    """Padded tokens of a pass, of a stage begun when they were still measured."""
    unit_texts: int | None = None
    """Texts written together, of a stage whose machine was timed when it began."""
    output_digest: str | None = None
    stamp: str | None = None
    """Names, sizes and times of its outputs."""
    counts: Mapping[str, Any] = field(default_factory=dict)
    """What it made; ``files`` is their number, ``failed`` what went wrong, by name."""
    seconds: float | None = None
    parts: Mapping[str, float] = field(default_factory=dict)
    """Seconds of the parts that are done, by name, of a stage that goes on from part to part."""
    versions: Mapping[str, str] | None = None

    @property
    def failed(self) -> Mapping[str, str]:
        """Parts that failed when it last ended, and what they said."""
        return self.counts.get("failed") or {}

    @property
    def has_ended(self) -> bool:
        """Whether later stages may go on from what it left."""
        return self.complete or bool(self.failed)

    def to_json(self) -> dict[str, Any]:
        """Return plain values; what is not known yet is left out."""
        values = {it.name: getattr(self, it.name) for it in fields(self)}
        begun_with = ("settings", "inputs")
        return {
            name: it
            for name, it in values.items()
            if name in begun_with or (it is not None and it != {})
        }

    def write(self, path: Path) -> None:
        """Write the record, whole or not at all."""
        write_json(path, self.to_json())


def path_of(root: Path, stage: str) -> Path:
    """Where a stage's record lies in a run's folder."""
    return root / "stages" / f"{stage}.json"


def left_by(root: Path, stage: str) -> str | None:
    """Return the digest of what a stage left, or None where it has not ended."""
    ended = read(path_of(root, stage))
    return (ended.output_digest or "") if ended is not None and ended.has_ended else None


def read(path: Path) -> StageRecord | None:
    """Read a record; None where the stage was never begun, DataError when it is damaged."""
    if not path.exists():
        return None
    with ours(path):
        content = read_json(path)
        known = {it.name: content[it.name] for it in fields(StageRecord) if it.name in content}
        record = StageRecord(**known)
        for name in ("settings", "inputs", "counts"):
            if not isinstance(getattr(record, name), Mapping):
                raise TypeError(f"{name} is {getattr(record, name)!r}")
    return record


def changes(record: StageRecord, settings: Mapping[str, Any]) -> list[Difference]:
    """List settings that are not those a stage was begun with (``auto``: what it resolved to)."""
    pinned = record.model or {}

    def is_resolved(difference: Difference) -> bool:
        resolved = pinned.get(difference.key.rpartition(".")[2])
        # Compared as tuples: a setting may be a list, which no set can hold.
        both = (difference.before, difference.now)
        return both in (("auto", resolved), (resolved, "auto"))

    listed = differences(record.settings, dict(settings))
    return [difference for difference in listed if not is_resolved(difference)]


def state(
    record: StageRecord | None,
    settings: Mapping[str, Any],
    inputs: Mapping[str, str] | None,
    n_files: int,
) -> State:
    """Tell where a stage stands.

    ``stale`` when it was begun with other settings or from other inputs (None: an earlier stage has
    not ended; a raised setting of `MAY_GROW` only makes it ``begun``), ``done`` when it is complete
    and all of its `n_files` outputs are there.
    """
    if record is None:
        return "missing"
    changed = changes(record, settings)
    if inputs is None or record.inputs != inputs or any(not it.grew for it in changed):
        return "stale"
    whole = record.complete and not changed and n_files == record.counts.get("files")
    return "done" if whole else "begun"


def refusals(
    record: StageRecord, settings: Mapping[str, Any], inputs: Mapping[str, str]
) -> Sequence[Difference]:
    """List why a stage is stale."""
    changed = [it for it in changes(record, settings) if not it.grew]
    return [*changed, *differences(record.inputs, inputs, "input")]
