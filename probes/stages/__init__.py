"""The stages of a run: their order, settings, inputs and outputs.

Contract: a stage is a function of a `Run` that reads what earlier stages left and leaves files of
its own. Importing this package does not import torch: a stage's code is loaded when it runs.
"""

import difflib
import importlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hooks.errors import EmotionLensError, InvalidInput
from probes.experiments import EXPERIMENTS, Entry, find_entries
from probes.runs import set_aside as aside
from probes.runs.folder import Run
from probes.runs.models import Models
from probes.runs.record import StageRecord, State, state
from probes.runs.reporting import Reporter
from probes.stages.settings import SETTINGS
from probes.storage import ours, read_object


@dataclass(frozen=True)
class Stage:
    """One step of the pipeline."""

    name: str
    code: str
    """``module:function`` below `probes.stages`; called with (run, models, reporter) -> counts."""
    upstream: tuple[str, ...]
    leaves: tuple[str, ...]
    """Files and folders below the run's folder that belong to this stage alone."""
    summary: str
    names: str = r"[^.].*"
    """What the names of its files below a folder look like; others are not its own."""
    is_view: bool = False
    """Whether it only shows what others have left: it is made again when that changes."""

    def settings(self, run: Run) -> dict[str, Any]:
        """Return the settings that decide this stage's outputs."""
        return SETTINGS[self.name](run)


_CELL_NAMES = r"[0-9a-f]{12}\.json"
_TEXTS = ("generate-stories", "generate-neutral")
_BEFORE_REPORT = (
    *(*_TEXTS, "extract-activations", "compute-vectors"),
    *("analyze", "logit-lens", "validate", "visualize"),
)

STAGES: tuple[Stage, ...] = (
    Stage(
        "generate-stories",
        "write_texts:generate_stories",
        (),
        ("stories", "said"),
        "stories of every emotion on every topic, written or from a corpus",
        _CELL_NAMES,
    ),
    Stage(
        "generate-neutral",
        "write_texts:generate_neutral",
        (),
        ("neutral", "matched"),
        "emotionally neutral texts, written or from a corpus",
        _CELL_NAMES,
    ),
    Stage(
        "extract-activations",
        "extract_activations:extract_activations",
        _TEXTS,
        ("activations",),
        "read resid_post and average it over each text's tokens",
        r"(stories|single|said|neutral|matched)-\d+\.safetensors|index\.json",
    ),
    Stage(
        "compute-vectors",
        "compute_vectors:compute_vectors",
        ("extract-activations",),
        ("vectors",),
        "mean difference, neutral components projected out",
        r"emotion_vectors\.safetensors",
    ),
    Stage(
        "analyze",
        "analyze:analyze",
        ("compute-vectors",),
        ("analysis/geometry.json", "analysis/layers.json", "analysis/pca.csv"),
        "cosine, PCA, k-means, UMAP; all layers compared",
    ),
    Stage(
        "logit-lens",
        "logit_lens:logit_lens",
        ("compute-vectors",),
        ("analysis/logit_lens.json",),
        "read the vectors through the unembedding",
    ),
    Stage(
        "validate",
        "validate:validate",
        ("compute-vectors", "analyze"),
        (*(entry.file for entry in EXPERIMENTS), "analysis/scorecard.json"),
        "experiments that could prove the vectors wrong, each beside its controls",
    ),
    Stage(
        "visualize",
        "visualize:visualize",
        ("generate-stories", "analyze", "logit-lens", "validate"),
        ("figures",),
        "figures as PNG and interactive HTML",
        r"[^.].*\.(png|html|min\.js)",
        is_view=True,
    ),
    Stage(
        "report",
        "write_report:report",
        _BEFORE_REPORT,
        ("report.html", "report.md"),
        "one page that says what was found and how far to trust it",
        is_view=True,
    ),
)
NAMES = tuple(stage.name for stage in STAGES)


def find_stages(names: Sequence[str]) -> list[Stage]:
    """Return stages by name, in pipeline order; none named means all."""
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        near = difflib.get_close_matches(unknown[0], NAMES, n=1)
        hint = f"did you mean {near[0]!r}? Expected" if near else "expected"
        raise InvalidInput(f"unknown stage {unknown[0]!r}; {hint} one of: {', '.join(NAMES)}.")
    return [stage for stage in STAGES if not names or stage.name in names]


