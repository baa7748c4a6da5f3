"""Texts to activations: `resid_post` of every text, averaged over its tokens, in shards."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hooks import DataError
from hooks.memory import DEFAULT_BATCH_TOKENS
from probes.config import Config
from probes.config.whole import default_target_layer
from probes.corpus.cells import Cell, count_texts, read_corpus
from probes.runs.folder import Run
from probes.runs.materials import Materials
from probes.runs.models import Models
from probes.runs.reporting import Reporter
from probes.runs.workers import Job, Workers, workers
from probes.stages.checks import check_layers
from probes.stages.early_map import draw_first_map
from probes.stages.units import Reader, ReadingUnit
from probes.storage import digest_of, write_json
from probes.vectors.activations import (
    INDEX,
    Kind,
    by_cell,
    check_origin,
    load_shards,
    plan_shards,
    save_shard,
    shard_path,
)


def extract_activations(run: Run, models: Models, reporter: Reporter) -> dict[str, Any]:
    """Read every text at every wanted layer; leaves ``activations/``."""
    texts = run.texts
    # What is said is read first, and what it needs to be drawn: stories take longest.
    cells: dict[Kind, list[Cell]] = {
        "neutral": run.neutral_cells,
        "said": texts.said_cells,
        "stories": run.story_cells,
        "matched": texts.matched_cells,
    }
    corpora: dict[Kind, _Corpus] = {
        kind: _Corpus.open(run, of_kind)
        for kind, of_kind in cells.items()
        if of_kind or kind in ("stories", "neutral")
    }
    _require_texts(run, corpora["stories"], corpora["neutral"])
    with workers(run.config.compute, *_readers(run.config, models)) as readers:
        index = _read(run, models, readers, reporter, corpora)
    write_json(run.root / INDEX, index)
    dropped = sum(index[kind]["dropped"] for kind in corpora)
    if dropped:
        reporter.note(
            f"{dropped} texts had no token after the first {run.config.activation.token_offset} "
            "and were left out."
        )
    return {key: index[key] for key in (*corpora, "layers", "dtype", "backend", "beginning")}


def _readers(config: Config, models: Models) -> tuple[Callable[[], Job], Callable[[], Job]]:
    """Return how a reader is made in this process, and in another one."""
    if config.activation.engine == "local":
        return functools.partial(Reader, config, models), functools.partial(Reader, config)
    from probes.stages.vllm_engines import VllmReader

    return functools.partial(VllmReader, config), functools.partial(VllmReader, config)


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
    run: Run,
    models: Models,
    readers: Workers,
    reporter: Reporter,
    corpora: Mapping[Kind, _Corpus],
) -> dict[str, Any]:
    """Read all shards that are not there, and draw what is said; return the index."""
    model = readers.about()
    for note in readers.notes():
        reporter.note(note)
    run.pin_model("extract-activations", "model", model)
    settings = run.config.activation
    layers = check_layers(run, model["n_layers"])
    n_bytes = corpora["stories"].total * len(layers) * model["d_model"] * 4
    per_cell = settings.keep == "cell" or (
        settings.keep == "auto" and n_bytes > settings.max_gigabytes * 1e9
    )
    single = single_layers(run.config, layers, model["n_layers"]) if per_cell else []
    if per_cell:
        why = (
            "activation.keep=cell"
            if settings.keep == "cell"
            else f"{n_bytes / 1e9:.1f} GB of single stories at every layer are above "
            f"activation.max_gigabytes={settings.max_gigabytes:g}"
        )
        reporter.note(
            f"one mean per (emotion, topic) is kept, and single stories at layers {single}: {why}."
        )
    begun = run.record("extract-activations")
    index: dict[str, Any] = {
        "model": model["name"],
        **{key: model[key] for key in model if key not in ("name", "d_model")},
        "layers": layers,
        "per_cell": per_cell,
        "made_from": {
            **{key: model[key] for key in ("fingerprint", "dtype", "backend")},
            **{key: digest_of(getattr(begun, key, None)) for key in ("settings", "inputs")},
        },
    }
    # One begun when sizes were still measured goes on with its own: another would round otherwise.
    batch_tokens = settings.batch_tokens or (begun and begun.batch_tokens) or DEFAULT_BATCH_TOKENS
    for kind, corpus in corpora.items():
        shards = plan_shards(corpus.n_texts, settings.shard_size)
        how = {
            "layers": tuple(layers),
            "kind": kind,
            "batch_tokens": batch_tokens,
        }
        apart = [layers.index(layer) for layer in single] if kind == "stories" else []
        _read_shards(run, readers, reporter, corpus, shards, how, index["made_from"], apart)
        index[kind] = {"n_shards": len(shards)}
        index[kind] |= _totals(run, kind, index)
        if apart:
            index["single"] = {**index[kind], "layers": single}
        if kind == "said":
            draw_first_map(Materials(run, models, reporter, index=index))
    return index


def single_layers(config: Config, layers: Sequence[int], n_layers: int) -> list[int]:
    """Return where single stories are kept in any case: the target layer and its neighbors.

    Of a target that is chosen later, the one that is analyzed by default.
    """
    target = config.target_layer(n_layers)
    if target is None:
        target = default_target_layer(n_layers)
    return [layer for layer in layers if abs(layer - target) <= 1]


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
    held = zip(stories.cells, stories.n_texts, strict=True)
    empty = sorted(set(run.emotions) - {cell.emotion for cell, number in held if number})
    if empty:
        raise DataError(
            f"no usable story for: {', '.join(empty)}. Raise generation.max_attempts and write "
            "again: only what is missing is tried. Or raise generation.max_new_tokens, lower "
            "generation.min_words or use a stronger writer, and write everything again: "
            f"python -m probes.run {run.source} --restart generate-stories"
        )
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
    corpus: _Corpus,
    shards: Sequence[Sequence[int]],
    how: dict[str, Any],
    made_from: dict[str, str],
    single: Sequence[int],
) -> None:
    """Read what is not there; with positions of single stories, the rest is kept by cell."""
    kind: Kind = how["kind"]
    paths = [shard_path(run.root, kind, number) for number in range(len(shards))]
    alone = (
        [shard_path(run.root, "single", number) for number in range(len(shards))] if single else []
    )
    kept = list(zip(paths, alone, strict=True)) if single else [(path,) for path in paths]
    todo = [number for number, files in enumerate(kept) if not all(map(Path.exists, files))]
    for path in filter(Path.exists, (*paths, *alone)):
        check_origin(path, made_from)
    left = sum(corpus.n_texts[cell] for number in todo for cell in shards[number])

    def units() -> Iterator[ReadingUnit]:
        for number in todo:
            cells = [corpus.cells[cell] for cell in shards[number]]
            yield ReadingUnit(number, tuple(read_corpus(run.root, cells)), **how)

    with reporter.task(f"reading {kind}", corpus.total, "texts", corpus.total - left) as advance:
        for unit, shard in readers.map(units(), advance):
            if single:  # first: where the cells are there, so are they
                save_shard(alone[unit.number], shard.at(single), made_from)
                shard = by_cell(shard)  # noqa: PLW2901 - or both would be held
            save_shard(paths[unit.number], shard, made_from)
            del unit, shard  # or they would be held while the next is read
