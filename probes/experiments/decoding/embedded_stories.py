"""What a model knows of stories and names before any block has run: its input embeddings."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from hooks import FromToken, LanguageModel
from hooks.reading.embeddings import input_embedding, mean_input_embedding
from probes.analysis.held_out import centered
from probes.corpus.cells import read_corpus
from probes.experiments.decoding.robustness import Sample, choice_of_run
from probes.experiments.folds import TopicFolds, basis_of
from probes.experiments.steering.word_effects import first_tokens
from probes.runs.materials import Materials


def name_embeddings(
    model: LanguageModel, emotions: Sequence[str]
) -> Float[Tensor, "emotion d_embedding"]:
    """Mean input embedding of the tokens of each emotion's word, less the mean over emotions."""
    matrix = input_embedding(model)
    rows = [
        matrix[torch.tensor(ids, device=matrix.device)].float().mean(dim=0).cpu()
        for ids in first_tokens(model, emotions)
    ]
    return centered(torch.stack(rows).detach())


def embedded_stories(materials: Materials, model: LanguageModel, folds: TopicFolds) -> Sample:
    """Mean input embedding of the tokens of every row's own text, and of neutral documents."""
    offset = FromToken(materials.config.activation.token_offset)
    texts = list(read_corpus(materials.run.root, materials.run.story_cells))
    own = [FromToken(0) if text.passage.opening else offset for text in texts]
    embedded = mean_input_embedding(model, [text.text for text in texts], own)
    groups: dict[tuple[Any, ...], list[Tensor]] = {}
    for text, row in zip(texts, embedded, strict=True):
        if row.isfinite().all():
            key = (text.emotion, text.topic, -1 if materials.index["per_cell"] else text.index)
            groups.setdefault(key, []).append(row)
    stories = materials.rows
    keys = torch.stack([stories.emotion, stories.topic, stories.index], dim=1).tolist()
    rows = [
        torch.stack(groups[materials.emotions[emotion], materials.topics[topic], index]).mean(dim=0)
        for emotion, topic, index in keys
    ]
    neutral = list(read_corpus(materials.run.root, materials.run.neutral_cells))
    samples = mean_input_embedding(model, [text.text for text in neutral], offset)
    usable = samples.isfinite().all(dim=1)
    topics = [text.topic for text, use in zip(neutral, usable.tolist(), strict=True) if use]
    threshold = choice_of_run(materials).threshold
    basis = basis_of(samples[usable], topics, folds.excluded, threshold)
    return Sample(torch.stack(rows), folds.design, folds.excluded, {}, basis)