def outputs(run: Run, stage: Stage) -> list[Path]:
    """Every file a stage has left; what file managers and people put beside them is not."""
    left, record = run.left_files(stage.name), run.record(stage.name)
    has_ended = record is not None and record.has_ended
    if left is not None and (has_ended or stage.is_view):
        return sorted(left.present(run.root))
    # Anything may be called as a figure: of those that nobody has written down none is taken.
    return [] if stage.is_view and not has_ended else _own_files(run, stage)


def _own_files(run: Run, stage: Stage) -> list[Path]:
    """Every file that could be a stage's by its name; none through a link."""
    files: list[Path] = []
    for name in stage.leaves:
        target = run.root / name
        if target.is_dir():
            named = [path for path in target.rglob("*") if re.fullmatch(stage.names, path.name)]
            files += [path for path in named if path.is_file()]
        files += [target] if target.is_file() else []
    return sorted(files)


def state_of(run: Run, stage: Stage) -> State:
    """Tell where a stage of a run stands, and why it would be skipped, gone on with or refused."""
    left = {earlier: run.left_by(earlier) for earlier in stage.upstream}
    inputs = {earlier: digest for earlier, digest in left.items() if digest is not None}
    whole = inputs if len(inputs) == len(left) else None
    now = state(run.record(stage.name), stage.settings(run), whole, len(outputs(run, stage)))
    # A config may ask for more experiments than yesterday: those that are done stay done.
    lacks = stage.name == "validate" and _are_missing(run, experiments_of(run))
    if now == "stale" and stage.is_view and (whole is not None or not _has_ended(run, stage)):
        return "begun"
    return "begun" if now == "done" and lacks else now


def _has_ended(run: Run, stage: Stage) -> bool:
    return run.left_by(stage.name) is not None


def is_complete(run: Run, stage: Stage) -> bool:
    """Whether a stage is complete and its files are still there."""
    return state_of(run, stage) == "done"


def _are_missing(run: Run, entries: Sequence[Entry]) -> bool:
    return any(not (run.root / entry.file).exists() for entry in entries)


def following(stage: Stage) -> list[str]:
    """Return the names of a stage and of all that follow from it."""
    affected = {stage.name}
    for later in STAGES:
        if affected & set(later.upstream):
            affected.add(later.name)
    return [name for name in NAMES if name in affected]


def set_aside(run: Run, dropped: Sequence[Stage]) -> list[str]:
    """Set the results of stages and of all that follow from them aside; return their names."""
    affected = [stage for stage in STAGES if stage.name in _followed(dropped)]
    files = {
        # The last stage goes first: a kill in between leaves no stage without what it is made from.
        stage.name: [*outputs(run, stage), run.list_path(stage.name), run.record_path(stage.name)]
        for stage in reversed(affected)
    }
    aside.set_aside(run.root, files)
    return [stage.name for stage in affected]


def _followed(dropped: Sequence[Stage]) -> set[str]:
    return {name for stage in dropped for name in following(stage)}


def _replaced(run: Run) -> list[Stage]:
    records = {path.stem for path in (run.root / aside.FOLDER / "stages").glob("*.json")}
    return [stage for stage in STAGES if stage.name in records]


def put_back(run: Run) -> list[str]:
    """Undo `set_aside`: what was made since is deleted; return the stages' names."""
    stages = _replaced(run)
    for stage in stages:
        for path in (*outputs(run, stage), run.record_path(stage.name)):
            path.unlink(missing_ok=True)
    aside.put_back(run.root)
    return [stage.name for stage in stages]


def is_untouched(run: Run) -> bool:
    """Whether nothing was made since results were set aside; an early map is no loss."""
    return all(
        not outputs(run, stage) or (stage.is_view and not _has_ended(run, stage))
        for stage in _replaced(run)
    )


def drop_replaced(run: Run) -> bool:
    """Delete what was set aside once all of it has been made anew; returns whether it was."""
    if not aside.is_there(run.root):
        return False
    stand = all(is_complete(run, stage) for stage in _replaced(run))
    if stand:
        aside.drop(run.root)
    return stand


