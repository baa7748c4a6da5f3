"""Scores of a user's own texts: whole, in parts, and token by token, in one reading.

Cosines of centered residuals (means of parts); NaN without a token; memory holds one batch.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from jaxtyping import Float
from torch import Tensor

from hooks import FromToken, LanguageModel, pooled_resid_post
from hooks.reading.token_offsets import Stretch, content_pieces
from probes.texts.sweeping import cut_long
from probes.vectors.emotion_vectors import EmotionVectors

Cut = Callable[[Sequence[Stretch]], Sequence[Stretch]]
"""Content tokens as characters -> parts as (first, last + 1) of the tokens."""

_TEXTS_AT_ONCE = 16
_ROOM = 8  # positions for a beginning-of-sequence token, and tokens that a new beginning cuts anew


@dataclass(frozen=True)
class Scores:
    """Scores of one text, [emotion]: whole, of each content token, of each part.

    `z` is how many standard deviations the whole lies above neutral text. `pieces` are the tokens'
    characters, `spans` the tokens of each part (first, last + 1).
    """

    text: str
    pieces: list[Stretch]
    whole: Float[Tensor, "emotion"]
    z: Float[Tensor, "emotion"]
    tokens: Float[Tensor, "token emotion"]
    parts: Float[Tensor, "part emotion"]
    spans: list[Stretch]
    n_stretches: int = 1

    @property
    def words(self) -> list[str]:
        """The tokens' characters."""
        return [self.text[start:stop] for start, stop in self.pieces]


def score_texts(
    vectors: EmotionVectors,
    model: LanguageModel,
    texts: Iterable[tuple[str, Cut | None]],
    layer: int,
) -> Iterator[Scores]:
    """Yield the scores of every text, each given with how it is cut into parts.

    Raises StaleArtifact for vectors of another model, InvalidInput for a layer without vectors.
    """
    vectors.check_model(model)
    vectors.layer_index(layer)
    given = iter(texts)
    while batch := list(islice(given, _TEXTS_AT_ONCE)):
        stretches = [readable(model, text) for text, _ in batch]
        cut_texts = zip(batch, stretches, strict=True)
        parts = [text[a:b] for (text, _), cuts in cut_texts for a, b in cuts]
        pieces = [content_pieces(model, part) for part in parts]
        # An empty text cannot be read; it has no tokens to put back.
        filled = [part for part, tokens in zip(parts, pieces, strict=True) if tokens]
        residuals = torch.zeros(0, vectors.vectors.shape[-1])
        if filled:
            pooled = pooled_resid_post(model, filled, layers=[layer], keep=FromToken(0))
            residuals = pooled.tokens[:, 0]
        read = zip(pieces, residuals.split(list(map(len, pieces))), strict=True)
        for (text, cut), cuts in zip(batch, stretches, strict=True):
            inside = [(start, *next(read)) for start, _ in cuts]
            tokens = [(start + a, start + b) for start, spans, _ in inside for a, b in spans]
            resid = torch.cat([resid for *_, resid in inside])
            spans = list(cut(tokens)) if cut is not None else []
            # The mean of no token is NaN.
            means = torch.stack([resid[a:b].mean(dim=0) for a, b in [(0, len(resid)), *spans]])
            scored, by_token = vectors.cosine(means, layer), vectors.cosine(resid, layer)
            above = vectors.z(scored[0], layer)
            yield Scores(text, tokens, scored[0], above, by_token, scored[1:], spans, len(cuts))


def readable(model: LanguageModel, text: str, limit: int | None = None) -> list[Stretch]:
    """Return stretches of at most `limit` tokens, in characters, that cover the text."""
    if model.n_positions is not None:
        limit = min(limit or model.n_positions, max(1, model.n_positions - _ROOM))
    pieces = content_pieces(model, text)
    if limit is None or len(pieces) <= limit:
        return [(0, len(text))]
    return cut_long(pieces, limit)


def tokens_within(stretches: Sequence[Stretch]) -> Cut:
    """Make parts of stretches of characters."""

    def cut(pieces: Sequence[Stretch]) -> list[Stretch]:
        spans = []
        for start, stop in stretches:
            inside = [n for n, (a, b) in enumerate(pieces) if max(a, start) < min(b, stop)]
            spans.append((inside[0], inside[-1] + 1) if inside else (0, 0))
        return spans

    return cut


def windows(size: int) -> Cut:
    """Cut a text into windows of `size` tokens; a rest below half of it joins the last one."""

    def cut(pieces: Sequence[Stretch]) -> list[Stretch]:
        n = len(pieces)
        starts = [start for start in range(0, n, size) if start == 0 or n - start >= size / 2]
        return list(zip(starts, [*starts[1:], n], strict=True)) if n else []

    return cut
