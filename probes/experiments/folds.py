"""A run's activations, ready to be read on topics that no vector was made from.

Topics are dealt into folds; neutral components come from neutral text on the topics outside a fold,
in the way the run's own vectors were denoised. Layers are read one at a time.
"""

from collections.abc import Callable, Sequence
from functools import cache, cached_property
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from probes.analysis import held_out
from probes.analysis.held_out import Design, NeutralBasis, Rows
from probes.runs.materials import Materials, samples_without
from probes.vectors.neutral import neutral_components

NeutralKind = Literal["document", "token", "none"]
MIN_TOPICS = 3
"""Fewer topics than this leave nothing to learn from beside what is held out and judged."""


class TopicFolds:
    """Topics of a run in folds, at most one per topic."""

    def __init__(self, materials: Materials, n_folds: int) -> None:
        self._materials, self.seed = materials, materials.seed
        self._fold_of_topic = held_out.topic_folds(len(materials.topics), n_folds, materials.seed)
        self._fold_by_name = dict(zip(materials.topics, self._fold_of_topic.tolist(), strict=True))

    @cached_property
    def design(self) -> Design:
        """What every row is; the same at all layers."""
        rows, n_emotions = self._materials.rows, len(self._materials.emotions)
        return Design(rows.emotion, rows.topic, rows.n_texts, self._fold_of_topic, n_emotions)

    def rows(self, layer: int) -> Rows:
        """Return centered rows of one layer of the model."""
        return held_out.centered(self._materials.stories(layer).mean)

    def basis(self, layer: int) -> Callable[..., NeutralBasis]:
        """Return a function from folds to the neutral components of the topics outside them."""

        def of(*held: int) -> NeutralBasis:
            topics = [topic for topic in self._materials.topics if self.excluded(topic) in held]
            return self._materials.neutral_components(layer, without=topics).float()

        return cache(of)

    def bases(self, layer: int) -> list[NeutralBasis]:
        """Return the neutral components outside each fold."""
        return list(map(self.basis(layer), range(self.design.n_folds)))

    def excluded(self, topic: str) -> int | None:
        """Return the fold that holds a topic out; None for a topic without stories."""
        return self._fold_by_name.get(topic)


def basis_of(
    samples: Float[Tensor, "sample d_model"],
    topics: Sequence[str],
    fold_of: Callable[[str], int | None],
    threshold: float,
) -> Callable[..., NeutralBasis]:
    """Return a function from folds to the neutral components of the samples outside them."""

    @cache
    def without(held_out: frozenset[str]) -> NeutralBasis:
        if threshold == 0 or len(samples) < 2:
            return torch.zeros(0, samples.shape[1])
        chosen = samples_without(samples, topics, held_out)
        return neutral_components(chosen, threshold).directions.float()

    return lambda *held: without(frozenset(it for it in topics if fold_of(it) in held))


def accuracy_by_layer(folds: TopicFolds, layers: Sequence[int]) -> dict[int, float]:
    """Held-out top-1 accuracy of nearest vectors at every layer."""
    accuracy = {}
    for layer in layers:
        ranks = held_out.held_out_ranks(folds.rows(layer), folds.design, folds.bases(layer))
        accuracy[layer] = float((ranks == 0).double().mean())
    return accuracy


def best_layer(accuracy: dict[int, float]) -> int:
    """Return the layer with the highest accuracy; the earliest of equals."""
    return max(accuracy, key=lambda layer: (accuracy[layer], -layer))
