"""The stages of a run: their order, settings, inputs and outputs.

Contract: a stage is a function of a `Run` that reads what earlier stages left and leaves files of
its own. Importing this package does not import torch: a stage's code is loaded when it runs.
"""

import importlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hooks.errors import EmotionLensError, InvalidInput
from probes.experiments import EXPERIMENTS, Entry, find_entries
from probes.experiments import NAMES as EXPERIMENT_NAMES
from probes.runs.folder import Run
from probes.runs.models import Models
from probes.runs.record import State, state
from probes.runs.reporting import Reporter
from probes.stages.settings import SETTINGS


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
        ("stories",),
        "write stories for every (emotion, topic) cell and keep the good ones",
        _CELL_NAMES,
    ),
    Stage(
        "generate-neutral",
        "write_texts:generate_neutral",
        (),
        ("neutral",),
        "write emotionally neutral dialogues on the same topics",
        _CELL_NAMES,
    ),
    Stage(
        "extract-activations",
        "extract_activations:extract_activations",
        _TEXTS,
        ("activations",),
        "read resid_post and average it over each text's tokens",
        r"(stories|neutral)-\d+\.safetensors|index\.json",
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
    ),
    Stage(
        "report",
        "write_report:report",
        _BEFORE_REPORT,
        ("report.html", "report.md"),
        "one page that says what was found and how far to trust it",
    ),
)
NAMES = tuple(stage.name for stage in STAGES)


def find_stages(names: Sequence[str]) -> list[Stage]:
    """Return stages by name, in pipeline order; none named means all."""
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise InvalidInput(f"unknown stage {unknown[0]!r}; expected one of: {', '.join(NAMES)}.")
    return [stage for stage in STAGES if not names or stage.name in names]


def outputs(run: Run, stage: Stage) -> list[Path]:
    """Every file a stage has left; what file managers and people put beside them is not."""
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
    return "begun" if now == "done" and lacks else now


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


def restart(run: Run, stage: Stage) -> list[str]:
    """Delete the outputs of a stage and of all that follow from it; return their names."""
    return _delete(run, following(stage))


def _delete(run: Run, names: list[str]) -> list[str]:
    run.restart(names, {stage.name: stage.leaves for stage in STAGES})
    return names


def experiments_of(run: Run) -> list[Entry]:
    """Return the experiments that a run's config asks for, in order; InvalidInput if unknown."""
    names = run.config.validation.experiments
    return find_entries(EXPERIMENT_NAMES if names is None else names)


def drop_what_followed(run: Run, stage: Stage) -> list[str]:
    """Delete what was made from a stage in which something failed; return the stages' names."""
    if not failed_in(run, stage):
        return []
    return _delete(run, [name for name in following(stage)[1:] if run.record(name) is not None])


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
    run.check_unchanged(stage.name, settings, inputs)
    if is_complete(run, stage):
        return False
    for earlier in find_stages(stage.upstream) if stage.upstream else []:
        run.check_intact(earlier.name, outputs(run, earlier))
    reporter.note(f"{stage.name}: {stage.summary} ...")
    run.begin(stage.name, settings, inputs)
    if dropped := drop_what_followed(run, stage):
        reporter.note(f"made without what failed, so to be made again: {', '.join(dropped)}")
    if only and _are_missing(run, only):
        failed = load_code("validate:measure")(run, models, reporter, only)
        if failed:
            errors = "; ".join(f"{name}: {error}" for name, error in failed.items())
            raise EmotionLensError(f"{len(failed)} of {len(only)} experiments failed: {errors}")
    if only and _are_missing(run, experiments_of(run)):
        return True
    start = time.monotonic()
    counts = dict(load_code(stage.code)(run, models, reporter))
    run.finish(stage.name, outputs(run, stage), counts, time.monotonic() - start)
    return True


def load_code(code: str) -> Callable[..., Mapping[str, Any]]:
    """Import what ``module:function`` below this package names."""
    module, function = code.split(":")
    return getattr(importlib.import_module(f"probes.stages.{module}"), function)
