"""Tokens as colored text, scores as curves: what the page draws.

Contract: pure; readings in, HTML or figure descriptions out. Every text is escaped.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from markupsafe import Markup
from torch import Tensor

from probes.figures.description import Line, Lines, Panel
from probes.figures.token_html import SCALE, token_html
from probes.texts.app.microscope import Reading
from probes.texts.dialogue import Turn

_OTHERS = 4
"""Emotions that a conversation is drawn for beside the selected one; a color for each."""
_INVITATION = "Click a token, or go along them with the arrow keys, to see its highest emotions."


def top_emotions(
    scores: Float[Tensor, "emotion"], emotions: list[str], n: int = 5
) -> list[tuple[str, float]]:
    """Return the emotions with the highest scores, the highest first; none for NaN scores."""
    if not scores.isfinite().all():
        return []
    values, places = scores.topk(min(n, len(emotions)))
    return [(emotions[i], v) for i, v in zip(places.tolist(), values.tolist(), strict=True)]


def ranked(best: Sequence[tuple[str, float]]) -> str:
    """Spell emotions and their scores."""
    return ", ".join(f"{name} {score:+.2f}" for name, score in best)


def colored_tokens(
    reading: Reading, place: int, emotion: int, emotions: list[str], turn: int = 0
) -> Markup:
    """Return the tokens of one turn as HTML, colored by one emotion at one layer's place.

    The deepest color is the largest score of the whole reading, so that turns compare; `color_key`
    says which. A line below them is there for what ``app.js`` says about the chosen token.
    """
    # The later bytes of a letter have no letter of their own.
    shown = [i for i, owner in enumerate(reading.turn) if owner == turn and reading.tokens[i]]
    tokens, scores = [reading.tokens[i] for i in shown], reading.scores[place, shown]
    titles = [
        f"“{token.strip()}”  {emotions[emotion]} {values[emotion]:+.3f}; "
        f"highest: {ranked(top_emotions(values, emotions))}"
        for token, values in zip(tokens, scores, strict=True)
    ]
    colored = token_html(
        tokens, scores[:, emotion].tolist(), _largest(reading, place, emotion), titles
    )
    return Markup('<p class="tokens">{}</p><p class="detail" role="status">{}</p>').format(
        colored, _INVITATION if shown else ""
    )


def color_key(reading: Reading, place: int, emotion: int, emotions: list[str]) -> Markup:
    """Return the scale of `colored_tokens` as HTML: the emotion, and the scores at both ends."""
    largest = _largest(reading, place, emotion)
    return Markup('<p class="key">{} {:+.3f} {} {:+.3f}</p>').format(
        emotions[emotion], -largest, SCALE, largest
    )


def _largest(reading: Reading, place: int, emotion: int) -> float:
    """Return the score farthest from 0 among all turns, without its sign."""
    inside = [i for i, owner in enumerate(reading.turn) if owner >= 0]
    return float(reading.scores[place, inside, emotion].abs().max()) if inside else 1.0


def token_curve(
    reading: Reading, place: int, emotion: int, emotions: list[str], where: str
) -> Lines:
    """Describe one emotion's score along the tokens of a text."""
    inside = [i for i, owner in enumerate(reading.turn) if owner >= 0]
    curve = Line(
        name=emotions[emotion],
        x=tuple(float(n) for n in range(len(inside))),
        y=tuple(reading.scores[place, inside, emotion].tolist()),
        notes=tuple(reading.tokens[i] for i in inside),
    )
    return Lines(
        title=f"{emotions[emotion].capitalize()} along the text",
        subtitle=where,
        caption="Cosine of each token's centered residual with the emotion's vector; 0 is the "
        "average over emotions.",
        x_label="token",
        panels=(Panel(y_label="cosine", lines=(curve,)),),
    )


def conversation_curves(
    reading: Reading,
    turns: Sequence[Turn],
    place: int,
    emotion: int,
    emotions: list[str],
    where: str,
) -> Lines:
    """Describe the scores of one emotion, and of those that vary most, turn by turn."""
    per_turn = torch.stack([reading.of_turn(number, place) for number in range(len(turns))])
    finite = [i for i in range(len(turns)) if per_turn[i].isfinite().all()]
    shown = per_turn[finite]
    spread = shown.amax(dim=0) - shown.amin(dim=0) if len(finite) > 1 else shown[0].abs()
    others = [e for e in spread.argsort(descending=True).tolist() if e != emotion][:_OTHERS]
    most = "change most" if len(finite) > 1 else "are farthest from 0"
    listed = ", ".join(emotions[e] for e in others)
    beside = f"; beside it the others that {most}: {listed}" if others else ""
    curves = tuple(
        Line(
            name=emotions[e],
            x=tuple(float(i + 1) for i in finite),
            y=tuple(shown[:, e].tolist()),
            notes=tuple(turns[i].speaker for i in finite),
        )
        for e in (emotion, *others)
    )
    return Lines(
        title="The conversation, turn by turn",
        subtitle=where,
        caption="Mean score over each turn's tokens, for the emotion that is selected, "
        f"{emotions[emotion]}{beside}.",
        x_label="turn",
        panels=(Panel(y_label="cosine", lines=curves),),
    )
