"""The passages of a large text file that activate each emotion most.

Memory does not grow with the file; `Leaders` go to JSON and back, so that a sweep can go on.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class SweptPassage:
    """One window of a text: its start, and cosines of its mean residual and each token."""

    score: float
    source: str
    start: int
    tokens: list[str]
    scores: list[float]

    @property
    def text(self) -> str:
        """The passage."""
        return "".join(self.tokens)


@dataclass
class Leaders:
    """The highest passages of each emotion so far."""

    emotions: list[str]
    top: int
    n: int = 0
    mean: list[float] = field(default_factory=list)
    squares: list[float] = field(default_factory=list)
    passages: list[list[SweptPassage]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.mean = self.mean or [0.0] * len(self.emotions)
        self.squares = self.squares or [0.0] * len(self.emotions)
        self.passages = self.passages or [[] for _ in self.emotions]

    def offer(
        self,
        source: str,
        start: int,
        tokens: list[str],
        score: Float[Tensor, "emotion"],
        token_scores: Float[Tensor, "token emotion"],
    ) -> None:
        """Count a window, and keep it where it is among the highest."""
        self.n += 1  # mean and squares are Welford's
        for emotion, value in enumerate(score.tolist()):
            before = value - self.mean[emotion]
            self.mean[emotion] += before / self.n
            self.squares[emotion] += before * (value - self.mean[emotion])
            kept = self.passages[emotion]
            if len(kept) == self.top and value <= kept[-1].score:
                continue
            text = "".join(tokens)
            if all(one.text != text for one in kept):
                scores = token_scores[:, emotion].tolist()
                kept.append(SweptPassage(value, source, start, tokens, scores))
                kept.sort(key=lambda one: -one.score)
                del kept[self.top :]

    def deviations(self, emotion: int, score: float) -> float:
        """Return how far a score is above the mean of all windows, in standard deviations."""
        if self.n < 2 or self.squares[emotion] <= 0:
            return float("nan")
        return (score - self.mean[emotion]) / (self.squares[emotion] / (self.n - 1)) ** 0.5

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        passages = [[vars(one) for one in kept] for kept in self.passages]
        return {**vars(self), "passages": passages}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Leaders":
        """Undo `to_json`."""
        passages = [[SweptPassage(**one) for one in kept] for kept in values["passages"]]
        return cls(**{**values, "passages": passages})


def cut_long(pieces: list[tuple[int, int]], limit: int) -> list[tuple[int, int]]:
    """Return stretches of characters of at most `limit` tokens each, which cover the text."""
    groups = [pieces[n : n + limit] for n in range(0, len(pieces), limit)]
    return [(group[0][0], group[-1][1]) for group in groups if group[-1][1] > group[0][0]]


def scores_of(passage: SweptPassage) -> Float[Tensor, "token 1"]:
    """Token scores of a passage as one column."""
    return torch.tensor([[value] for value in passage.scores]).reshape(-1, 1)
