"""Stages that put texts into the folder: written by a model, or the user's own."""

import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from probes.config import Config
from probes.corpus.audit import tags
from probes.corpus.brought import BroughtCorpus, CorpusKind
from probes.corpus.cells import (
    Cell,
    brought_content,
    count_texts,
    n_shared_topics,
    read_cell,
    write_cell,
)
from probes.corpus.filtering import fingerprint
from probes.corpus.writing import first_prompts
from probes.runs.folder import Run
from probes.runs.models import Models
from probes.runs.reporting import Reporter
from probes.runs.workers import Job, ThreadWorkers, Workers, workers
from probes.stages import ask_servers as asking
from probes.stages.units import LocalWriter, TextKind, WritingUnit, grid_of, plan


def generate_stories(run: Run, models: Models, reporter: Reporter) -> dict[str, Any]:
    """Write the stories of every cell; leaves ``stories/``, of a corpus also ``said/``."""
    counts = _generate(run, models, reporter, "stories", run.story_cells)
    return counts | _take_beside(run, reporter, "said", run.texts.said_cells)


def generate_neutral(run: Run, models: Models, reporter: Reporter) -> dict[str, Any]:
    """Write the neutral dialogues; leaves ``neutral/``, of a corpus also ``matched/``."""
    counts = _generate(run, models, reporter, "neutral", run.neutral_cells)
    return counts | _take_beside(run, reporter, "neutral", run.texts.matched_cells)


def _take_beside(
    run: Run, reporter: Reporter, kind: CorpusKind, cells: Sequence[Cell]
) -> dict[str, int]:
    """Take what stands beside the stories of a corpus; returns how many texts that is."""
    _take(run, reporter, kind, cells)
    n_texts = sum(count_texts(run.root, cells))
    return {"matched" if kind == "neutral" else "said": n_texts} if cells else {}


def _take(run: Run, reporter: Reporter, kind: CorpusKind, cells: Sequence[Cell]) -> None:
    """Copy the texts of a corpus into the run; of a user's, those that hold tags are counted."""
    if not cells:
        return
    corpus = run.texts.corpus(kind)
    corpus.keep()
    tagged: list[tuple[Cell, int, str]] = []
    for cell in cells:
        if not (run.root / cell.path).is_file():
            passages = corpus.texts[cell]
            write_cell(run.root, cell, brought_content(passages))
            if isinstance(corpus, BroughtCorpus):
                spotted = (tags(passage.whole) for passage in passages)
                tagged += [(cell, n, marks[0]) for n, marks in enumerate(spotted) if marks]
    if tagged:
        cell, index, mark = tagged[0]
        reporter.note(
            f"{len(tagged)} texts of corpus.{kind} hold tags, which are read as they stand, as "
            f"{mark!r} in {corpus.texts.where(cell, index)}. emotion-probes corpus FILE names the "
            "lines; take the tags out."
        )


def _generate(
    run: Run, models: Models, reporter: Reporter, kind: TextKind, cells: Sequence[Cell]
) -> dict[str, Any]:
    if run.brings_corpus:
        if kind == "stories" and run.texts.topics_are_ignored:
            reporter.note(
                "generation.topics_subset says what to write about; of corpus.stories all topics "
                "are taken."
            )
        if kind == "stories" and not n_shared_topics((it.emotion, it.topic) for it in cells):
            reporter.note(
                "no topic of corpus.stories has texts of two emotions, so accuracy on held-out "
                "topics is not defined. Give every emotion the same topics."
            )
        _take(run, reporter, kind, cells)
    else:
        _write_missing(run, models, reporter, kind, cells)
    counts = count(run, cells)
    if counts["missing"]:
        reporter.note(
            f"{counts['missing']} of {counts['requested']} {kind} could not be filled within "
            f"{run.config.generation.max_attempts} attempts; the run goes on with the others. "
            "generation.max_attempts may be raised later: only what is missing is tried again."
        )
    return counts


def _write_missing(
    run: Run, models: Models, reporter: Reporter, kind: TextKind, cells: Sequence[Cell]
) -> None:
    units = plan(run, kind, cells)
    todo = asking.missing(run, units)
    if not todo:
        return
    if _fit_units(run, models, kind, cells):
        units = plan(run, kind, cells)
        todo = asking.missing(run, units)
    begun = run.record(f"generate-{kind}")
    is_repaired = begun is not None and begun.complete
    lost = {cell for unit in todo for cell in unit.cells if not (run.root / cell.path).is_file()}
    n_done = sum(unit.n_texts for unit in units) - sum(unit.n_texts for unit in todo)
    total = sum(unit.n_texts for unit in units)
    with _writers(run, models, reporter, kind, todo) as writers:
        writer = writers.about()
        for note in writers.notes():
            reporter.note(note)
        section = "writer" if run.config.writer.name else "model"
        run.pin_model(f"generate-{kind}", section, writer)
        with reporter.task(f"writing {kind}", total, "texts", n_done) as advance:
            for _, written in writers.map(todo, advance):
                for cell, content in written.items():
                    # A unit of which one text was lost is written whole; the others stay.
                    if cell in lost or not is_repaired:
                        write_cell(run.root, cell, content)


