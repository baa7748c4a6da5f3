"""Activations to vectors: mean difference, neutral components projected out."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from hooks import DataError
from probes.corpus import reference
from probes.corpus.cells import digest_of_texts, read_corpus
from probes.experiments.folds import TopicFolds, accuracy_by_layer, best_layer
from probes.runs.folder import Run, versions
from probes.runs.materials import Materials
from probes.runs.models import Models
from probes.runs.reporting import Reporter
from probes.stages.checks import check_target
from probes.vectors.activations import load_shards
from probes.vectors.bundle import OTHERS, Provenance, mean_residual_norm
from probes.vectors.denoising import MeanAccumulator, mean_difference, project_out
from probes.vectors.emotion_vectors import EmotionVectors
from probes.vectors.zero import Zero, zero_of


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
    provenance = Provenance(
        **{field.name: index[field.name] for field in fields(Provenance) if field.name in index},
        emotions=emotions,
        corpus_hash=digest_of_texts(read_corpus(run.root, run.texts.all_cells)),
        config_hash=run.settings_hash(),
        token_offset=run.config.activation.token_offset,
        n_neutral_components=[len(rows) for rows in components],
        n_stories=means.counts.tolist(),
        target_layer=target,
        target_layer_rule=chosen_by["rule"],
        way=run.way,
        corpus=reference.named(run.config.corpus.stories),
        versions=versions(),
    )
    bundle = EmotionVectors(
        vectors=denoised.float(),
        raw=raw.float(),
        global_mean=global_mean.float(),
        residual_norm=mean_residual_norm(torch.cat(norms), torch.cat(tokens)),
        provenance=provenance,
        others=_other_ways(materials, components),
    )
    zeros, n_neutral = _zeros(materials, bundle)
    bundle = replace(bundle, zeros=zeros)
    bundle.save(run.root / "vectors")
    return {
        "emotions": len(emotions),
        "ways": bundle.ways,
        "way": run.way,
        "neutral_texts_of_zero": n_neutral,
        "n_neutral_components": provenance.n_neutral_components,
        "neutral_variance_removed": [materials.neutral_share(n) for n in materials.layers],
        "target_layer": {"layer": target, **chosen_by},
    }


def _other_ways(
    materials: Materials, components: Sequence[Float[Tensor, "_component d_model"]]
) -> dict[str, Float[Tensor, "layer emotion d_model"]]:
    """Vectors of what is said and of what is carried on, made as those of what is shown."""
    others = {}
    for way in set(OTHERS) & set(materials.ways):
        layers = []
        for layer, basis in zip(materials.layers, components, strict=True):
            rows = materials.way(way, layer)
            means = MeanAccumulator(len(materials.emotions), 1, materials.d_model)
            means.add(rearrange(rows.mean, "row d -> row 1 d"), rows.emotion)
            [vectors], _ = mean_difference(means.means())
            layers.append(project_out(vectors, basis).float())
        others[way] = torch.stack(layers)
    return {way: others[way] for way in OTHERS if way in others}


def _zeros(materials: Materials, bundle: EmotionVectors) -> tuple[dict[str, Zero], int]:
    """Return what neutral texts score, and how many; nothing where there are fewer than two.

    They are those told in the stories' places, where there are such, else the dialogues.
    """
    per_layer: dict[str, list[Tensor]] = {way: [] for way in bundle.ways}
    rows = torch.zeros(0)
    for layer in bundle.layers:
        if materials.has_matched:
            rows = materials.matched(layer)
        else:
            rows, _ = materials.neutral_samples("document", layer)
        if len(rows) < 2:
            return {}, len(rows)
        for way, cosines in per_layer.items():
            cosines.append(bundle.using(way).cosine(rows, layer))
    return {way: zero_of(cosines) for way, cosines in per_layer.items()}, len(rows)


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
