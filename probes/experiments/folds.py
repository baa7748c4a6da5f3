"""A run's activations, ready to be read on topics that no vector was made from.

Joins `Materials` with `holdout`: deals the run's topics into folds, and takes neutral components
from neutral text on the topics outside a fold, in the way the run's own vectors were denoised.

Contract: layers are read one at a time; nothing is written.
"""

from collections.abc import Callable, Sequence
from functools import cache, cached_property
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from probes.analysis.held_out import (
    Design,
    NeutralBasis,
    Rows,
    centered,
    held_out_ranks,
    topic_folds,
)
from probes.runs.materials import Materials
from probes.vectors.denoising import neutral_components

NeutralKind = Literal["document", "token", "none"]
MIN_TOPICS = 3
"""Fewer topics than this leave nothing to learn from beside what is held out and judged."""


class TopicFolds:
    """Topics of a run in folds.

    Parameters
    ----------
    materials
        The run.
    n_folds
        Number of folds, at most one per topic.
    """

    def __init__(self, materials: Materials, n_folds: int) -> None:
        self._materials = materials
        self._fold_of_topic = topic_folds(len(materials.topics), n_folds, materials.seed)

    @cached_property
    def design(self) -> Design:
        """What every row is; the same at all layers."""
        stories = self._materials.stories(self._materials.layers[0])
        return Design(
            stories.emotion,
            stories.topic,
            stories.n_texts,
            self._fold_of_topic,
            len(self._materials.emotions),
        )

    def rows(self, layer: int) -> Rows:
        """Return centered rows of one layer of the model."""
        return centered(self._materials.stories(layer).mean)

    def basis(self, layer: int) -> Callable[..., NeutralBasis]:
        """Return a function from folds to the neutral components of the topics outside them."""
        settings = self._materials.config.vectors
        if settings.neutral_pca == "none":
            return basis_of(torch.zeros(0, self.rows(layer).shape[1]), [], self.excluded, 0.0)
        samples, topics = self._materials.neutral_samples(settings.neutral_pca, layer)
        return basis_of(samples, topics, self.excluded, settings.pca_variance_threshold)

    def bases(self, layer: int) -> list[NeutralBasis]:
        """Return the neutral components outside each fold."""
        of = self.basis(layer)
        return [of(fold) for fold in range(self.design.n_folds)]

    def excluded(self, topic: str) -> int | None:
        """Return the fold that holds a topic out; None for a topic without stories."""
        known = {name: place for place, name in enumerate(self._materials.topics)}
        return int(self._fold_of_topic[known[topic]]) if topic in known else None


def basis_of(
    samples: Float[Tensor, "sample d_model"],
    topics: Sequence[str],
    fold_of: Callable[[str], int | None],
    threshold: float,
) -> Callable[..., NeutralBasis]:
    """Return a function from folds to the neutral components of the samples outside them.

    Where fewer than two samples are outside, all are used: neutral text knows no emotion, so
    what leaks through it is little, and removing nothing would change more.
    """
    by_topic = {topic: fold_of(topic) for topic in set(topics)}
    folds = [-1 if (fold := by_topic[topic]) is None else fold for topic in topics]
    place = torch.tensor(folds, dtype=torch.long)

    @cache
    def of(*held: int) -> NeutralBasis:
        if threshold == 0 or len(samples) < 2:
            return torch.zeros(0, samples.shape[1])
        outside = ~torch.isin(place, torch.tensor(held, dtype=torch.long))
        chosen = samples[outside] if outside.sum() >= 2 else samples
        one_layer = rearrange(chosen, "sample d_model -> sample 1 d_model")
        return neutral_components(one_layer, threshold).directions[0].float()

    return of


def accuracy_by_layer(folds: TopicFolds, layers: Sequence[int]) -> dict[int, float]:
    """Held-out top-1 accuracy of nearest vectors at every layer."""
    design = folds.design
    found = {}
    for layer in layers:
        ranks = held_out_ranks(folds.rows(layer), design, folds.bases(layer))
        found[layer] = float((ranks == 0).double().mean())
    return found


def best_layer(accuracy: dict[int, float]) -> int:
    """Return the layer with the highest accuracy; the earliest of equals."""
    return max(accuracy, key=lambda layer: (accuracy[layer], -layer))
