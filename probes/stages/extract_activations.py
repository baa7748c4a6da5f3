"""Stages that read the subject: texts to activations, activations to vectors."""

import functools
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hooks import DataError
from probes.corpus.cells import Cell, count_texts, read_corpus
from probes.experiments.folds import Folds, accuracy_by_layer, best_layer
from probes.runs.folder import Run, versions
from probes.runs.materials import INDEX, Materials, removed_components
from probes.runs.models import Models
from probes.runs.reporting import Reporter
from probes.runs.workers import Workers, workers
from probes.stages.checks import check_layers, check_target
from probes.stages.units import Reading, ReadingUnit, TuningUnit
from probes.storage import digest_of, write_json
from probes.vectors.activations import (
    Kind,
    check_origin,
    load_shards,
    plan_shards,
    save_shard,
    shard_path,
)
from probes.vectors.denoising import MeanAccumulator, mean_difference, project_out
from probes.vectors.emotion_vectors import EmotionVectors, Provenance, mean_residual_norm


def extract_activations(run: Run, models: Models, reporter: Reporter) -> dict[str, Any]:
    """Read every text at every wanted layer; leaves ``activations/``."""
    stories, neutral = (_Corpus.open(run, c) for c in (run.story_cells, run.neutral_cells))
    _require_texts(run, stories, neutral)
    here = functools.partial(Reading, run.config, models)
    with workers(run.config.compute, here, functools.partial(Reading, run.config)) as readers:
        index = _read(run, readers, reporter, stories, neutral)
    write_json(run.root / INDEX, index)
    dropped = index["stories"]["dropped"] + index["neutral"]["dropped"]
    if dropped:
        reporter.note(
            f"{dropped} texts had no token after the first {run.config.activation.token_offset} "
            "and were left out."
        )
    return {key: index[key] for key in ("stories", "neutral", "layers", "dtype", "backend")}


@dataclass(frozen=True)
class _Corpus:
    """Which texts there are; they are read shard by shard."""

    cells: list[Cell]
    n_texts: list[int]

    @classmethod
    def open(cls, run: Run, cells: list[Cell]) -> "_Corpus":
        return cls(cells, count_texts(run.root, cells))

    @property
    def total(self) -> int:
        return sum(self.n_texts)


def _read(
    run: Run, readers: Workers, reporter: Reporter, stories: _Corpus, neutral: _Corpus
) -> dict[str, Any]:
    """Read all shards that are not there; return the index."""
    model = readers.about()
    for note in readers.notes():
        reporter.note(note)
    run.pin_model("extract-activations", "model", model)
    settings = run.config.activation
    layers = check_layers(run, model["n_layers"])
    n_bytes = stories.total * len(layers) * model["d_model"] * 4
    per_cell = settings.keep == "cell" or (
        settings.keep == "auto" and n_bytes > settings.max_gigabytes * 1e9
    )
    if per_cell:
        reporter.note(
            f"one mean per (emotion, topic) is kept: {n_bytes / 1e9:.1f} GB of single stories are "
            f"above activation.max_gigabytes={settings.max_gigabytes:g}."
        )
    index: dict[str, Any] = {
        "model": model["name"],
        **{key: model[key] for key in model if key not in ("name", "d_model")},
        "layers": layers,
        "per_cell": per_cell,
        "made_from": _origin(run, model),
    }
    batch_tokens = settings.batch_tokens or run.keep(
        "extract-activations", "batch_tokens", lambda: _tuned(readers, max(layers))
    )
    kinds: list[tuple[Kind, _Corpus]] = [("stories", stories), ("neutral", neutral)]
    for kind, corpus in kinds:
        shards = plan_shards(corpus.n_texts, settings.shard_size)
        how = {
            "layers": tuple(layers),
            "kind": kind,
            "per_cell": per_cell and kind == "stories",
            "batch_tokens": batch_tokens,
        }
        made_from = index["made_from"]
        _read_shards(run, readers, reporter, kind, corpus, shards, how, made_from)
        index[kind] = {"n_shards": len(shards)}
        index[kind] |= _totals(run, kind, index)
    return index


def _target_layer(materials: Materials) -> tuple[int, dict[str, Any]]:
    """Return the target layer, and by what it was chosen."""
    run, index = materials.run, materials.index
    target = run.config.target_layer(index["n_layers"])
    check_target(run, target, materials.layers)
    if target is not None:
        rule = "2/3 of depth" if run.config.model.target_layer is None else "set"
        return target, {"rule": rule}
    folds = Folds(materials, run.config.validation.n_folds)
    accuracy = accuracy_by_layer(folds, materials.layers)
    by_layer = {str(layer): round(value, 6) for layer, value in accuracy.items()}
    return best_layer(accuracy), {"rule": "held-out topics", "accuracy": by_layer}


def _tuned(readers: Workers, last_layer: int) -> int:
    [(_, batch_tokens)] = readers.map([TuningUnit(last_layer)], lambda _count: None)
    return batch_tokens


def _origin(run: Run, model: dict[str, Any]) -> dict[str, str]:
    """Say what this run's shards are made from: model, settings, texts."""
    record = run.record("extract-activations") or {}
    loaded = {key: model[key] for key in ("fingerprint", "dtype", "backend")}
    made_from = {key: digest_of(record.get(key)) for key in ("settings", "inputs")}
    return {**loaded, **made_from}


