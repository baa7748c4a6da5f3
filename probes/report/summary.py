"""The table at the end of a run, and ``analysis/summary.json``: what the stages left."""

from collections.abc import Mapping, Sequence
from typing import Any

from probes.analysis.results import GeometryInShort, Layers, LensInShort, read_result
from probes.corpus import reference
from probes.experiments import Entry, find_entries, read_words
from probes.report import scorecard, scorecard_file
from probes.runs.folder import Run
from probes.storage import ours, read_object, write_json

Row = tuple[str, str]


def summarize(run: Run, stages: Sequence[str] | None = None) -> dict[str, Any]:
    """Gather the headline numbers of a run from the records of its stages, or of those begun."""
    with ours(run.record_path("any").parent):
        return _summarize(run, stages)


def _summarize(run: Run, stages: Sequence[str] | None) -> dict[str, Any]:
    if stages is None:
        stages = sorted(path.stem for path in run.record_path("any").parent.glob("*.json"))
    records = {stage: run.record(stage) for stage in stages}
    done = {
        name: record for name, record in records.items() if record is not None and record.has_ended
    }
    summary: dict[str, Any] = {
        "output_dir": str(run.root),
        "seconds": {name: record.seconds for name, record in done.items()},
    }
    _add_texts(summary, run, done)
    if "extract-activations" in done:
        keys = ("model", "fingerprint", "dtype", "backend", "n_layers")
        index = read_object(run.root / "activations" / "index.json", *keys)
        summary["subject"] = {key: index[key] for key in keys}
    if "compute-vectors" in done:
        counts = done["compute-vectors"].counts
        target, summary["way"] = counts["target_layer"], counts.get("way", "shown")
        summary["subject"] |= {
            "target_layer": target["layer"],
            "target_layer_rule": target["rule"],
        }
    if "analyze" in done:
        counts = done["analyze"].counts
        summary |= {"layer": counts["layer"], **counts["ratings"], "kmeans": counts["kmeans"]}
        summary["umap"] = (
            read_object(run.root / "analysis" / "geometry.json", "umap")["umap"] is not None
        )
        layers = read_result(
            Layers, read_object(run.root / "analysis" / "layers.json"), "layers.json", "analyze"
        )
        for scale, matches in (("valence", layers.valence), ("arousal", layers.arousal)):
            summary[f"{scale}_r_by_layer"] = {
                str(layer): match and round(match.r, 4)
                for layer, match in zip(layers.layers, matches, strict=True)
            }
    if "logit-lens" in done:
        counts = done["logit-lens"].counts
        summary["logit_lens"] = {key: counts[key] for key in counts if key != "files"}
    if "validate" in done:
        counts = done["validate"].counts
        summary["experiments"] = {
            entry.name: _in_words(run, entry, counts["experiments"][entry.name])
            for entry in find_entries(list(counts["experiments"]))
        }
        summary["failed"] = counts["failed"]
        if (run.root / scorecard.FILE).is_file():
            summary["scorecard"] = scorecard_file.read_lines(run.root)
    return summary


def _add_texts(summary: dict[str, Any], run: Run, done: Mapping[str, Any]) -> None:
    """Add what was written, and by whom."""
    for stage, key in (("generate-stories", "stories"), ("generate-neutral", "neutral")):
        if stage in done:
            kept = ("accepted", "requested", "missing", "rejected", "rejected_by_reason")
            more = ("first_attempt_leak_share", "trimmed", "duplicates")
            summary[key] = {name: done[stage].counts[name] for name in (*kept, *more)}
    if stories := summary.get("stories"):
        by_emotion = done["generate-stories"].counts["emotions"].values()
        stories |= {
            "fewest": min((counts["accepted"] for counts in by_emotion), default=0),
            "topics": len({cell.topic for cell in run.story_cells}),
            "writer": None if run.brings_corpus else run.config.writer_model.name,
            "is_reference": run.config.corpus.stories == reference.NAME,
        }


