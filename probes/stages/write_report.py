"""Stage that tells people what a run found: ``report.html`` and ``report.md``."""

from collections.abc import Mapping
from typing import Any

from probes import figures
from probes.corpus.cells import read_cell
from probes.experiments import EXPERIMENTS, Entry, find_experiment
from probes.report import claims as headline
from probes.report import limits, markdown, page, scorecard, stories
from probes.report.contents import Contents, HeatedStory, Picture, Trial
from probes.report.maps import describe_map
from probes.report.summary import rows, summarize
from probes.runs.folder import Run
from probes.runs.materials import Materials
from probes.runs.models import Models
from probes.runs.reporting import Reporter
from probes.stages import NAMES
from probes.stages.analyze import GEOMETRY, LAYERS
from probes.stages.logit_lens import LENS
from probes.storage import read_json, write_text

HTML = "report.html"
MARKDOWN = "report.md"
_OWN_SECTIONS = ("null-ladder", "steering")


def report(run: Run, models: Models, reporter: Reporter) -> dict[str, Any]:
    """Write the report; leaves ``report.html`` and ``report.md``."""
    contents = gather(Materials(run, models, reporter))
    write_text(run.root / HTML, page.render(contents))
    write_text(run.root / MARKDOWN, markdown.render(contents))
    return {
        "claims": {claim.name: claim.verdict for claim in contents.claims},
        "experiments": [trial.name for trial in contents.all_trials],
        "limits": len(contents.limits),
    }


def gather(materials: Materials) -> Contents:
    """Read what the earlier stages left, and score a few stories token by token."""
    run = materials.run
    summary = summarize(run, NAMES)
    written = run.record("generate-stories")
    analysis = {
        "geometry": read_json(run.root / GEOMETRY),
        "layers": read_json(run.root / LAYERS),
        "lens": read_json(run.root / LENS),
        "counts": written and written.counts,
    }
    results = {
        entry.name: read_json(run.root / entry.file)
        for entry in EXPERIMENTS
        if (run.root / entry.file).is_file()
    }
    trials = {
        entry.name: _trial(entry, results[entry.name])
        for entry in EXPERIMENTS
        if entry.name in results
    }
    writer = None if run.brings_corpus else run.config.writer_model.name
    emotions, n_topics = materials.emotions, len(materials.topics)
    found = limits.weaknesses(summary)
    return Contents(
        title=f"Emotion vectors of {headline.display_name(summary['subject']['model'])}",
        study=headline.paragraphs(
            summary, emotions, n_topics, writer, run.config.activation.token_offset
        ),
        claims=headline.claims(summary, results),
        rows=[row for row in rows(summary) if not row[0].startswith("seconds")],
        map=describe_map(
            materials.vectors.vectors,
            materials.vectors.layers,
            analysis["geometry"],
            analysis["layers"],
            analysis["lens"],
        ),
        pictures=figures.figures_of(analysis),
        stories=_stories(materials, analysis["geometry"]["order"]),
        limits=[*found, *(limit for trial in trials.values() for limit in trial.limits)],
        facts=_facts(run, materials, writer),
        ladder=trials.get("null-ladder"),
        scorecard=_scorecard(run),
        steering=trials.get("steering"),
        trials=[trial for name, trial in trials.items() if name not in _OWN_SECTIONS],
    )


def _trial(entry: Entry, result: Mapping[str, Any]) -> Trial:
    described = find_experiment(entry.name).read(result).figures()
    return Trial(
        name=entry.name,
        question=result.get("question", entry.question),
        rows=[(label, value) for label, value in result["rows"]],
        paragraph=result["paragraph"],
        limits=result["limits"],
        pictures=[Picture(name, figure) for name, figure in described.items()],
    )


def _scorecard(run: Run) -> Trial | None:
    path = run.root / scorecard.FILE
    if not path.is_file():
        return None
    lines = read_json(path)["lines"]
    met = [line for line in lines if line["verdict"] != scorecard.NOT_COMPARABLE]
    inside = [line for line in met if line["verdict"] == scorecard.INSIDE]
    return Trial(
        name="scorecard",
        question="how do these numbers compare with the paper's?",
        rows=scorecard.grid(lines),
        columns=scorecard.COLUMNS,
        paragraph=f"Of {len(lines)} numbers that the paper and its replications report, most for "
        f"much larger models, {len(met)} can be compared with this run's: ours inside the interval "
        f"that the paper's n gives: {len(inside)}, outside: {len(met) - len(inside)}. Another "
        "model, other stories, messages of our own and fewer emotions were used here: a number "
        "outside is no failure of either.",
        limits=[],
    )


def _stories(materials: Materials, order: list[int]) -> list[HeatedStory]:
    chosen = stories.choose(materials.emotions, order, materials.run.story_cells)
    found = []
    with materials.reporter.task("coloring example stories", len(chosen), "stories") as advance:
        for cells in chosen:
            kept = ((cell, read_cell(materials.run.root, cell)["texts"]) for cell in cells)
            first = next(((cell, texts[0]["text"]) for cell, texts in kept if texts), None)
            if first is not None:
                found.append(stories.heat(materials.subject(), materials.vectors, *first))
            advance(1)
    return found


def _facts(run: Run, materials: Materials, writer: str | None) -> list[tuple[str, str]]:
    made = materials.vectors.provenance
    config = run.config
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
