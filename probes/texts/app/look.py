"""A reading, looked at for one emotion at one layer, as cosines or as z against neutral tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from probes.texts.app.reading import Reading
from probes.vectors.zero import Z_MEANS, Zero, spelled_z

COSINE = (
    "Scores are cosines of a token's centered residual with an emotion's vector; 0 is the average "
    "over emotions."
)
Z_OF_TOKEN = (
    "Scores are z: how many standard deviations a token's cosine lies above the mean of single "
    "tokens of neutral text, with the same emotion at the same layer."
)
Z_OF_TEXT = (
    f"z: {Z_MEANS}. It is of the text as a whole, by the cosine of its mean residual, as neutral "
    "text was read; a cosine by itself says nothing where neutral text has the same."
)


@dataclass(frozen=True)
class Look:
    """A reading at one layer for one emotion (both as indices; `where` in words).

    With the `zero` of neutral tokens at this layer, scores are z; else they are cosines.
    """

    reading: Reading
    place: int
    emotion: int
    emotions: list[str]
    where: str = ""
    zero: Zero | None = None

    @cached_property
    def scores(self) -> Float[Tensor, "position emotion"]:
        """Scores of every token; a z where neutral tokens do not differ is 0."""
        cosines = self.reading.scores[self.place]
        return cosines if self.zero is None else self.zero.z(cosines, 0).nan_to_num(0.0)

    @property
    def unit(self) -> str:
        """What scores are."""
        return "cosine" if self.zero is None else "z"

    @property
    def explained(self) -> str:
        """What scores are, in a sentence."""
        return COSINE if self.zero is None else Z_OF_TOKEN

    @property
    def name(self) -> str:
        """The emotion."""
        return self.emotions[self.emotion]

    def number(self, score: float) -> str:
        """Write a score: with two digits, a z with one."""
        return f"{score:+.2f}" if self.zero is None else f"{score:+.1f}"

    def of_turn(self, turn: int = 0) -> Float[Tensor, "emotion"]:
        """Mean over a turn's tokens; NaN for a turn without one."""
        chosen = [place for place, owner in enumerate(self.reading.turn) if owner == turn]
        return self.scores[chosen].mean(dim=0)

    def shown(self, turn: int | None = None) -> list[int]:
        """Return the places of a turn's tokens, or of all; a letter's later bytes are left out."""
        return [
            place
            for place, owner in enumerate(self.reading.turn)
            if self.reading.tokens[place] and (owner >= 0 if turn is None else owner == turn)
        ]

    def strongest(self, scores: Float[Tensor, "emotion"], n: int) -> list[int]:
        """Return the emotions with the highest scores; none where there is no score."""
        if not scores.isfinite().all():
            return []
        return scores.topk(min(n, len(self.emotions))).indices.tolist()

    def spelled(self, scores: Float[Tensor, "emotion"], n: int = 5) -> str:
        """Spell the emotions with the highest scores; empty where there is no score."""
        return ", ".join(
            f"{self.emotions[one]} {self.number(float(scores[one]))}"
            for one in self.strongest(scores, n)
        )

    def spelled_text(self, n: int = 5) -> str:
        """Spell the highest emotions of a plain text, each as cosine and, where there is one, z.

        The highest are so by what is looked at: by z only where scores are z.
        """
        cosines, z = (
            self.reading.of_turn(0, self.place),
            torch.full((len(self.emotions),), torch.nan),
        )
        if self.reading.z is not None:
            z = self.reading.z[self.place]
        by_z = self.zero is not None and bool(z.isfinite().all())
        return ", ".join(
            f"{self.emotions[one]} {float(cosines[one]):+.2f}{spelled_z(float(z[one]))}"
            for one in self.strongest(z if by_z else cosines, n)
        )


def largest_of(looks: Sequence[Look], emotions: Sequence[int] | None = None) -> float:
    """Return the score farthest from 0, without its sign, in any turn of all: one scale of colors.

    It is of some emotions; without them of the one looked at.
    """
    scores = [look.scores[look.shown()][:, emotions or [look.emotion]] for look in looks]
    return max((float(one.abs().max()) for one in scores if one.numel()), default=0.0)


def strongest_of(looks: Sequence[Look], n: int) -> list[int]:
    """Return the emotion looked at, and of the others those highest in any of the texts."""
    means = torch.stack([look.of_turn().nan_to_num(0.0) for look in looks]).amax(dim=0)
    selected = looks[0].emotion
    others = [one for one in means.argsort(descending=True).tolist() if one != selected]
    return [selected, *others[: n - 1]]


def difference(first: Look, second: Look, n: int = 5) -> tuple[str, str]:
    """Spell in which emotions the first text lies highest above the second, and below it."""
    above = first.of_turn() - second.of_turn()
    return first.spelled(above, n), second.spelled(-above, n)
