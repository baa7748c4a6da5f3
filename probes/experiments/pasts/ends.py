"""Read the mean over the tokens that texts end in alike, each text with a number of its own."""

from collections.abc import Callable, Sequence

from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from hooks import Last, pooled_resid_post
from probes.runs.materials import Materials
from probes.vectors.emotion_vectors import SHOWN, EmotionVectors


def shown_vectors(materials: Materials) -> EmotionVectors:
    """Return vectors of what is shown, whose texts name nothing, where the run has them."""
    vectors = materials.vectors
    return vectors.using(SHOWN) if SHOWN in vectors.ways else vectors


def mean_ends(
    materials: Materials,
    texts: Sequence[str],
    n_tokens: Sequence[int],
    progress: Callable[[int], None] = lambda _count: None,
) -> Float[Tensor, "text layer d_model"]:
    """Return the mean over the last tokens of each text, in mean residual norms.

    At every layer that has vectors; `n_tokens` says how many of each text.
    """
    bundle = materials.vectors
    pooled = pooled_resid_post(
        materials.subject(),
        texts,
        [Last(n) for n in n_tokens],
        layers=bundle.layers,
        batch_tokens=materials.batch_tokens,
        progress=progress,
    )
    return pooled.mean / rearrange(bundle.residual_norm, "layer -> layer 1")
