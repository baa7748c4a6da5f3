"""What was read of a text: its tokens and their scores, at once or while the model wrote it."""

from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

_PART_OF_A_LETTER = "\ufffd"


@dataclass(frozen=True)
class Reading:
    """One text: its tokens, their turns (-1: marks and special tokens), and their scores.

    `z` is how far a plain text as a whole lies above neutral text; None where that was not read,
    and for a conversation. `unread` are characters after the tokens that no pass has read.
    """

    tokens: list[str]
    turn: list[int]
    scores: Float[Tensor, "layer position emotion"]
    z: Float[Tensor, "layer emotion"] | None = None
    unread: str = ""

    @property
    def text(self) -> str:
        """All characters."""
        return "".join(self.tokens) + self.unread

    def of_turn(self, number: int, place: int) -> Float[Tensor, "emotion"]:
        """Mean over a turn's tokens at one place of the layer axis; NaN for a turn without one."""
        chosen = torch.tensor([turn == number for turn in self.turn], dtype=torch.bool)
        return self.scores[place][chosen].mean(dim=0)

    def cut(self, text: str) -> "Reading":
        """Return the part that spells `text`, which must be in it; tokens outside are no turn's."""
        first = self.text.index(text)
        last = first + len(text)
        starts = list(accumulate(map(len, self.tokens), initial=0))
        pieces = zip([*self.tokens, self.unread], starts, strict=True)
        *tokens, unread = [_within(piece, start, first, last) for piece, start in pieces]
        turn = [one if token else -1 for one, token in zip(self.turn, tokens, strict=True)]
        return replace(self, tokens=tokens, turn=turn, unread=unread)


def _within(text: str, start: int, first: int, last: int) -> str:
    """Return the characters of a text at `start` that lie between two places."""
    return text[max(0, first - start) : max(0, last - start)]


class Growing:
    """A text that grows token by token; a token's characters are those by which it grows."""

    def __init__(self, tokenizer: Any, n_layers: int, n_emotions: int) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._ends = [0]
        self._text = ""
        self._scores = [torch.zeros(n_layers, 0, n_emotions)]

    def add(self, ids: list[int], scores: Float[Tensor, "layer position emotion"]) -> None:
        """Add tokens and their scores."""
        for token in ids:
            self._ids.append(token)
            self._text = self._tokenizer.decode(self._ids, skip_special_tokens=True)
            whole = self._text.rstrip(_PART_OF_A_LETTER)
            self._ends.append(max(self._ends[-1], len(whole)))
        self._scores.append(scores)

    def reading(self, text: str | None = None) -> Reading:
        """Return what has been read so far, of the whole `text` where that is known."""
        whole = self._text if text is None else text
        ends = self._ends if text is None else [min(end, len(text)) for end in self._ends]
        tokens = [whole[start:stop] for start, stop in pairwise(ends)]
        scores = torch.cat(self._scores, dim=1)
        return Reading(tokens, [0] * len(tokens), scores, unread=whole[ends[-1] :])
