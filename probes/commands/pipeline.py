"""The pipeline: stages of one run, in order, each skipped when it is complete."""

import contextlib
from collections.abc import Sequence

from hooks.errors import InvalidInput
from probes import stages
from probes.analysis.results import Lens, read_result
from probes.commands import Pipeline, outcome
from probes.commands.call import Call, mistyped, run_of
from probes.commands.terminal import Terminal
from probes.config import find_config
from probes.experiments import Entry, find_entries, read_words
from probes.report import scorecard, scorecard_file, summary
from probes.runs import set_aside, workers
from probes.runs.folder import Run
from probes.runs.lock import FILE as LOCK
from probes.runs.lock import only_writer
from probes.runs.models import Models
from probes.stages import Stage, early_map
from probes.stages.before import check_before
from probes.storage import StorageError, read_object


def main(call: Call[Pipeline]) -> int:
    """Run the stages asked for; none named means all."""
    source, names = _source_and_stages(call)
    run, flags = run_of(source, call.settings), call.flags
    stages.experiments_of(run)  # an unknown one is refused before any work
    chosen = stages.find_stages(names)
    if flags.only and names != ["validate"]:
        raise InvalidInput("--only chooses what validate runs; ask for the stage validate alone.")
    only = find_entries(flags.only)
    _check_emotions(flags.emotions, chosen, run)
    dropped = stages.find_stages(flags.restart) if flags.restart else []
    if flags.dry_run:
        return _dry_run(run, chosen, dropped, call.terminal)
    if not (run.root / LOCK).is_file():  # where a writer has been, it may be at work
        run.check_folder()
    if not run.root.is_dir():
        with early_map.compiling(run, chosen):
            check_before(run, chosen, dropped)  # what is refused leaves no folder behind
    run.prepare()
    with only_writer(run.root, call.terminal.warn):
        if flags.put_back:
            return _put_back(run, call.terminal)
        run.check_folder()
        check_before(run, chosen, dropped)
        run.remove_leftovers()
        if dropped:
            names_aside = ", ".join(stages.set_aside(run, dropped))
            call.terminal.note(f"set aside until the new results stand: {names_aside}")
        ended = _run(run, chosen, only, call.terminal)
        if stages.drop_replaced(run):
            call.terminal.note("the new results stand: those they replace are deleted.")
    call.terminal.result({"output_dir": str(run.root), "stages": ended})
    _show(run, names, flags, only, call.terminal)
    return _failures(run, chosen, call.terminal)


def _run(
    run: Run, chosen: Sequence[Stage], only: Sequence[Entry], terminal: Terminal
) -> dict[str, str]:
    """Run the stages one after another; return how each ended."""
    models = Models(run.config)
    ended: dict[str, str] = {}
    try:
        for stage in chosen:
            ran = stages.run_stage(run, stage, models, terminal, only=only)
            if stage.name == "analyze":
                early_map.draw_map(run, terminal)
            failed = stages.failed_in(run, stage)
            done = f"ended, {len(failed)} failed: {', '.join(failed)}" if failed else "done"
            ended[stage.name] = done if ran else "complete, skipped"
            terminal.note(f"{stage.name}: {ended[stage.name]}")
    except Exception as error:
        with contextlib.suppress(StorageError):  # the disk may be what failed
            if set_aside.is_there(run.root):
                _say_what_is_aside(run, terminal)
            run.write_summary(stages.NAMES, failed={chosen[len(ended)].name: str(error)})
        raise
    finally:
        workers.disconnect()
    run.write_summary(stages.NAMES)
    return ended


def _say_what_is_aside(run: Run, terminal: Terminal) -> None:
    if stages.is_untouched(run):
        names = ", ".join(stages.put_back(run))
        terminal.note(f"nothing new was made: the old results are back ({names}).")
        return
    terminal.note(
        f"the old results are kept in {run.root / set_aside.FOLDER} until the new ones stand. To "
        f"have them back instead: python -m probes.run {run.source} --put-back"
    )


