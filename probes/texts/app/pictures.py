"""Tokens as colored text, scores as curves: what the page draws; every text is escaped."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from markupsafe import Markup
from torch import Tensor

from probes.figures.description import Line, Lines, Panel
from probes.figures.token_html import SCALE, token_html
from probes.texts.app.microscope import Reading
from probes.texts.dialogue import Turn
from probes.vectors.zero import Z_MEANS, spelled_z

_OTHERS = 4  # emotions drawn beside the selected one; a color for each
Z_EXPLAINED = (
    f"z: {Z_MEANS}. It is of the text as a whole, by the cosine of its mean residual, as neutral "
    "text was read; a cosine by itself says nothing where neutral text has the same."
)
_INVITATION = "Click a token, or go along them with the arrow keys, to see its highest emotions."


@dataclass(frozen=True)
class Look:
    """A reading, looked at for one emotion at one layer (indices; `where` in words)."""

    reading: Reading
    place: int
    emotion: int
    emotions: list[str]
    where: str = ""

    @property
    def name(self) -> str:
        """The emotion."""
        return self.emotions[self.emotion]

    @property
    def inside(self) -> list[int]:
        """Positions of the tokens that belong to a turn."""
        return [position for position, turn in enumerate(self.reading.turn) if turn >= 0]

    @property
    def largest(self) -> float:
        """The score farthest from 0 among all turns, without its sign."""
        scores = self.reading.scores[self.place, self.inside, self.emotion]
        return float(scores.abs().max()) if len(scores) else 1.0

    def highest(
        self,
        scores: Float[Tensor, "emotion"],
        n: int = 5,
        z: Float[Tensor, "emotion"] | None = None,
    ) -> str:
        """Spell the emotions with the highest scores; empty where there is no score."""
        if not scores.isfinite().all():
            return ""
        values, indices = scores.topk(min(n, len(self.emotions)))
        best = zip(indices.tolist(), values.tolist(), strict=True)
        above = [math.nan] * len(scores) if z is None else z.tolist()
        return ", ".join(
            f"{self.emotions[index]} {value:+.2f}{spelled_z(above[index])}" for index, value in best
        )

    def highest_of_turn(self, turn: int = 0) -> str:
        """Spell the highest emotions of a turn as a whole."""
        return self.highest(self.reading.of_turn(turn, self.place))

    def highest_of_text(self) -> str:
        """Spell the highest emotions of a plain text, each with its z where there is one."""
        z = None if self.reading.z is None else self.reading.z[self.place]
        return self.highest(self.reading.of_turn(0, self.place), z=z)


def colored_tokens(look: Look, turn: int = 0) -> Markup:
    """Return the tokens of one turn as HTML, colored by scores; ``app.js`` fills the line below."""
    reading = look.reading
    # The later bytes of a letter have no letter of their own.
    shown = [i for i, owner in enumerate(reading.turn) if owner == turn and reading.tokens[i]]
    tokens, scores = [reading.tokens[i] for i in shown], reading.scores[look.place, shown]
    titles = [
        f"“{token.strip()}”  {look.name} {each[look.emotion]:+.3f}; highest: {look.highest(each)}"
        for token, each in zip(tokens, scores, strict=True)
    ]
    colored = token_html(tokens, scores[:, look.emotion].tolist(), look.largest, titles)
    return Markup('<p class="tokens">{}</p><p class="detail" role="status">{}</p>').format(
        colored, _INVITATION if shown else ""
    )


def color_key(look: Look) -> Markup:
    """Return the scale of `colored_tokens` as HTML: the emotion, and the scores at both ends."""
    key = Markup('<p class="key">{} {:+.3f} {} {:+.3f}</p>')
    return key.format(look.name, -look.largest, SCALE, look.largest)


def token_curve(look: Look) -> Lines:
    """Describe the emotion's score along the tokens of a text."""
    reading, inside = look.reading, look.inside
    curve = Line(
        name=look.name,
        x=tuple(map(float, range(len(inside)))),
        y=tuple(reading.scores[look.place, inside, look.emotion].tolist()),
        notes=tuple(reading.tokens[i] for i in inside),
    )
    return Lines(
        title=f"{look.name.capitalize()} along the text",
        subtitle=look.where,
        caption="Cosine of each token's centered residual with the emotion's vector; 0 is the "
        "average over emotions.",
        x_label="token",
        panels=(Panel(y_label="cosine", lines=(curve,)),),
    )


def conversation_curves(look: Look, turns: Sequence[Turn]) -> Lines:
    """Describe the scores of the emotion, and of those that vary most, turn by turn."""
    reading = look.reading
    per_turn = torch.stack([reading.of_turn(number, look.place) for number in range(len(turns))])
    finite = [i for i in range(len(turns)) if per_turn[i].isfinite().all()]
    shown = per_turn[finite]
    spread = shown.amax(dim=0) - shown.amin(dim=0) if len(finite) > 1 else shown[0].abs()
    others = [e for e in spread.argsort(descending=True).tolist() if e != look.emotion][:_OTHERS]
    most = "change most" if len(finite) > 1 else "are farthest from 0"
    listed = ", ".join(look.emotions[e] for e in others)
    beside = f"; beside it the others that {most}: {listed}" if others else ""
    curves = tuple(
        Line(
            name=look.emotions[e],
            x=tuple(float(i + 1) for i in finite),
            y=tuple(shown[:, e].tolist()),
            notes=tuple(turns[i].speaker for i in finite),
        )
        for e in (look.emotion, *others)
    )
    return Lines(
        title="The conversation, turn by turn",
        subtitle=look.where,
        caption="Mean score over each turn's tokens, for the emotion that is selected, "
        f"{look.name}{beside}.",
        x_label="turn",
        panels=(Panel(y_label="cosine", lines=curves),),
    )
