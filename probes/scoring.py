"""Scores of a user's own texts: whole, in parts, and token by token, in one reading.

1. Texts are read in batches at one layer; the residual of every content token is kept.
2. A token's score is the cosine of its centered residual with each emotion's vector; a part's, or a
   text's, is that of the mean residual of its tokens (`EmotionVectors.cosine`).
3. Parts are stretches of characters: turns of a chat, windows of a long text. A part is read in the
   context of what stands before it.

Contract: a text or part without a token has NaN scores and 0 tokens, and is never left out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from hooks import FromToken, InvalidInput, LanguageModel, pooled_resid_post
from hooks.pieces import Stretch, content_pieces
from probes.vectors import EmotionVectors

Cut = Callable[[Sequence[Stretch]], Sequence[Stretch]]
"""Content tokens, as stretches of characters -> parts, as (first, last + 1) of the tokens."""

_TEXTS_AT_ONCE = 16


@dataclass(frozen=True)
class Scores:
    """Scores of one text.

    Attributes
    ----------
    text
        As it was read.
    pieces
        Characters of each content token.
    whole, tokens, parts
        Scores of the text, [emotion], of each token and of each part.
    spans
        Tokens of each part, (first, last + 1).
    """

    text: str
    pieces: list[Stretch]
    whole: Float[Tensor, "emotion"]
    tokens: Float[Tensor, "token emotion"]
    parts: Float[Tensor, "part emotion"]
    spans: list[Stretch]

    @property
    def words(self) -> list[str]:
        """The tokens' characters."""
        return [self.text[start:stop] for start, stop in self.pieces]


def score_texts(
    vectors: EmotionVectors,
    model: LanguageModel,
    texts: Sequence[str],
    layer: int,
    cuts: Sequence[Cut] | None = None,
) -> Iterator[Scores]:
    """Yield the scores of every text, in order.

    Raises
    ------
    StaleArtifact
        When the vectors were made from another model.
    InvalidInput
        For a layer without vectors, or a text longer than the model reads.
    """
    vectors.check_model(model)
    vectors.layer_index(layer)
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        chosen = list(texts[start : start + _TEXTS_AT_ONCE])
        pieces = [content_pieces(model, text) for text in chosen]
        filled = [number for number, found in enumerate(pieces) if found]
        read: dict[int, Tensor] = {}
        if filled:
            pooled = pooled_resid_post(
                model, [chosen[n] for n in filled], layers=[layer], keep=FromToken(0)
            )
            sizes = [len(pieces[n]) for n in filled]
            read = dict(zip(filled, pooled.tokens[:, 0].split(sizes), strict=True))
        empty = torch.zeros(0, vectors.vectors.shape[-1])
        for number, text in enumerate(chosen):
            residuals = read.get(number, empty)
            cut = cuts[start + number] if cuts is not None else None
            spans = list(cut(pieces[number])) if cut is not None else []
            means = [_mean(residuals[a:b]) for a, b in [(0, len(residuals)), *spans]]
            scored = vectors.cosine(torch.stack(means), layer)
            tokens = vectors.cosine(residuals, layer)
            yield Scores(text, pieces[number], scored[0], tokens, scored[1:], spans)


def _mean(residuals: Float[Tensor, "token d_model"]) -> Float[Tensor, "d_model"]:
    return residuals.mean(dim=0)  # NaN where there is no token


def tokens_within(stretches: Sequence[Stretch]) -> Cut:
    """Make parts of stretches of characters."""

    def cut(pieces: Sequence[Stretch]) -> list[Stretch]:
        spans = []
        for start, stop in stretches:
            inside = [n for n, (a, b) in enumerate(pieces) if start < b and a < stop and a < b]
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


def render_transcript(
    tokenizer: Any, turns: Sequence[Mapping[str, str]]
) -> tuple[str, list[Stretch]]:
    """Spell a chat as the model reads it: its own template, or lines ``role: words``.

    Returns
    -------
    text, stretches
        The whole text, and the characters of each turn's words in it.

    Raises
    ------
    InvalidInput
        When the template refuses the roles or leaves out a turn's words.
    """
    if getattr(tokenizer, "chat_template", None):
        try:
            text = tokenizer.apply_chat_template(list(turns), tokenize=False)
        except Exception as error:  # whatever its author raises
            raise InvalidInput(f"the model's chat template refuses this chat: {error}") from error
    else:
        text = "\n\n".join(f"{turn['role']}: {turn['content']}" for turn in turns)
    stretches, place = [], 0
    for number, turn in enumerate(turns):
        words = turn["content"].strip()
        start = text.find(words, place)
        if start < 0:
            raise InvalidInput(
                f"turn {number}: the model's chat template does not show its words as they are."
            )
        place = start + len(words)
        stretches.append((start, place))
    return text, stretches
