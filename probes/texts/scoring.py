"""Scores of a user's own texts: whole, in parts, and token by token, in one reading.

A token's score is the cosine of its centered residual with each emotion's vector; that of a part (a
stretch of characters, read in the context of what stands before it) or of a text is that of the
mean residual of its tokens. A text longer than the model reads is read in stretches, each without
what stands before it.

Contract: a text or part without a token has NaN scores and is never left out. Memory holds one
batch.
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
"""Content tokens, as stretches of characters -> parts, as (first, last + 1) of the tokens."""

_TEXTS_AT_ONCE = 16
_ROOM = 8
"""Positions left for a beginning-of-sequence token, and for tokens that a new beginning cuts
otherwise."""


@dataclass(frozen=True)
class Scores:
    """Scores of one text, [emotion]: whole, of each content token, of each part.

    `pieces` are the tokens' characters, `spans` the tokens of each part (first, last + 1),
    `n_stretches` in how many stretches the text was read.
    """

    text: str
    pieces: list[Stretch]
    whole: Float[Tensor, "emotion"]
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
    """Yield the scores of every text, in order, each given with how it is cut into parts.

    Raises StaleArtifact when the vectors were made from another model, InvalidInput for a layer
    without vectors.
    """
    vectors.check_model(model)
    vectors.layer_index(layer)
    given = iter(texts)
    while batch := list(islice(given, _TEXTS_AT_ONCE)):
        stretches = [readable(model, text) for text, _ in batch]
        parts = [
            text[start:stop]
            for (text, _), cuts in zip(batch, stretches, strict=True)
            for start, stop in cuts
        ]
        pieces = [content_pieces(model, part) for part in parts]
        read = zip(pieces, _read(model, parts, pieces, layer, vectors), strict=True)
        for (text, cut), cuts in zip(batch, stretches, strict=True):
            tokens: list[Stretch] = []
            residuals = []
            for (start, _), (inside, resid) in zip(cuts, read, strict=False):
                tokens += [(start + first, start + last) for first, last in inside]
                residuals.append(resid)
            resid = torch.cat(residuals)
            spans = list(cut(tokens)) if cut is not None else []
            # The mean of no token is NaN.
            means = torch.stack([resid[a:b].mean(dim=0) for a, b in [(0, len(resid)), *spans]])
            scored, by_token = vectors.cosine(means, layer), vectors.cosine(resid, layer)
            yield Scores(text, tokens, scored[0], by_token, scored[1:], spans, len(cuts))


def readable(model: LanguageModel, text: str, limit: int | None = None) -> list[Stretch]:
    """Return stretches of at most `limit` tokens, in characters, that cover the text."""
    if model.n_positions is not None:
        most = max(1, model.n_positions - _ROOM)
        limit = most if limit is None else min(limit, most)
    pieces = content_pieces(model, text)
    if limit is None or len(pieces) <= limit:
        return [(0, len(text))]
    return cut_long(pieces, limit)


def _read(
    model: LanguageModel,
    texts: Sequence[str],
    pieces: Sequence[Sequence[Stretch]],
    layer: int,
    vectors: EmotionVectors,
) -> list[Float[Tensor, "token d_model"]]:
    """Residuals of each text's content tokens."""
    residuals = [torch.zeros(0, vectors.vectors.shape[-1])] * len(texts)
    filled = [number for number, tokens in enumerate(pieces) if tokens]
    if filled:
        pooled = pooled_resid_post(
            model, [texts[n] for n in filled], layers=[layer], keep=FromToken(0)
        )
        sizes = [len(pieces[n]) for n in filled]
        for number, resid in zip(filled, pooled.tokens[:, 0].split(sizes), strict=True):
            residuals[number] = resid
    return residuals


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
