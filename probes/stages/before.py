"""What is checked before a command does anything: order, records, files, models and servers.

Imports no torch: a finished run has nothing that needs it.
"""

import os
from collections.abc import Sequence
from typing import Literal

from hooks.errors import InvalidInput
from probes.corpus.cells import read_cell
from probes.runs import set_aside
from probes.runs.folder import Run
from probes.stages import STAGES, Stage, find_stages, following, is_complete, outputs
from probes.stimuli.rating_files import read_norms

_WRITE: dict[str, Literal["stories", "neutral"]] = {
    "generate-stories": "stories",
    "generate-neutral": "neutral",
}
_READ = ("extract-activations", "logit-lens", "validate", "report")


def check_before(run: Run, chosen: Sequence[Stage], dropped: Sequence[Stage]) -> None:
    """Check all that a command needs, from what is there and what will be; nothing is written.

    Raises what the stage itself would raise, hours later: InvalidInput, StaleArtifact, DataError,
    ModelError or EndpointError.
    """
    again = {name for stage in dropped for name in following(stage)}
    _check_order(run, chosen, dropped, again)
    leaves = [leaf for stage in STAGES if stage.name in again for leaf in stage.leaves]
    set_aside.check_links(run.root, leaves)
    _check_writable(run, leaves)
    todo = [stage for stage in chosen if stage.name in again or not is_complete(run, stage)]
    _check_records(run, chosen, again)
    _check_sources(run, todo)
    names = [stage.name for stage in todo]
    if not {*names} & {*_WRITE, *_READ}:
        return
    from probes.stages import checks  # which imports torch

    if {*names} & {*_READ}:
        checks.check_subject(run)
    if "extract-activations" in names:
        checks.check_lengths(run)
    for name, kind in _WRITE.items():
        if name in names:
            checks.check_texts(run, kind, anew=name in again)


def _check_order(
    run: Run, chosen: Sequence[Stage], dropped: Sequence[Stage], again: set[str]
) -> None:
    names = [stage.name for stage in chosen]
    for stage in dropped:
        if stage.name not in names:
            raise InvalidInput(
                f"--restart={stage.name} replaces its results, and only {', '.join(names)} was "
                f"asked for. Ask for {stage.name} as well, or for no stage, which means all. "
                "Nothing was changed."
            )
    for stage in chosen:
        for earlier in stage.upstream:
            if earlier in names:
                continue
            if earlier in again:
                raise InvalidInput(
                    f"{stage.name} needs {earlier}, which --restart would set aside and which was "
                    "not asked for. Ask for no stage, which means all. Nothing was changed."
                )
            run.input_digests([earlier])  # raises, with the command that makes it


def _check_writable(run: Run, leaves: Sequence[str]) -> None:
    for path in (run.root, *(run.root / leaf for leaf in leaves)):
        if leaves and path.is_dir() and not os.access(path, os.W_OK | os.X_OK):
            raise InvalidInput(
                f"{path} is read-only, so nothing in it can be made again. Choose another folder "
                "with --output_dir=FOLDER. Nothing was changed."
            )


def _check_records(run: Run, chosen: Sequence[Stage], again: set[str]) -> None:
    for stage in STAGES:
        record = run.record(stage.name)  # raises where it is damaged
        if stage.name in again or record is None:
            continue
        if stage in chosen and (record.has_ended or outputs(run, stage)):
            run.check_unchanged(stage.name, stage.settings(run), record.inputs)
    for stage in chosen:
        for earlier in find_stages(stage.upstream) if stage.upstream else []:
            if earlier not in chosen:
                run.check_intact(earlier.name, outputs(run, earlier))


def _check_sources(run: Run, todo: Sequence[Stage]) -> None:
    """Read what is read whole: kept texts of which activations are made, ratings."""
    names = [stage.name for stage in todo]
    if "validate" in names and run.config.validation.norms is not None:
        read_norms(run.config.validation.norms).of(run.emotions)
    if "extract-activations" in names and not {"generate-stories", "generate-neutral"} & {*names}:
        for cell in run.texts.all_cells:
            read_cell(run.root, cell)
