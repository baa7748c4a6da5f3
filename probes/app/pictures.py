"""Tokens as colored text, scores as curves and tables: what the page draws.

Contract: pure; readings in, HTML or figure descriptions out. Every text is escaped.
"""

import html
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from probes.app.microscope import Reading, Turn
from probes.figures.description import Line, Lines, Panel

_POSITIVE, _NEGATIVE = "230,97,1", "33,102,172"
"""Orange toward the emotion, blue away from it: told apart by color-blind readers."""


def top_emotions(
    scores: Float[Tensor, "emotion"], emotions: list[str], n: int = 5
) -> list[tuple[str, float]]:
    """Return the emotions with the highest scores, the highest first; none for NaN scores."""
    if not scores.isfinite().all():
        return []
    values, places = scores.topk(min(n, len(emotions)))
    return [(emotions[i], v) for i, v in zip(places.tolist(), values.tolist(), strict=True)]


def colored_tokens(
    reading: Reading, place: int, emotion: int, emotions: list[str], turn: int = 0
) -> str:
    """Return the tokens of one turn as HTML, colored by one emotion at one layer's place.

    The deepest color is the largest score of the whole reading, so that turns compare.
    """
    scores = reading.scores[place]
    inside = [i for i, owner in enumerate(reading.turn) if owner >= 0]
    largest = float(scores[inside, emotion].abs().max()) if inside else 1.0
    pieces = []
    for position, owner in enumerate(reading.turn):
        if owner != turn:
            continue
        score = float(scores[position, emotion])
        best = ", ".join(f"{n} {v:+.2f}" for n, v in top_emotions(scores[position], emotions, 3))
        strength = min(abs(score) / max(largest, 1e-6), 1.0) * 0.75
        color = _POSITIVE if score > 0 else _NEGATIVE
        token = html.escape(reading.tokens[position]).replace("\n", "<br>")
        title = html.escape(f"{emotions[emotion]} {score:+.3f}; highest: {best}", quote=True)
        pieces.append(
            f'<span class="token" data-score="{score:.4f}" title="{title}" '
            f'style="background:rgba({color},{strength:.3f})">{token}</span>'
        )
    return '<p class="tokens">' + "".join(pieces) + "</p>"


def token_curve(
    reading: Reading, place: int, emotion: int, emotions: list[str], where: str
) -> Lines:
    """Describe one emotion's score along the tokens of a text."""
    inside = [i for i, owner in enumerate(reading.turn) if owner >= 0]
    values = reading.scores[place, inside, emotion].tolist()
    return Lines(
        title=f"{emotions[emotion].capitalize()} along the text",
        subtitle=where,
        caption="Cosine of each token's centered residual with the emotion's vector; 0 is the "
        "average over emotions.",
        x_label="token",
        panels=(
            Panel(
                y_label="cosine",
                lines=(
                    Line(
                        name=emotions[emotion],
                        x=tuple(float(n) for n in range(len(inside))),
                        y=tuple(values),
                        notes=tuple(reading.tokens[i] for i in inside),
                    ),
                ),
            ),
        ),
    )


def conversation_curves(
    reading: Reading, turns: Sequence[Turn], place: int, emotions: list[str], where: str
) -> Lines:
    """Describe the scores of the emotions that vary most, turn by turn."""
    per_turn = torch.stack([reading.of_turn(number, place) for number in range(len(turns))])
    finite = [i for i in range(len(turns)) if per_turn[i].isfinite().all()]
    shown = per_turn[finite]
    spread = shown.amax(dim=0) - shown.amin(dim=0) if len(finite) > 1 else shown[0].abs()
    chosen = spread.topk(min(5, len(emotions))).indices.tolist()
    return Lines(
        title="The conversation, turn by turn",
        subtitle=where,
        caption="Mean score over each turn's tokens, for the five emotions that change most.",
        x_label="turn",
        panels=(
            Panel(
                y_label="cosine",
                lines=tuple(
                    Line(
                        name=emotions[e],
                        x=tuple(float(i + 1) for i in finite),
                        y=tuple(shown[:, e].tolist()),
                        notes=tuple(turns[i].speaker for i in finite),
                    )
                    for e in chosen
                ),
            ),
        ),
    )