def experiments_of(run: Run) -> list[Entry]:
    """Return the experiments that a run's config asks for, in order; InvalidInput if unknown."""
    return find_entries(run.config.validation.experiments)


def seconds_of(run: Run, entries: Sequence[Entry]) -> dict[str, float]:
    """Return what finished experiments took; earlier versions wrote it into their files."""
    record = run.record("validate")
    parts = {} if record is None else record.parts
    done = [entry for entry in entries if (run.root / entry.file).is_file()]
    seconds = {}
    for entry in done:
        with ours(run.root / entry.file):
            seconds[entry.name] = float(
                parts[entry.name]
                if entry.name in parts
                else read_object(run.root / entry.file).get("seconds", 0.0)
            )
    return seconds


def failed_in(run: Run, stage: Stage) -> dict[str, str]:
    """Return the experiments that failed when a stage last ended, and what they said."""
    record = run.record(stage.name)
    return {} if record is None else dict(record.failed)


def run_stage(
    run: Run, stage: Stage, models: Models, reporter: Reporter, *, only: Sequence[Entry] = ()
) -> bool:
    """Run one stage, or skip it when it is complete; returns whether it ran.

    `only` confines `validate` to some experiments; it stays incomplete while others of the config
    are missing. Raises StaleArtifact when settings or inputs have changed or an earlier stage is
    missing, EmotionLensError when an experiment of `only` fails.
    """
    settings = stage.settings(run)
    inputs = run.input_digests(stage.upstream)
    record = run.record(stage.name)
    if record is not None and not record.complete and not outputs(run, stage):
        run.forget(stage.name)  # nothing was made under its settings
    before = _reopened(run, stage, inputs)
    run.check_unchanged(stage.name, settings, inputs)
    _part_with_damaged(run, stage, reporter)
    if is_complete(run, stage) and not (only and _are_missing(run, only)):
        return False
    for earlier in find_stages(stage.upstream) if stage.upstream else []:
        run.check_intact(earlier.name, outputs(run, earlier))
    reporter.note(f"{stage.name}: {stage.summary} ...")
    run.begin(stage.name, settings, inputs)
    if only and _are_missing(run, only):
        failed = load_code("validate:measure")(run, models, reporter, only)
        if failed:
            errors = "; ".join(f"{name}: {error}" for name, error in failed.items())
            raise EmotionLensError(f"{len(failed)} of {len(only)} experiments failed: {errors}")
    if only and _are_missing(run, experiments_of(run)):
        return True
    start = time.monotonic()
    counts = dict(load_code(stage.code)(run, models, reporter))
    made = [run.root / name for name in counts.pop("made", ())] or _own_files(run, stage)
    run.finish(stage.name, made, counts, time.monotonic() - start)
    for path in set(before) - set(outputs(run, stage)):
        path.unlink(missing_ok=True)
    return True


def _reopened(run: Run, stage: Stage, inputs: Mapping[str, str]) -> list[Path]:
    """Begin a view anew whose results have changed; return what it has left so far."""
    record = run.record(stage.name)
    if not stage.is_view or record is None or record.inputs == inputs:
        return []
    files = outputs(run, stage)
    StageRecord(record.settings, inputs).write(run.record_path(stage.name))
    return files


def _part_with_damaged(run: Run, stage: Stage, reporter: Reporter) -> None:
    """Rename what is not as a finished stage left it, so that it and nothing else is made again."""
    changed = run.changed_files(stage.name, outputs(run, stage))
    if not changed:
        return
    if run.left_files(stage.name) is None:  # of an earlier version: one digest for all files
        run.check_intact(stage.name, outputs(run, stage))
    for path in changed:
        path.replace(path.with_name(f"{path.name}.changed"))
        reporter.note(
            f"{path.relative_to(run.root)} is not what {stage.name} left in it: it is kept as "
            f"{path.name}.changed and made again."
        )


def load_code(code: str) -> Callable[..., Mapping[str, Any]]:
    """Import what ``module:function`` below this package names."""
    module, function = code.split(":")
    return getattr(importlib.import_module(f"probes.stages.{module}"), function)
