"""Activations to vectors: mean difference, neutral components projected out."""

import hashlib
from dataclasses import fields
from typing import Any

import torch

from hooks import DataError
from probes.corpus.cells import read_corpus
from probes.experiments.folds import TopicFolds, accuracy_by_layer, best_layer
from probes.runs.folder import Run, versions
from probes.runs.materials import Materials
from probes.runs.models import Models
from probes.runs.reporting import Reporter
from probes.stages.checks import check_target
from probes.vectors.activations import load_shards
from probes.vectors.denoising import MeanAccumulator, mean_difference, project_out
from probes.vectors.emotion_vectors import EmotionVectors, Provenance, mean_residual_norm


def compute_vectors(run: Run, models: Models, reporter: Reporter) -> dict[str, Any]:
    """Mean difference with neutral components projected out; leaves ``vectors/``."""
    materials = Materials(run, models, reporter)
    index = materials.index
    target, chosen_by = _target_layer(materials)
    emotions = list(run.emotions)
    position = {emotion: number for number, emotion in enumerate(emotions)}
    means: MeanAccumulator | None = None
    norms, tokens = [], []
    for shard in load_shards(run.root, "stories", index):
        if means is None:
            means = MeanAccumulator(len(emotions), *shard.mean.shape[1:])
        if foreign := {row.emotion for row in shard.rows} - set(position):
            raise DataError(
                f"expected activations of {', '.join(emotions)}, got {foreign} as well. Read the "
                f"texts again: python -m probes.run {run.source} --restart extract-activations"
            )
        owner = torch.tensor([position[row.emotion or ""] for row in shard.rows], dtype=torch.long)
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
    components = [materials.neutral_components(layer) for layer in materials.layers]
    denoised = torch.stack(
        [project_out(vectors, rows) for vectors, rows in zip(raw, components, strict=True)]
    )
    corpus_hash = hashlib.sha256()
    for text in read_corpus(run.root, [*run.story_cells, *run.neutral_cells]):
        corpus_hash.update(repr((text.emotion, text.topic, text.index, text.text)).encode())
    provenance = Provenance(
        **{field.name: index[field.name] for field in fields(Provenance) if field.name in index},
        emotions=emotions,
        corpus_hash=corpus_hash.hexdigest()[:16],
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
        "neutral_variance_removed": [materials.neutral_share(n) for n in materials.layers],
        "target_layer": {"layer": target, **chosen_by},
    }


def _target_layer(materials: Materials) -> tuple[int, dict[str, Any]]:
    """Return the target layer, and by what it was chosen."""
    run, index = materials.run, materials.index
    target = run.config.target_layer(index["n_layers"])
    check_target(run, target, materials.layers)
    if target is not None:
        rule = "2/3 of depth" if run.config.model.target_layer is None else "set"
        return target, {"rule": rule}
    folds = TopicFolds(materials, run.config.validation.n_folds)
    accuracy = accuracy_by_layer(folds, materials.layers)
    by_layer = {str(layer): round(value, 6) for layer, value in accuracy.items()}
    return best_layer(accuracy), {"rule": "held-out topics", "accuracy": by_layer}
