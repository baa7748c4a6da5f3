"""Scores of the tokens of texts while a model writes them, in the passes that write.

* A token is scored in the pass that reads it, after the one that drew it. So the last token of a
  text has no score, unless the text was ended with it.
* Steering entered before is in what is read.
* Of several calls of `LanguageModel.generate` the last one is kept. What is only read is passed by.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from hooks import LanguageModel
from hooks.reading.monitor import NewTokens, monitor

Score = Callable[[Float[Tensor, "layer token d_model"]], Float[Tensor, "*layer token emotion"]]
_PART_OF_A_LETTER = "\ufffd"


class WatchedText:
    """The tokens of one text that have been read so far, and what they score.

    Attributes
    ----------
    emotions
        Names, in the order of the last axis of `scores`.
    ids
        Token ids, without those of the prompt.
    """

    def __init__(
        self,
        tokenizer: Any,
        emotions: Sequence[str],
        no_scores: Float[Tensor, "*layer 0 emotion"],
    ) -> None:
        self.emotions = list(emotions)
        self.ids: list[int] = []
        self._tokenizer, self._text, self._ends = tokenizer, "", [0]
        self._scores = [no_scores]

    def add(self, ids: Sequence[int], scores: Float[Tensor, "*layer token emotion"]) -> None:
        """Add tokens and what they score."""
        for token in ids:
            self.ids.append(token)
            self._text = self._tokenizer.decode(self.ids, skip_special_tokens=True)
            whole = self._text.rstrip(_PART_OF_A_LETTER)
            self._ends.append(max(self._ends[-1], len(whole)))
        self._scores.append(scores)

    @property
    def tokens(self) -> list[str]:
        """The characters by which each token lets the text grow; a letter is its last byte's."""
        return self.spelled()[0]

    @property
    def scores(self) -> Float[Tensor, "*layer token emotion"]:
        """Cosine of each token's centered residual with each emotion's vector, in -1..1."""
        return torch.cat(self._scores, dim=-2)

    @property
    def newest(self) -> dict[str, float]:
        """Scores of the newest token by emotion, of a text that is watched at one layer."""
        return dict(zip(self.emotions, self._scores[-1][-1].tolist(), strict=True))

    def spelled(self, text: str | None = None) -> tuple[list[str], str]:
        """Return the tokens' characters, and those after them, of the whole `text` if known."""
        whole = self._text if text is None else text
        ends = self._ends if text is None else [min(end, len(text)) for end in self._ends]
        return [whole[start:stop] for start, stop in pairwise(ends)], whole[ends[-1] :]


@contextlib.contextmanager
def watching(
    model: LanguageModel,
    layers: Sequence[int],
    emotions: Sequence[str],
    score: Score,
    heard: Callable[[WatchedText], bool | None] = lambda _text: None,
) -> Iterator[list[WatchedText]]:
    """Score every token that `model.generate` writes inside the context.

    Parameters
    ----------
    score
        From residuals at `layers` to scores.
    heard
        Called with a text when a token of it was scored; returns True to end that text with it.

    Yields
    ------
    list of WatchedText
        One for each prompt of the last call, in its order; an empty one before the first.
    """
    no_scores = score(torch.zeros(len(layers), 0, model.d_model))
    texts: list[WatchedText] = []

    def begin(prompt: int) -> None:
        # A part of a batch that did not fit into memory is read, and written, once more.
        del texts[prompt:]
        while len(texts) <= prompt:
            texts.append(WatchedText(model.tokenizer, emotions, no_scores))

    def tell(new: NewTokens) -> bool | None:
        if not new.generating:
            return None
        if not new.drawn:
            begin(new.prompt)
            return None
        texts[new.prompt].add(new.ids, score(new.resid))
        return heard(texts[new.prompt])

    begin(0)
    with monitor(model, layers, tell):
        yield texts
