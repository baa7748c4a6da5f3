"""What an experiment may use: a run's vectors, activations, texts and models.

Contract
--------
* Reads files and loads models when they are asked for, at most once; computes nothing but
  selection and sums.
* Layers are the model's own numbers, not places on the axis of what was kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from einops import einsum, rearrange
from jaxtyping import Float, Int
from torch import Tensor

from hooks import DataError, InvalidInput, LanguageModel
from probes.config import Config
from probes.corpus.cells import read_corpus
from probes.runs.folder import Run
from probes.runs.models import Models
from probes.runs.reporting import Reporter
from probes.storage import read_json
from probes.vectors.activations import load_shards
from probes.vectors.denoising import neutral_components
from probes.vectors.emotion_vectors import EmotionVectors

INDEX = "activations/index.json"


@dataclass(frozen=True)
class Stories:
    """Pooled activations of a run's stories at one layer.

    Attributes
    ----------
    mean
        Mean residual over each row's tokens, [row d_model].
    emotion, topic
        Places in `Materials.emotions` and `Materials.topics`, [row].
    index
        Index of the story in its cell, [row]; -1 where a row is the mean of a cell's stories.
    n_tokens, n_texts
        Tokens and stories that a row is the mean of, [row].
    """

    mean: Float[Tensor, "row d_model"]
    emotion: Int[Tensor, "row"]
    topic: Int[Tensor, "row"]
    index: Int[Tensor, "row"]
    n_tokens: Int[Tensor, "row"]
    n_texts: Int[Tensor, "row"]


class Materials:
    """Everything a finished extraction offers to an experiment."""

    def __init__(self, run: Run, models: Models, reporter: Reporter) -> None:
        self.run = run
        self.models = models
        self.reporter = reporter

    @property
    def config(self) -> Config:
        """The run's settings."""
        return self.run.config

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.run.config.seed

    @cached_property
    def vectors(self) -> EmotionVectors:
        """The run's emotion vectors."""
        return EmotionVectors.load(self.run.root)

    @property
    def layer(self) -> int:
        """The target layer."""
        return self.vectors.provenance.target_layer

    @property
    def emotions(self) -> list[str]:
        """Emotions in the order of the vectors."""
        return list(self.run.emotions)

    @cached_property
    def topics(self) -> list[str]:
        """Topics in the order of the corpus."""
        return list(dict.fromkeys(cell.topic for cell in self.run.story_cells))

    @cached_property
    def index(self) -> dict[str, Any]:
        """What the extraction recorded: model, layers, dtype, counts."""
        return read_json(self.run.root / INDEX)

    @property
    def layers(self) -> list[int]:
        """Layers of the model whose activations were kept."""
        return self.index["layers"]

    def subject(self) -> LanguageModel:
        """Return the model under study, checked to be the one the vectors were made from."""
        model = self.models.subject()
        self.vectors.check_model(model)
        return model

    def stories(self, layer: int | None = None) -> Stories:
        """Return every story's activation at one layer; None is the target layer."""
        place = self._place(layer)
        emotions = {name: number for number, name in enumerate(self.emotions)}
        topics = {name: number for number, name in enumerate(self.topics)}
        means, emotion, topic, index, n_tokens, n_texts = [], [], [], [], [], []
        for shard in load_shards(self.run.root, "stories", self.index):
            means.append(shard.mean[:, place])
            n_tokens.append(shard.n_tokens)
            n_texts.append(shard.n_texts)
            emotion += [emotions[row.emotion or ""] for row in shard.rows]
            topic += [topics[row.topic] for row in shard.rows]
            index += [-1 if row.index is None else row.index for row in shard.rows]
        if not means:
            raise DataError("no activations of stories; run extract-activations again.")
        return Stories(
            torch.cat(means),
            torch.tensor(emotion),
            torch.tensor(topic),
            torch.tensor(index),
            torch.cat(n_tokens),
            torch.cat(n_texts),
        )

    def texts(self, stories: Stories) -> list[str]:
        """Return the text of every row.

        Raises
        ------
        DataError
            When rows are means of cells: then no row has one text.
        """
        if (stories.index < 0).any():
            raise DataError(
                "activations were kept per cell, not per story; set activation.keep=story and "
                "extract again."
            )
        known = {
            (text.emotion, text.topic, text.index): text.text
            for text in read_corpus(self.run.root, self.run.story_cells)
        }
        keys = zip(
            stories.emotion.tolist(), stories.topic.tolist(), stories.index.tolist(), strict=True
        )
        return [known[self.emotions[e], self.topics[t], index] for e, t, index in keys]

    def neutral(self, layer: int | None = None) -> Float[Tensor, "text d_model"]:
        """Return every neutral text's activation at one layer."""
        return self.neutral_samples("document", layer)[0]

    def neutral_samples(
        self, kind: Literal["document", "token"], layer: int | None = None
    ) -> tuple[Float[Tensor, "sample d_model"], list[str]]:
        """Return neutral samples at one layer, and the topic of each."""
        place = self._place(layer)
        per_text = self.config.activation.neutral_tokens_per_text
        samples, topics = [], []
        for shard in load_shards(self.run.root, "neutral", self.index):
            samples.append((shard.tokens if kind == "token" else shard.mean)[:, place])
            for row, n_tokens in zip(shard.rows, shard.n_tokens.tolist(), strict=True):
                topics += [row.topic] * (min(per_text, n_tokens) if kind == "token" else 1)
        if not samples:
            return torch.zeros(0, self.stories(layer).mean.shape[1]), []
        return torch.cat(samples), topics

    def neutral_components(self, layer: int | None = None) -> Float[Tensor, "component d_model"]:
        """Return the neutral components that were removed from the vectors at one layer."""
        components, _ = removed_components(self.run, self.index)
        return components[self._place(layer)].double()

    def cell_sums(
        self, layer: int | None = None
    ) -> tuple[Float[Tensor, "emotion topic d_model"], Float[Tensor, "emotion topic"]]:
        """Return sums and story counts of every cell at one layer, in float64."""
        stories = self.stories(layer)
        n_emotions, n_topics = len(self.emotions), len(self.topics)
        cell = stories.emotion * n_topics + stories.topic
        weight = stories.n_texts.double()
        sums = torch.zeros(n_emotions * n_topics, stories.mean.shape[1], dtype=torch.float64)
        counts = torch.zeros(n_emotions * n_topics, dtype=torch.float64)
        weighted = einsum(stories.mean.double(), weight, "row d_model, row -> row d_model")
        sums.index_add_(0, cell, weighted)
        counts.index_add_(0, cell, weight)
        return (
            rearrange(sums, "(emotion topic) d_model -> emotion topic d_model", topic=n_topics),
            rearrange(counts, "(emotion topic) -> emotion topic", topic=n_topics),
        )

    def _place(self, layer: int | None) -> int:
        chosen = self.layer if layer is None else layer
        if chosen not in self.layers:
            raise InvalidInput(f"no activations at layer {chosen}; expected one of {self.layers}.")
        return self.layers.index(chosen)


def removed_components(
    run: Run, index: dict[str, Any]
) -> tuple[Sequence[Float[Tensor, "component d_model"]], list[float]]:
    """Neutral components per layer, and the share of neutral variance they hold.

    Raises
    ------
    DataError
        When there are fewer than two neutral samples to take components from.
    """
    settings = run.config.vectors
    n_layers = len(index["layers"])
    if settings.neutral_pca == "none":
        shard = next(load_shards(run.root, "stories", index))
        return [torch.zeros(0, shard.mean.shape[2]) for _ in range(n_layers)], [0.0] * n_layers
    shards = list(load_shards(run.root, "neutral", index))
    tokens = settings.neutral_pca == "token"
    samples = torch.cat([shard.tokens if tokens else shard.mean for shard in shards])
    if len(samples) < 2:
        raise DataError(
            f"expected at least two neutral {settings.neutral_pca} samples after the first "
            f"{run.config.activation.token_offset} tokens, got {len(samples)}. Write more or "
            "longer neutral text, lower activation.token_offset, or set vectors.neutral_pca=none."
        )
    found = neutral_components(samples, settings.pca_variance_threshold)
    return found.directions, [float(ratio.sum()) for ratio in found.explained_variance_ratio]