def _totals(run: Run, kind: Kind, index: dict[str, Any]) -> dict[str, int]:
    """Count what the shards hold, one after another."""
    totals = {"n_texts": 0, "n_tokens": 0, "dropped": 0}
    for shard in load_shards(run.root, kind, index):
        totals["n_texts"] += int(shard.n_texts.sum())
        totals["n_tokens"] += int(shard.n_tokens.sum())
        totals["dropped"] += shard.dropped
        del shard  # or it would be held while the next is loaded
    return totals


def _require_texts(run: Run, stories: _Corpus, neutral: _Corpus) -> None:
    cure = (
        "Raise generation.max_attempts and write again: only what is missing is tried. Or raise "
        "generation.max_new_tokens, lower generation.min_words or use a stronger writer, and write "
        f"everything again: python -m probes.run {run.source} --restart generate-stories"
    )
    held = zip(stories.cells, stories.n_texts, strict=True)
    empty = sorted(set(run.emotions) - {cell.emotion for cell, number in held if number})
    if empty:
        raise DataError(f"no usable story for: {', '.join(empty)}. {cure}")
    if neutral.total < 2 and run.config.vectors.neutral_pca != "none":
        raise DataError(
            f"expected at least two neutral texts, got {neutral.total}: their components are "
            "removed from the vectors. Write some (generate-neutral, or corpus.neutral), or set "
            "vectors.neutral_pca=none."
        )


def _read_shards(
    run: Run,
    readers: Workers,
    reporter: Reporter,
    kind: Kind,
    corpus: _Corpus,
    shards: Sequence[Sequence[int]],
    how: dict[str, Any],
    made_from: dict[str, str],
) -> None:
    todo = [n for n in range(len(shards)) if not shard_path(run.root, kind, n).exists()]
    for number in set(range(len(shards))) - set(todo):
        check_origin(shard_path(run.root, kind, number), made_from)
    left = sum(corpus.n_texts[cell] for number in todo for cell in shards[number])

    def units() -> Iterator[ReadingUnit]:
        for number in todo:
            cells = [corpus.cells[cell] for cell in shards[number]]
            yield ReadingUnit(number, tuple(read_corpus(run.root, cells)), **how)

    with reporter.task(f"reading {kind}", corpus.total, "texts", corpus.total - left) as advance:
        for unit, shard in readers.map(units(), advance):
            save_shard(shard_path(run.root, kind, unit.number), shard, made_from)
            del unit, shard  # or they would be held while the next is read


def _cells_hash(run: Run, cells: Sequence[Cell]) -> str:
    digest = hashlib.sha256()
    for text in read_corpus(run.root, cells):
        digest.update(repr((text.emotion, text.topic, text.index, text.text)).encode())
    return digest.hexdigest()[:16]


def compute_vectors(run: Run, models: Models, reporter: Reporter) -> dict[str, Any]:
    """Mean difference with neutral components projected out; leaves ``vectors/``."""
    materials = Materials(run, models, reporter)
    index = materials.index
    target, chosen_by = _target_layer(materials)
    emotions = list(run.emotions)
    place = {emotion: number for number, emotion in enumerate(emotions)}
    means: MeanAccumulator | None = None
    norms, tokens = [], []
    for shard in load_shards(run.root, "stories", index):
        if means is None:
            means = MeanAccumulator(len(emotions), *shard.mean.shape[1:])
        if foreign := {row.emotion for row in shard.rows} - set(place):
            raise DataError(
                f"expected activations of {', '.join(emotions)}, got {foreign} as well. Read the "
                f"texts again: python -m probes.run {run.source} --restart extract-activations"
            )
        owner = torch.tensor([place[row.emotion or ""] for row in shard.rows], dtype=torch.long)
        means.add(shard.mean, owner, shard.n_texts)
        norms.append(shard.norm)
        tokens.append(shard.n_tokens)
    if means is None or (means.counts == 0).any():
        counts = means.counts.tolist() if means is not None else [0] * len(emotions)
        empty = [name for name, number in zip(emotions, counts, strict=True) if number == 0]
        raise DataError(
            f"no usable story for: {', '.join(empty)} (all were shorter than "
            f"activation.token_offset={run.config.activation.token_offset} tokens). Lower it, or "
            "write longer stories."
        )
    raw, global_mean = mean_difference(means.means())
    components, shares = removed_components(run, index)
    denoised = torch.stack(
        [project_out(vectors, rows) for vectors, rows in zip(raw, components, strict=True)]
    )
    provenance = Provenance(
        emotions=emotions,
        layers=index["layers"],
        model=index["model"],
        revision=index["revision"],
        fingerprint=index["fingerprint"],
        tokenizer_hash=index["tokenizer_hash"],
        dtype=index["dtype"],
        quantize=index["quantize"],
        hook_name=index["hook_name"],
        weight_processing=index["weight_processing"],
        backend=index["backend"],
        corpus_hash=_cells_hash(run, [*run.story_cells, *run.neutral_cells]),
        config_hash=run.settings_hash(),
        token_offset=run.config.activation.token_offset,
        n_neutral_components=[len(rows) for rows in components],
        n_stories=means.counts.tolist(),
        target_layer=target,
        target_layer_rule=chosen_by["rule"],
        versions=versions(),
    )
    bundle = EmotionVectors(
        vectors=denoised.float(),
        raw=raw.float(),
        global_mean=global_mean.float(),
        residual_norm=mean_residual_norm(torch.cat(norms), torch.cat(tokens)),
        provenance=provenance,
    )
    bundle.save(run.root / "vectors")
    return {
        "emotions": len(emotions),
        "n_neutral_components": provenance.n_neutral_components,
        "neutral_variance_removed": shares,
        "target_layer": {"layer": target, **chosen_by},
    }
