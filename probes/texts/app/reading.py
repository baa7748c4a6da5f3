"""What was read of a text: its tokens and their scores, at once or while the model wrote it."""

from dataclasses import dataclass, replace
from itertools import accumulate

import torch
from jaxtyping import Float
from torch import Tensor

from probes.vectors.watched import WatchedText


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

    @classmethod
    def of_written(cls, watched: WatchedText, text: str | None = None) -> "Reading":
        """Return what has been read of a text so far, of the whole `text` where that is known."""
        tokens, unread = watched.spelled(text)
        return cls(tokens, [0] * len(tokens), watched.scores, unread=unread)

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
