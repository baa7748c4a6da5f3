"""Folders to compare: made-up vectors, and stories whose activations follow vectors."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from tiny_vectors import provenance
from torch import Tensor

from hooks import Pooled
from probes.corpus.cells import Cell, Passage, Text, brought_content, write_cell
from probes.storage import write_json
from probes.vectors.activations import by_cell, make_shard, save_shard, shard_path
from probes.vectors.emotion_vectors import EmotionVectors

EMOTIONS = [f"emotion {n}" for n in range(10)]
TOPICS = [f"topic {n}" for n in range(6)]


def bundle(
    seed: int = 0, d_model: int = 24, emotions: list[str] = EMOTIONS, **about: Any
) -> EmotionVectors:
    """Random vectors at two layers; `about` replaces what their provenance says."""
    draws = torch.Generator().manual_seed(seed)
    vectors = torch.randn(2, len(emotions), d_model, generator=draws)
    values = {
        "fingerprint": "a",
        "emotions": emotions,
        "layers": [0, 1],
        "token_offset": 0,
        "n_neutral_components": [0, 0],
        "n_stories": [1] * len(emotions),
        "target_layer": 1,
    }
    made = provenance(**{**values, **about})
    return EmotionVectors(vectors, vectors.clone(), torch.zeros(2, d_model), torch.ones(2), made)


def write_stories(
    root: Path,
    along: Tensor,
    *,
    emotions: list[str] = EMOTIONS,
    topics: list[str] = TOPICS,
    noise: float = 0.7,
    per_cell: bool = False,
    seed: int = 5,
    **about: Any,
) -> None:
    """Write two stories a cell: an offset that all share, a topic's, the emotion's vector, noise.

    `along` are vectors [layer emotion d_model]; `about` replaces what the index says.
    """
    generator = torch.Generator().manual_seed(seed)
    texts = [
        Text(emotion, topic, index, Passage(f"{seed}: {emotion}, {topic}, {index}."))
        for topic in topics
        for emotion in emotions
        for index in range(2)
    ]
    n_layers, _, d_model = along.shape
    offset = 20 * torch.randn(n_layers, d_model, generator=generator)
    of_topic = torch.randn(len(topics), n_layers, d_model, generator=generator)
    rows = [
        offset
        + of_topic[topics.index(text.topic)]
        + along[:, emotions.index(text.emotion or "")]
        + noise * torch.randn(n_layers, d_model, generator=generator)
        for text in texts
    ]
    mean = torch.stack(rows)
    nothing = torch.zeros(0, n_layers, d_model), torch.zeros(0, dtype=torch.long)
    pooled = Pooled(mean, torch.full((len(texts),), 9), mean.norm(dim=2), *nothing)
    half = len(texts) // 2
    for number, part in enumerate((slice(0, half), slice(half, None))):
        read = replace(
            pooled, mean=mean[part], n_tokens=pooled.n_tokens[part], norm=pooled.norm[part]
        )
        shard = make_shard(texts[part], read)
        shard = by_cell(shard) if per_cell else shard
        save_shard(shard_path(root, "stories", number), shard)
    for emotion, topic in dict.fromkeys((text.emotion, text.topic) for text in texts):
        passages = [
            text.passage for text in texts if (text.emotion, text.topic) == (emotion, topic)
        ]
        write_cell(root, Cell(emotion, topic), brought_content(passages))
    index = {"fingerprint": "a", "layers": list(range(n_layers)), "per_cell": per_cell}
    index |= {"made_from": {}, "stories": {"n_shards": 2}, **about}
    write_json(root / "activations" / "index.json", index)