def _in_words(run: Run, entry: Entry, seconds: float) -> dict[str, Any]:
    words = read_words(entry.name, read_object(run.root / entry.file))
    claims, rows = ([list(row) for row in each] for each in (words.claims, words.rows))
    return {"claims": claims, "rows": rows, "limits": words.limits, "seconds": seconds}


def analysis_of(
    summary: Mapping[str, Any],
) -> tuple[GeometryInShort | None, LensInShort | None]:
    """Return what a summary holds of the geometry and of the logit lens; None is not done."""
    geometry, lens = None, None
    if "valence" in summary:
        content = {
            "ratings": {scale: summary.get(scale) for scale in ("valence", "arousal")},
            "kmeans": summary.get("kmeans"),
            "umap": summary.get("umap", True),
        }
        geometry = read_result(GeometryInShort, content, "summary.json", "analyze")
    if summary.get("logit_lens"):
        lens = read_result(LensInShort, summary["logit_lens"], "summary.json", "logit-lens")
    return geometry, lens


def write_summary(run: Run, stages: Sequence[str] | None = None) -> dict[str, Any]:
    """Write ``analysis/summary.json`` and return what it holds."""
    summary = summarize(run, stages)
    write_json(run.root / "analysis" / "summary.json", summary)
    return summary


def claims(summary: dict[str, Any]) -> list[Row]:
    """Return what a run opens with, in short, and what failed."""
    analysis = [result for result in analysis_of(summary) if result is not None]
    experiments = summary.get("experiments", {}).values()
    return [
        *(tuple(claim) for words in experiments for claim in words["claims"]),
        *((it.name, it.short) for result in analysis for it in result.findings() if it.headline),
        *((f"FAILED: {name}", why) for name, why in summary.get("failed", {}).items()),
    ]


def experiment_rows(summary: dict[str, Any]) -> list[Row]:
    """Return what each experiment found as (what, value) rows for people."""
    experiments = summary.get("experiments", {}).values()
    return [(label, value) for words in experiments for label, value in words["rows"]]


def rows(summary: dict[str, Any], *, experiments: bool = True) -> list[Row]:
    """Return the summary as (what, value) rows for people, with or without `experiment_rows`."""
    table: list[Row] = []
    for key, label in (("stories", "stories"), ("neutral", "neutral dialogues")):
        if texts := summary.get(key):
            reasons = ", ".join(f"{n} {why}" for why, n in texts["rejected_by_reason"].items())
            table.append((f"{label} kept", f"{texts['accepted']} of {texts['requested']}"))
            table.append((f"{label} rejected", f"{texts['rejected']} ({reasons or 'none'})"))
    if (texts := summary.get("stories")) and texts["first_attempt_leak_share"] is not None:
        share = f"{texts['first_attempt_leak_share']:.0%} of first drafts"
        table.append(("stories naming the emotion", f"{share}, all rejected"))
    if subject := summary.get("subject"):
        table.append(("subject", f"{subject['model']} ({subject['backend']}, {subject['dtype']})"))
        if "target_layer" in subject:
            layer, n_layers = subject["target_layer"], subject["n_layers"]
            rule = subject["target_layer_rule"]
            table.append(("layer", f"{layer}, after block {layer + 1} of {n_layers} ({rule})"))
    if (way := str(summary.get("way", "shown"))) != "shown":
        is_both = way == "both"
        table.append(("vectors of what is", "shown and said, summed" if is_both else way))
    for result in analysis_of(summary):
        if result is not None:
            table += [(finding.name, finding.line) for finding in result.findings()]
    table += experiment_rows(summary) if experiments else []
    table += [(f"FAILED: {name}", why) for name, why in summary.get("failed", {}).items()]
    if lines := summary.get("scorecard"):
        table.append(("beside the paper", scorecard.in_short(scorecard.from_json(lines))))
    for stage, seconds in summary["seconds"].items():
        table.append((f"seconds: {stage}", f"{seconds:.1f}"))
    if summary["seconds"]:
        table.append(("seconds: all stages", f"{sum(summary['seconds'].values()):.1f}"))
    return table
