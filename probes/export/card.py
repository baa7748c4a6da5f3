"""The cards of a shared run: what, how, numbers with intervals, limits, terms.

Every number is read from ``run.json``, ``analysis/summary.json`` and the vectors' own provenance.
Names and texts that a user or a model wrote are escaped; of local folders only the name is told.

Contract: pure functions of what was read; equal runs give equal cards.
"""

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from huggingface_hub import DatasetCardData, ModelCardData

from hooks.models.licenses import License, hub_id, license_of
from hooks.models.local_files import public_name
from probes.report import summary as summaries
from probes.report.limits import text_weaknesses, weaknesses
from probes.vectors.emotion_vectors import Provenance


def plain(text: object) -> str:
    """Return text that Markdown and HTML show as it is, in one line."""
    line = html.escape(" ".join(str(text).split()), quote=False)
    return "".join(f"\\{letter}" if letter in "\\|`*_[]#" else letter for letter in line)


def table(head: tuple[str, str], rows: Iterable[tuple[object, object]]) -> str:
    """Return a Markdown table of two columns."""
    lines = [f"| {head[0]} | {head[1]} |", "|---|---|"]
    return "\n".join(lines + [f"| {plain(name)} | {plain(value)} |" for name, value in rows])


def numbers(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Rows of the run's own table, without the times."""
    rows = summaries.rows(_public(summary))
    return [(name, value) for name, value in rows if not name.startswith("seconds")]


def _public(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Name the models of a summary without the folders of this machine."""
    told = dict(summary)
    for key, name in (("subject", "model"), ("stories", "writer")):
        if (found := told.get(key)) and found[name] is not None:
            told[key] = {**found, name: public_name(found[name])}
    return told


def limits(summary: Mapping[str, Any]) -> list[str]:
    """One sentence for each thing that was missing or weak in this run, as its report has them."""
    found = weaknesses(_public(summary))
    for name, experiment in summary.get("experiments", {}).items():
        found += [f"{name}: {limit}" for limit in experiment.get("limits", ())]
    return found


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"* {plain(line)}" for line in lines)


def _writer(config: Mapping[str, Any]) -> str | None:
    """Name the model that wrote the texts; None when they are the user's own."""
    if config["corpus"]["stories"] is not None:
        return None
    return config["writer"]["name"] or config["model"]["name"]


def model_card(
    record: Mapping[str, Any],
    summary: Mapping[str, Any],
    provenance: Provenance,
    *,
    repo: str,
    dataset: bool,
    picture: bool,
) -> str:
    """Return the README of the vectors' repository.

    Parameters
    ----------
    record, summary
        Contents of ``run.json`` and ``analysis/summary.json``.
    provenance
        What the vectors were made from.
    repo
        Where they are going, ``user/name``.
    dataset
        Whether the corpus goes to a dataset of the same name.
    picture
        Whether the map of the vectors goes along.
    """
    config, name = record["config"], public_name(provenance.model)
    subject, base = license_of(provenance.model, provenance.revision), hub_id(provenance.model)
    writer = _writer(config)
    data = ModelCardData(
        license=subject.identifier,
        base_model=base,
        datasets=[repo] if dataset else None,
        tags=["emotion", "steering", "interpretability", "control-vectors"],
    )
    target = provenance.layers.index(provenance.target_layer)
    how = [
        ("subject", name),
        ("revision", provenance.revision or "as loaded"),
        ("fingerprint", provenance.fingerprint),
        ("precision", f"{provenance.dtype}, quantization {provenance.quantize or 'none'}"),
        ("read at", f"{provenance.hook_name}, layers {_span(provenance.layers)}"),
        ("target layer", provenance.target_layer),
        ("texts by", "the author's own files" if writer is None else public_name(writer)),
        ("tokens read", f"after the first {provenance.token_offset} content tokens of each text"),
        (
            "neutral components removed",
            f"{provenance.n_neutral_components[target]} at the target layer "
            f"(pca_variance_threshold {config['vectors']['pca_variance_threshold']}, "
            f"{config['vectors']['neutral_pca']} level)",
        ),
        ("seed", config["seed"]),
        ("settings", f"config.yaml, digest {record['config_hash']}"),
        ("versions", ", ".join(f"{k} {v}" for k, v in sorted(provenance.versions.items()))),
    ]
    shown = "\n![Map of the vectors](pca_scatter.png)\n" if picture else ""
    corpus = f"\nThe texts they were made from: the dataset `{repo}`.\n" if dataset else ""
    return f"""---
{data.to_yaml()}
---

# Emotion vectors of {plain(name)}

{len(provenance.emotions)} directions of the residual stream, one per emotion concept, at \
{len(provenance.layers)} layers: the mean over stories that convey an emotion without naming it, \
minus the mean over emotions, with the principal components of emotionally neutral text projected \
out. Made by emotion-lens {plain(provenance.versions.get("emotion-lens", ""))}, which follows \
"Emotion Concepts and their Function in a Large Language Model" (Anthropic, 2026).
{shown}
Emotions: {", ".join(plain(emotion) for emotion in provenance.emotions)}.
{corpus}
## Use

```python
import hooks; from probes import EmotionVectors
model = hooks.load({_loaded(provenance)})
vectors = EmotionVectors.load("hf://{repo}")
vectors.score(model, ["I lost my keys and missed the last train home."])
with hooks.steer(model, vectors.by_layer({provenance.emotions[0]!r}), \
layers=[{provenance.target_layer}], dose=0.1, residual_norm=vectors.norm_by_layer):
    model.generate(["He opened the letter and"], max_new_tokens=40, seed=0)
```

The vectors refuse a model whose fingerprint is not {provenance.fingerprint}, unless `force=True`.
A dose is a fraction of the mean residual norm of a layer.

## How they were made

{table(("", ""), how)}

## What was measured

{table(("", ""), numbers(summary))}

## Limits

{_bullets(limits(summary))}

## Terms

{_bullets(_told_terms(name, subject, writer))}
"""


def _loaded(provenance: Provenance) -> str:
    """Spell the arguments of `hooks.load` that bring the subject back."""
    if public_name(provenance.model) != provenance.model:
        return repr(f"path/to/{public_name(provenance.model)}")
    revision = f", revision={provenance.revision!r}" if provenance.revision else ""
    return f"{provenance.model!r}{revision}"


def _told_terms(name: str, subject: License, writer: str | None) -> list[str]:
    told = [f"Subject model {name}: {subject.words}. Vectors derived from it may be bound by them."]
    if writer is not None:
        told.append(f"Writer {public_name(writer)}: {license_of(writer).words}.")
    return told


def _span(layers: Sequence[int]) -> str:
    whole = list(range(layers[0], layers[-1] + 1))
    if list(layers) == whole and len(layers) > 2:
        return f"{layers[0]} to {layers[-1]}"
    return ", ".join(map(str, layers))


def dataset_card(
    record: Mapping[str, Any],
    summary: Mapping[str, Any],
    provenance: Provenance,
    *,
    repo: str,
    counts: Mapping[str, int],
) -> str:
    """Return the README of the corpus' repository; `counts` maps a kind of text to its number."""
    config = record["config"]
    writer = _writer(config)
    terms = None if writer is None else license_of(writer)
    data = DatasetCardData(
        license=None if terms is None else terms.identifier,
        language="en" if writer is not None else None,
        tags=["emotion", "synthetic"] if writer is not None else ["emotion"],
        configs=[{"config_name": kind, "data_files": f"{kind}.parquet"} for kind in counts],
    )
    by = "the author's own files" if writer is None else plain(public_name(writer))
    sampling = config["generation"]
    told = (
        "The texts are the author's own: their terms are not recorded. Say them here before you "
        "make this public."
        if terms is None
        else f"Writer {public_name(writer or '')}: {terms.words}."
    )
    asked = (
        []
        if writer is None
        else [
            ("writer", public_name(writer)),
            ("sampling", f"temperature {sampling['temperature']}, top_k {sampling['top_k']}"),
            ("longest text", f"{sampling['max_new_tokens']} tokens"),
            ("attempts", f"up to {sampling['max_attempts']} for each text"),
            ("seed", config["seed"]),
        ]
    )
    kept = [row for row in numbers(summary) if row[0].startswith(("stories", "neutral"))]
    listed = "\n".join(f"* `{kind}`: {count} texts" for kind, count in counts.items())
    return f"""---
{data.to_yaml()}
---

# Stories that convey an emotion without naming it

Texts by {by}, from which the emotion vectors `{repo}` were made with emotion-lens \
{plain(provenance.versions.get("emotion-lens", ""))}. A story is about one topic and shows one of \
{len(provenance.emotions)} emotions by actions, body, speech and thoughts; neutral texts are about \
the same topics and show none.

{listed}

## Use

```python
from datasets import load_dataset
stories = load_dataset("{repo}", "stories", split="train")
```

Columns: `emotion` (stories only), `topic`, `index` in its cell, `text`, `writer`, `phrasing` of the
prompt, `attempt` that was kept, `trimmed` back to a full sentence.

Emotions: {", ".join(plain(emotion) for emotion in provenance.emotions)}.

## How they were made

{table(("", ""), [*asked, *kept])}

## Limits

{_bullets(text_weaknesses(summary))}

## Terms

{_bullets([told])}
"""
