"""Stage that tells people what a run found: ``report.html`` and ``report.md``."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from probes.analysis.findings import Estimate, Finding
from probes.corpus.cells import read_cell
from probes.experiments import EXPERIMENTS, Entry, Result, find_experiment, read_words
from probes.report import (
    claims,
    limits,
    markdown,
    page,
    pictures,
    scorecard,
    scorecard_file,
    stories,
)
from probes.report.contents import Contents, HeatedStory, Picture, Trial
from probes.report.maps import describe_map
from probes.report.summary import rows, summarize
from probes.runs.folder import Run
from probes.runs.materials import Materials
from probes.runs.models import Models
from probes.runs.reporting import Reporter
from probes.stages import NAMES
from probes.stages.visualize import read_analysis
from probes.storage import read_object, write_text

HTML = "report.html"
MARKDOWN = "report.md"


def report(run: Run, models: Models, reporter: Reporter) -> dict[str, Any]:
    """Write the report; leaves ``report.html`` and ``report.md``."""
    contents = gather(Materials(run, models, reporter))
    write_text(run.root / HTML, page.render(contents))
    write_text(run.root / MARKDOWN, markdown.render(contents))
    return {
        "claims": {claim.name: claim.judged for claim in contents.claims},
        "experiments": [trial.name for trial in contents.trials],
        "limits": len(contents.limits),
    }


def gather(materials: Materials) -> Contents:
    """Read what the earlier stages left, and score a few stories token by token."""
    run = materials.run
    summary = summarize(run, NAMES)
    analysis = read_analysis(run)
    geometry, lens = analysis["geometry"], analysis["lens"]
    entries = [entry for entry in EXPERIMENTS if (run.root / entry.file).is_file()]
    contents = {entry.name: read_object(run.root / entry.file) for entry in entries}
    results = {name: find_experiment(name).read(it) for name, it in contents.items()}
    trials = {it.name: _trial(it, results[it.name], contents[it.name]) for it in entries}
    writer = None if run.brings_corpus else run.config.writer_model.name
    emotions, n_topics = materials.emotions, len(materials.topics)
    opening = claims.headlines([*results.values(), geometry, lens])
    return Contents(
        title=f"Emotion vectors of {claims.display_name(summary['subject']['model'])}",
        study=claims.paragraphs(
            summary, opening, emotions, n_topics, writer, run.config.activation.token_offset
        ),
        claims=opening,
        rungs=_rungs(results.get("null-ladder")),
        rows=[row for row in rows(summary) if not row[0].startswith("seconds")],
        map=describe_map(
            materials.vectors.vectors,
            materials.vectors.layers,
            geometry,
            analysis["layers"],
            lens,
            {emotion: list(_about(emotion, materials, results)) for emotion in emotions},
        ),
        pictures=pictures.figures_of(**analysis),
        stories=_stories(materials, geometry.order),
        limits=[
            *limits.weaknesses(summary),
            *(limit for trial in trials.values() for limit in trial.limits),
        ],
        facts=_facts(run, materials, writer),
        trials=[*trials.values(), *_scorecard(run)],
    )


def _about(
    emotion: str, materials: Materials, results: Mapping[str, Result]
) -> Iterator[tuple[str, str]]:
    """Tell what experiments found of one emotion, and show one of its stories."""
    from probes.experiments.decoding.sample_size import SampleSize
    from probes.experiments.steering.steering_words import SteeringWords

    sized, steered = results.get("sample-size"), results.get("steering")
    if isinstance(sized, SampleSize) and (known := sized.reliability.get(emotion)) is not None:
        yield "Reliability of the vector", f"{known:.2f} (1: other topics would give the same)"
    if isinstance(steered, SteeringWords) and emotion in steered.emotions:
        row, judged = steered.emotions.index(emotion), steered.judged
        yield "Steering at dose", f"{judged.dose:g}: own word {judged.matrix[row][row]:+.2f} nats"
    cells = (cell for cell in materials.run.story_cells if cell.emotion == emotion)
    for cell in cells:
        if texts := read_cell(materials.run.root, cell)["texts"]:
            yield "Story", texts[0]["text"]
            return


def _trial(entry: Entry, result: Result, content: Mapping[str, Any]) -> Trial:
    words = read_words(entry.name, content)
    return Trial(
        name=entry.name,
        question=words.question or entry.question,
        rows=words.rows,
        paragraph=words.paragraph,
        limits=words.limits,
        pictures=[Picture(name, figure) for name, figure in result.figures().items()],
        first=next(iter(result.findings()), None),
    )


def _rungs(ladder: Result | None) -> dict[str, list[tuple[str, Estimate]]]:
    """Return what the rungs of the null ladder reach, by statistic."""
    from probes.experiments.decoding.null_ladder import NullLadder

    if not isinstance(ladder, NullLadder):  # not run, or not measured
        return {}
    return {
        statistic: ladder.rungs_of(statistic)
        for statistic in ("valence", "arousal", "accuracy", "clusters")
    }


def _scorecard(run: Run) -> list[Trial]:
    if not (run.root / scorecard.FILE).is_file():
        return []
    lines = scorecard.from_json(scorecard_file.read_lines(run.root))
    met = [line for line in lines if line.verdict != scorecard.NOT_COMPARABLE]
    same = [line for line in met if line.verdict == scorecard.SAME]
    said = Finding("beside the paper", None, "described", note=scorecard.in_short(lines))
    trial = Trial(
        name="scorecard",
        first=said,
        question="how do these numbers compare with the paper's?",
        rows=scorecard.grid(lines),
        columns=scorecard.COLUMNS,
        paragraph=f"Of {len(lines)} numbers that the paper and its replications report, most for "
        f"much larger models, {len(met)} can be compared with this run's: {len(same)} do not "
        f"differ from ours by the interval of the difference, {len(met) - len(same)} do. Another "
        "model, other stories, messages of our own and fewer emotions were used here: a difference "
        "is no failure of either.",
        limits=[],
    )
    return [trial]


def _stories(materials: Materials, order: Sequence[int]) -> list[HeatedStory]:
    chosen = stories.choose(materials.emotions, order, materials.run.story_cells)
    heated = []
    with materials.reporter.task("coloring example stories", len(chosen), "stories") as advance:
        for cells in chosen:
            kept = ((cell, read_cell(materials.run.root, cell)["texts"]) for cell in cells)
            first = next(((cell, texts[0]["text"]) for cell, texts in kept if texts), None)
            if first is not None:
                heated.append(stories.heat(materials.subject(), materials.vectors, *first))
            advance(1)
    return heated


def _facts(run: Run, materials: Materials, writer: str | None) -> list[tuple[str, str]]:
    made, config = materials.vectors.provenance, run.config
    facts = [
        ("model under study", f"{made.model}, fingerprint {made.fingerprint}"),
        ("read with", f"{made.backend}, {made.dtype}, quantization: {made.quantize or 'none'}"),
        ("writer", writer or "the user's own texts"),
        ("layers kept", f"{len(made.layers)}, analyzed at {made.target_layer}"),
        ("tokens skipped per text", str(made.token_offset)),
        (
            "neutral components removed",
            f"{config.vectors.neutral_pca} level, up to "
            f"{config.vectors.pca_variance_threshold:.0%} of neutral variance; "
            f"{made.n_neutral_components[materials.vectors.layer_index(made.target_layer)]} at "
            f"layer {made.target_layer}",
        ),
        ("seed", str(config.seed)),
        ("settings", f"digest {made.config_hash}; whole in run.json"),
    ]
    return [*facts, *((name, version) for name, version in sorted(made.versions.items()))]