def _put_back(run: Run, terminal: Terminal) -> int:
    if not set_aside.is_there(run.root):
        raise InvalidInput(f"--put-back: nothing is set aside in {run.root}.")
    terminal.note(f"the old results are back: {', '.join(stages.put_back(run))}")
    return 0


def _failures(run: Run, chosen: Sequence[Stage], terminal: Terminal) -> int:
    failed = [item for stage in chosen for item in stages.failed_in(run, stage).items()]
    if not failed:
        return 0
    errors = "\n".join(f"  {name}: {error}" for name, error in failed)
    terminal.error(
        f"failed; everything else is done and kept:\n{errors}\nto try it again (and make figures "
        f"and report with it): python -m probes.run {run.source}"
    )
    return 1


def _dry_run(
    run: Run, chosen: Sequence[Stage], dropped: Sequence[Stage], terminal: Terminal
) -> int:
    from probes.stages.ask_servers import dry_run

    names = [stage.name for stage in chosen if stage.name.startswith("generate-")]
    if dropped or not names:
        raise InvalidInput(
            "--dry-run estimates generate-stories and generate-neutral as the folder is now: name "
            "one of them or no stage, and no --restart."
        )
    code = 0
    for name in names:
        rows, ok = dry_run(run, "stories" if name == "generate-stories" else "neutral")
        terminal.table(f"{name} would take", rows)
        code = code if ok else 1
    return code


def _source_and_stages(call: Call[Pipeline]) -> tuple[str, list[str]]:
    """Tell CONFIG from STAGEs: after ``--config``, or the first word that is no stage."""
    known = (*stages.NAMES, "run-all")
    words = list(call.words)
    source = call.flags.config or next((word for word in words if word not in known), None)
    if source is None:
        raise InvalidInput(
            "expected a config: python -m probes.run CONFIG [STAGE ...], or "
            "emotion-probes STAGE CONFIG. See --help."
        )
    try:
        find_config(source)
    except InvalidInput as error:
        raise InvalidInput(f"{error}{mistyped(source)}") from None
    if not call.flags.config:
        words.remove(source)
    return source, [word for word in words if word != "run-all"]


def _check_emotions(emotions: Sequence[str], chosen: Sequence[Stage], run: Run) -> None:
    if emotions and "logit-lens" not in [stage.name for stage in chosen]:
        raise InvalidInput("--emotions chooses what logit-lens shows; no such stage was asked for.")
    if unknown := [emotion for emotion in emotions if emotion not in run.emotions]:
        raise InvalidInput(
            f"--emotions: {unknown[0]!r} is not in this run; it has: {', '.join(run.emotions)}."
        )


def _show(
    run: Run, names: list[str], flags: Pipeline, only: list[Entry], terminal: Terminal
) -> None:
    emotions = flags.emotions
    lens = run.root / "analysis" / "logit_lens.json"
    if lens.is_file() and (names == ["logit-lens"] or emotions):
        by_emotion = read_result(Lens, read_object(lens), lens.name, "logit-lens").emotions
        top = {name: by_emotion[name].top for name in emotions or by_emotion}
        rows = [(name, " ".join(token.strip() for token, _ in top[name])) for name in top]
        terminal.table("top tokens of each emotion vector", rows)
        terminal.result({"logit_lens": top})
    for entry in only:
        content = read_object(run.root / entry.file)
        terminal.table(f"{entry.name}: {entry.question}", read_words(entry.name, content).rows)
        terminal.result({entry.name: content})
    if names == ["validate"] and not only and (run.root / scorecard.FILE).is_file():
        lines = scorecard_file.read_lines(run.root)
        terminal.table("this run beside the paper", scorecard.table(scorecard.from_json(lines)))
        terminal.result({"scorecard": lines})
    if not names:
        numbers = summary.write_summary(run, stages.NAMES)
        if flags.full:
            outcome.show_everything(run, numbers, terminal)
        else:
            outcome.show_claims(run, numbers, terminal)
        terminal.result({"summary": numbers})
