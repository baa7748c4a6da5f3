"""Read the tokens that texts end in alike: identical words after different pasts.

Differences of two such readings are in units of the mean residual norm of their layer, so that
layers and models can be compared.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from hooks import DataError, LanguageModel, Last, pooled_resid_post
from hooks.tokens.encoding import n_common
from probes.runs.materials import Materials

THOUSANDTHS = 1000.0
"""Of the mean residual norm: what differences are told in."""
_BYTES = 2**28
"""Of residuals that are held at once."""


class Pair(NamedTuple):
    """Two texts that end in the same words."""

    one: str
    other: str


def n_shared(model: LanguageModel, texts: Sequence[str], end: str) -> int:
    """Count the tokens of `end` that all of some texts end in; DataError where there is none."""
    first, *others = [model.encode(text)[::-1] for text in texts]
    of_end = [index for index in model.encode(f" {end}") if index not in model.special_ids]
    n = min([len(of_end), *(n_common(first, other) for other in others)])
    if n < 1:
        raise DataError(
            f"expected texts that end in the same tokens, those of {end!r}; {model.name} reads the "
            "last ones differently. Its tokenizer joins words across a full stop."
        )
    return n


def read_ends(
    materials: Materials,
    texts: Sequence[str],
    n_tokens: Sequence[int],
    layers: Sequence[int],
    progress: Callable[[int], None] = lambda _count: None,
) -> Iterator[Float[Tensor, "token layer d_model"]]:
    """Yield the last tokens of one text after the other, over the mean residual norm.

    Texts that begin alike are read soonest when they stand together. No more of them are held than
    fit into memory.
    """
    model, vectors = materials.subject(), materials.vectors
    norm = torch.stack([vectors.residual_norm[vectors.layer_index(layer)] for layer in layers])
    n_texts = max(1, _BYTES // (4 * max(n_tokens) * len(layers) * model.d_model))
    for start in range(0, len(texts), n_texts):
        counts = n_tokens[start : start + n_texts]
        rules = [Last(n) for n in counts]
        read = pooled_resid_post(
            model,
            texts[start : start + n_texts],
            rules,
            layers=layers,
            keep=rules,
            batch_tokens=materials.batch_tokens,
            progress=progress,
        )
        tokens = read.tokens / rearrange(norm, "layer -> layer 1")
        yield from tokens.split([*counts])


def differences(
    materials: Materials,
    pairs: Sequence[Pair],
    n_tokens: Sequence[int],
    layers: Sequence[int],
    progress: Callable[[int], None] = lambda _count: None,
) -> Iterator[Float[Tensor, "token layer d_model"]]:
    """Yield the first text of each pair less the other, at as many tokens that both end in."""
    texts, both = [text for pair in pairs for text in pair], [n for n in n_tokens for _ in range(2)]
    read = read_ends(materials, texts, both, layers, progress)
    for one, other in zip(read, read, strict=True):
        yield one - other


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
