"""What single tokens of neutral text score: the zero that a token's cosine is seen against.

A run keeps some tokens of each neutral text, spread evenly after ``activation.token_offset``. At a
layer, a token's z is its cosine, minus their mean, in their standard deviations (n - 1).
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from probes.storage import read_object
from probes.vectors.activations import INDEX, load_layer, shard_paths
from probes.vectors.emotion_vectors import EmotionVectors
from probes.vectors.zero import Zero, zero_of


class NeutralTokens:
    """The neutral tokens of a run, scored with vectors at one layer after the other, when asked."""

    def __init__(
        self, paths: Sequence[Path], layers: Sequence[int], vectors: EmotionVectors
    ) -> None:
        self._paths, self._layers, self._vectors = paths, list(layers), vectors
        self.n = len(self._residuals(self._layers[0]))
        self.at = lru_cache(maxsize=None)(self._zero_at)

    @classmethod
    def of_run(cls, root: Path, vectors: EmotionVectors) -> "NeutralTokens | None":
        """Open a run's; None where it kept fewer than two. Raises as `shard_paths` does."""
        if not (root / INDEX).is_file():
            return None
        index = read_object(root / INDEX, "layers", "neutral", "made_from")
        paths = list(shard_paths(root, "neutral", index))
        tokens = cls(paths, index["layers"], vectors) if paths else None
        return tokens if tokens and tokens.n > 1 else None

    def _residuals(self, layer: int) -> Float[Tensor, "token d_model"]:
        position = self._layers.index(layer)
        return torch.cat([load_layer(path, "tokens", position) for path in self._paths])

    def _zero_at(self, layer: int) -> Zero:
        """Return mean and standard deviation at a layer of the model, [1 emotion] each."""
        return zero_of([self._vectors.cosine(self._residuals(layer).float(), layer)])