def _fit_units(run: Run, models: Models, kind: TextKind, cells: Sequence[Cell]) -> bool:
    """Time the writer before a run's first text, so that a kill costs a minute; once and for all.

    Returns whether it was timed. Servers and vLLM write many texts at once, and Ray's workers are
    other machines: there the config says.
    """
    config, stage = run.config, f"generate-{kind}"
    begun = run.record(stage)
    goes_on = begun is not None and (begun.model is not None or begun.unit_texts is not None)
    if goes_on or config.generation.engine != "local" or config.compute.engine != "local":
        return False
    writer = LocalWriter(config, kind, models)
    prompts = first_prompts(cells[:1], grid_of(config), writer.rules)
    unit_texts = writer.texts_in_a_minute(prompts, config.generation.batch_size)
    run.pin_unit_texts(stage, unit_texts)
    return True


@contextlib.contextmanager
def _writers(
    run: Run, models: Models, reporter: Reporter, kind: TextKind, todo: Sequence[WritingUnit]
) -> Iterator[Workers]:
    config = run.config
    if config.generation.engine != "openai":
        with workers(config.compute, *_loaded_writers(config, models, kind)) as writers:
            yield writers
        return
    with asking.connected(config, kind, todo, reporter.note) as (job, greeting):
        for note in asking.notes(run, kind, todo, greeting):
            reporter.note(note)
        yield ThreadWorkers(job, asking.units_at_once(config, todo))


def _loaded_writers(
    config: Config, models: Models, kind: TextKind
) -> tuple[Callable[[], Job], Callable[[], Job]]:
    """Return how a writer is made in this process, and in another one."""
    if config.generation.engine == "local":
        there = functools.partial(LocalWriter, config, kind)
        return functools.partial(LocalWriter, config, kind, models), there
    from probes.stages.vllm_engines import VllmWriter

    return functools.partial(VllmWriter, config, kind), functools.partial(VllmWriter, config, kind)


def count(run: Run, cells: Sequence[Cell]) -> dict[str, Any]:
    """Count what was kept, rejected (by reason) and missing, in all and per emotion.

    ``duplicates`` are texts that stand above already. Of written texts, a unit's own are rejected.
    """
    emotions: dict[str, dict[str, Any]] = {}
    total, reasons, usage, seen = Counter[str](), Counter[str](), Counter[str](), set[str]()
    for cell in cells:
        content = read_cell(run.root, cell)
        kept, refused = content["texts"], content["rejected"]
        kinds = Counter(item["reason"].split(":")[0] for item in refused)
        marks = [fingerprint(text["text"]) for text in kept]
        total.update(
            accepted=len(kept),
            requested=content["requested"],
            rejected=len(refused),
            trimmed=sum(bool(text.get("trimmed")) for text in kept),
            leaked=sum(item["attempt"] == 1 and bool(item.get("named")) for item in refused),
            duplicates=sum(mark in seen or mark in marks[:n] for n, mark in enumerate(marks)),
        )
        seen.update(marks)
        reasons.update(kinds)
        usage.update(content.get("usage", {}))
        row = emotions.setdefault(
            cell.emotion or "neutral", {"accepted": 0, "rejected": Counter(), "missing": 0}
        )
        row["accepted"] += len(kept)
        row["rejected"].update(kinds)
        row["missing"] += content["requested"] - len(kept)
    return {
        **{key: total[key] for key in ("accepted", "requested", "rejected", "trimmed")},
        "missing": total["requested"] - total["accepted"],
        "duplicates": total["duplicates"],
        "rejected_by_reason": dict(sorted(reasons.items())),
        # Texts that were brought were not searched.
        "first_attempt_leak_share": None
        if run.brings_corpus
        else total["leaked"] / total["requested"],
        **({"usage": dict(usage)} if usage else {}),
        "emotions": {
            name: {**row, "rejected": dict(sorted(row["rejected"].items()))}
            for name, row in emotions.items()
        },
    }
