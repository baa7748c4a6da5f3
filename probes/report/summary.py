"""The table at the end of a run, and ``analysis/summary.json`` with the same numbers.

Contract: every number is read from what the stages left; a stage that is not done leaves no row.
"""

from collections.abc import Sequence
from typing import Any

from probes.report.scorecard import FILE as SCORECARD
from probes.report.scorecard import in_short
from probes.runs.folder import Run
from probes.storage import read_json, write_json

Row = tuple[str, str]
_SHARE = ("", "_interval", "_shuffled", "_shuffled_95")


def summarize(run: Run, stages: Sequence[str] | None = None) -> dict[str, Any]:
    """Gather the headline numbers of a run from the records of its stages.

    Parameters
    ----------
    stages
        Names of the stages, in the order of the table; None is all that were begun, by name.
    """
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
    for stage, key in (("generate-stories", "stories"), ("generate-neutral", "neutral")):
        if stage in done:
            kept = ("accepted", "requested", "missing", "rejected", "rejected_by_reason")
            more = ("first_attempt_leak_share", "trimmed", "duplicates")
            summary[key] = {name: done[stage].counts[name] for name in (*kept, *more)}
    if stories := summary.get("stories"):
        by_emotion = done["generate-stories"].counts["emotions"].values()
        stories |= {
            "fewest": min((found["accepted"] for found in by_emotion), default=0),
            "topics": len({cell.topic for cell in run.story_cells}),
            "writer": None if run.brings_corpus else run.config.writer_model.name,
        }
    if "extract-activations" in done:
        index = read_json(run.root / "activations" / "index.json")
        keys = ("model", "fingerprint", "dtype", "backend", "n_layers")
        summary["subject"] = {key: index[key] for key in keys}
    if "compute-vectors" in done:
        target = done["compute-vectors"].counts["target_layer"]
        summary["subject"] |= {
            "target_layer": target["layer"],
            "target_layer_rule": target["rule"],
        }
    if "analyze" in done:
        counts = done["analyze"].counts
        summary |= {"layer": counts["layer"], **counts["ratings"], "kmeans": counts["kmeans"]}
        layers = read_json(run.root / "analysis" / "layers.json")
        summary["umap"] = read_json(run.root / "analysis" / "geometry.json")["umap"] is not None
        for scale in ("valence", "arousal"):
            summary[f"{scale}_r_by_layer"] = {
                str(layer): match and round(match["r"], 4)
                for layer, match in zip(layers["layers"], layers[scale], strict=True)
            }
    if "logit-lens" in done:
        counts = done["logit-lens"].counts
        summary["logit_lens"] = {key: counts[key] for key in counts if key != "files"}
    if "validate" in done:
        results = {
            name: read_json(run.root / f"analysis/{name.replace('-', '_')}.json")
            for name in done["validate"].counts["experiments"]
        }
        summary["experiments"] = {
            name: {key: result[key] for key in ("rows", "limits", "seconds")}
            for name, result in results.items()
        }
        summary["failed"] = done["validate"].counts["failed"]
        if (run.root / SCORECARD).is_file():
            summary["scorecard"] = read_json(run.root / SCORECARD)["lines"]
    return summary


def write_summary(run: Run, stages: Sequence[str] | None = None) -> dict[str, Any]:
    """Write ``analysis/summary.json`` and return what it holds."""
    summary = summarize(run, stages)
    write_json(run.root / "analysis" / "summary.json", summary)
    return summary


def experiment_rows(summary: dict[str, Any]) -> list[Row]:
    """Return what each experiment found as (what, value) rows for people."""
    found = summary.get("experiments", {}).values()
    return [(label, value) for experiment in found for label, value in experiment["rows"]]


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
            layer = f"{subject['target_layer']} of 0 to {subject['n_layers'] - 1}"
            table.append(("layer", f"{layer} ({subject['target_layer_rule']})"))
    for scale in ("valence", "arousal"):
        if scale in summary:
            table.append((f"|r| with human {scale}", _match(summary[scale])))
    if lens := summary.get("logit_lens"):
        for name, label in (("own_word", "own word"), ("named", "own word or a synonym")):
            share = {key: lens[f"{name}_share{key}"] for key in _SHARE}
            low, high = share["_interval"]
            table.append(
                (
                    f"{label} in the lens' top {lens['top_k']}",
                    f"{share['']:.0%} of emotions [{low:.0%}, {high:.0%}], "
                    f"n={lens['n_emotions']}; {share['_shuffled']:.0%} with shuffled "
                    f"names (95%: {share['_shuffled_95']:.0%})",
                )
            )
    table += experiment_rows(summary) if experiments else []
    table += [(f"FAILED: {name}", said) for name, said in summary.get("failed", {}).items()]
    if (clusters := summary.get("kmeans")) and clusters["stability"] is not None:
        interval = f"[{clusters['stability_low']:.2f}, {clusters['stability_high']:.2f}]"
        value = f"ARI {clusters['stability']:.2f} {interval} when topics are drawn again"
        table.append((f"stability of {clusters['k']} clusters", value))
    if lines := summary.get("scorecard"):
        table.append(("beside the paper", in_short(lines)))
    for stage, seconds in summary["seconds"].items():
        table.append((f"seconds: {stage}", f"{seconds:.1f}"))
    if summary["seconds"]:
        table.append(("seconds: all stages", f"{sum(summary['seconds'].values()):.1f}"))
    return table


def _match(match: dict[str, Any] | None) -> str:
    if match is None:
        return "not compared: too few rated words"
    return (
        f"{match['r']:.2f} (PC{match['component'] + 1}, n={match['n']}, 95% CI "
        f"[{match['low']:.2f}, {match['high']:.2f}], p={match['p_corrected']:.4f} corrected for "
        f"{match['n_searched']} components)"
    )
