"""Runs whose activations hold what a test planted, made by the project's own writers.

`plant` writes the texts of a run, then activations in which every row is a sum of parts that the
test names: an emotion's direction, a topic's direction, noise. Vectors are then computed by the
real stage, so an experiment meets a folder like any other.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from small_runs import SmallRun
from torch import Tensor

from hooks import Pooled
from probes import stages
from probes.corpus.cells import Text, read_corpus
from probes.runs.materials import Materials
from probes.runs.models import Models
from probes.runs.reporting import Silent
from probes.storage import write_json
from probes.vectors.activations import by_cell, make_shard, save_shard, shard_path

N_LAYERS = 4
D_MODEL = 48
Row = Callable[[Text, torch.Generator], Tensor]
"""One text's activation at every layer, [layer d_model]."""


def plant(
    made: SmallRun,
    row: Row,
    *,
    index: Mapping[str, Any] | None = None,
    n_tokens: Callable[[Text], int] = lambda _text: 40,
) -> Materials:
    """Write a run up to its vectors; returns what experiments are given."""
    run = made.run()
    run.prepare()
    made.stages("generate-stories", "generate-neutral")
    [stage] = stages.find_stages(["extract-activations"])
    run.begin(stage.name, stage.settings(run), run.input_digests(stage.upstream))
    generator = torch.Generator().manual_seed(0)
    about: dict[str, Any] = {
        "model": "planted",
        "revision": None,
        "fingerprint": "planted",
        "dtype": "float32",
        "quantize": None,
        "backend": "huggingface",
        "hook_name": "blocks.{layer}.hook_resid_post",
        "weight_processing": "none",
        "tokenizer_hash": "",
        "n_layers": N_LAYERS,
        "layers": list(range(N_LAYERS)),
        "per_cell": False,
        "made_from": {},
        **(index or {}),
    }
    for kind, cells in (("stories", run.story_cells), ("neutral", run.neutral_cells)):
        texts = list(read_corpus(run.root, cells))
        shard = make_shard(texts, _pooled(texts, row, generator, n_tokens))
        if kind == "stories" and "single" in about:
            save_shard(shard_path(run.root, "single", 0), shard.at(about["single"]["layers"]))
            about["single"]["n_shards"] = 1
        shard = by_cell(shard) if about["per_cell"] else shard
        save_shard(shard_path(run.root, kind, 0), shard)
        about[kind] = {"n_shards": 1, "n_texts": len(texts), "n_tokens": 1, "dropped": 0}
    write_json(run.root / "activations" / "index.json", about)
    run.finish(stage.name, stages.outputs(run, stage), {}, 0.0)
    made.stage("compute-vectors")
    return materials(made)


def materials(made: SmallRun, **overrides: Any) -> Materials:
    """What experiments of a run are given."""
    run = made.run(**overrides)
    return Materials(run, Models(run.config), Silent())


def _pooled(
    texts: Sequence[Text],
    row: Row,
    generator: torch.Generator,
    n_tokens: Callable[[Text], int],
) -> Pooled:
    mean = torch.stack([row(text, generator) for text in texts])
    return Pooled(
        mean,
        torch.tensor([n_tokens(text) for text in texts]),
        mean.norm(dim=2),
        torch.zeros(0, *mean.shape[1:]),
        torch.zeros(0, dtype=torch.long),
    )


def directions(names: Sequence[str], seed: int, d_model: int = D_MODEL) -> dict[str, Tensor]:
    """One random unit direction per name."""
    drawn = torch.randn(len(names), d_model, generator=torch.Generator().manual_seed(seed))
    return dict(zip(names, drawn / drawn.norm(dim=1, keepdim=True), strict=True))


def emotion_rows(
    emotions: Sequence[str],
    topics: Sequence[str],
    *,
    strength: Sequence[float],
    topic_strength: float = 0.0,
    noise: float = 0.1,
    shared: float = 0.0,
) -> Row:
    """Rows of emotion and topic directions in noise, with a strength of the emotion per layer.

    Parameters
    ----------
    shared
        Length of an offset that all rows share.
    """
    own, about = directions(emotions, 1), directions(topics, 2)
    offset = shared * directions(["offset"], 3)["offset"]

    def row(text: Text, generator: torch.Generator) -> Tensor:
        layers = []
        for amount in strength:
            value = offset + noise * torch.randn(D_MODEL, generator=generator)
            value = value + topic_strength * about[text.topic]
            layers.append(value + amount * own[text.emotion] if text.emotion else value)
        return torch.stack(layers)

    return row
