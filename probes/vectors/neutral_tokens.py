"""What single tokens of neutral text score: the zero that a token's cosine is seen against.

A run keeps some tokens of each neutral text, spread evenly after ``activation.token_offset``. At a
layer, a token's z is its cosine, minus their mean, in their standard deviations (n - 1). Vectors
that come with the package have these of their own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from probes.storage import read_object
from probes.vectors.activations import INDEX, load_layer, shard_paths
from probes.vectors.emotion_vectors import EmotionVectors
from probes.vectors.zero import Zero, zero_of


@dataclass(frozen=True)
class NeutralTokens:
    """How many there are, and what they score at a layer of the model, [1 emotion] each."""

    n: int
    at: Callable[[int], Zero]

    @classmethod
    def of_files(
        cls, paths: Sequence[Path], layers: Sequence[int], vectors: EmotionVectors
    ) -> "NeutralTokens":
        """Score kept tokens with vectors at one layer after the other, when asked."""

        def residuals(layer: int) -> Float[Tensor, "token d_model"]:
            position = list(layers).index(layer)
            return torch.cat([load_layer(path, "tokens", position) for path in paths])

        def zero_at(layer: int) -> Zero:
            return zero_of([vectors.cosine(residuals(layer).float(), layer)])

        return cls(len(residuals(layers[0])), lru_cache(maxsize=None)(zero_at))

    @classmethod
    def of_run(cls, root: Path, vectors: EmotionVectors) -> "NeutralTokens | None":
        """Open a run's; None where it kept fewer than two. Raises as `shard_paths` does."""
        if not (root / INDEX).is_file():
            return None
        index = read_object(root / INDEX, "layers", "neutral", "made_from")
        paths = list(shard_paths(root, "neutral", index))
        tokens = cls.of_files(paths, index["layers"], vectors) if paths else None
        return tokens if tokens and tokens.n > 1 else None

    @classmethod
    def of_vectors(cls, vectors: EmotionVectors) -> "NeutralTokens | None":
        """Return what vectors bring along; None where they bring nothing."""
        zero = vectors.token_zeros.get(vectors.way)
        if zero is None:
            return None

        def zero_at(layer: int) -> Zero:
            row = slice(vectors.layer_index(layer), vectors.layer_index(layer) + 1)
            return Zero(zero.mean[row], zero.sd[row])

        return cls(vectors.provenance.n_neutral_tokens, zero_at)
