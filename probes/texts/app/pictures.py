"""Tokens as colored text, scores as curves: what the page draws.

Contract: pure; readings in, HTML or figure descriptions out. Every text is escaped.
"""

import html
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from probes.figures.description import Line, Lines, Panel
from probes.texts.app.microscope import Reading
from probes.texts.dialogue import Turn

_POSITIVE, _NEGATIVE = "230,97,1", "33,102,172"
"""Orange toward the emotion, blue away from it: told apart by color-blind readers."""
_DEEPEST = 0.75
"""Opacity of the color of the largest score; text stays readable over it."""
_OTHERS = 4
"""Emotions that a conversation is drawn for beside the selected one; a color for each."""

SCRIPT = """
// A token says its scores when it is clicked, tapped or reached by keyboard; one token of a text is
// a tab stop, and the arrow keys go on from there.
document.addEventListener("focusin", (event) => {
  const token = event.target.closest(".token");
  if (!token) return;
  const all = token.parentElement;
  all.querySelectorAll(".token[tabindex='0']").forEach((other) => (other.tabIndex = -1));
  token.tabIndex = 0;
  all.nextElementSibling.textContent = token.title;
});
document.addEventListener("keydown", (event) => {
  const token = event.target.closest?.(".token");
  if (!token) return;
  const all = token.parentElement;
  const next = {
    ArrowRight: token.nextElementSibling,
    ArrowLeft: token.previousElementSibling,
    Home: all.firstElementChild,
    End: all.lastElementChild,
  }[event.key];
  if (!next) return;
  event.preventDefault();
  next.focus();
});
"""
STYLE = """
.tokens { line-height: 1.9; white-space: pre-wrap; overflow-wrap: anywhere; margin: .2rem 0; }
.token { border-radius: 3px; padding: .12em 0; cursor: pointer; }
.token:focus { outline: 2px solid currentColor; }
.key { font-size: .9rem; margin: 0; overflow-wrap: anywhere; }
.key-scale { display: inline-block; vertical-align: middle; width: 6rem; height: .8rem;
  border: 1px solid rgba(128,128,128,.5); }
.detail { font-size: .9rem; min-height: 1.4em; margin: 0; white-space: pre-wrap;
  overflow-wrap: anywhere; }
"""
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
) -> str:
    """Return the tokens of one turn as HTML, colored by one emotion at one layer's place.

    The deepest color is the largest score of the whole reading, so that turns compare; `color_key`
    says which. A line below them is there for what `SCRIPT` says about the chosen token.
    """
    scores = reading.scores[place]
    largest = _largest(reading, place, emotion)
    pieces = []
    for position, owner in enumerate(reading.turn):
        token = reading.tokens[position]
        if owner != turn or not token:  # the later bytes of a letter have no letter of their own
            continue
        score = float(scores[position, emotion])
        best = ranked(top_emotions(scores[position], emotions))
        strength = min(abs(score) / max(largest, 1e-6), 1.0) * _DEEPEST
        color = _POSITIVE if score > 0 else _NEGATIVE
        title = f"“{token.strip()}”  {emotions[emotion]} {score:+.3f}; highest: {best}"
        pieces.append(
            f'<span class="token" tabindex="{-1 if pieces else 0}" data-score="{score:.4f}" '
            f'title="{html.escape(title, quote=True)}" '
            f'style="background:rgba({color},{strength:.3f})">'
            f"{html.escape(token).replace(chr(10), '<br>')}</span>"
        )
    return (
        f'<p class="tokens">{"".join(pieces)}</p>'
        f'<p class="detail" role="status">{_INVITATION if pieces else ""}</p>'
    )


def color_key(reading: Reading, place: int, emotion: int, emotions: list[str]) -> str:
    """Return the scale of `colored_tokens` as HTML: the emotion, and the scores at both ends."""
    largest = _largest(reading, place, emotion)
    colors = (
        f"rgba({_NEGATIVE},{_DEEPEST}),rgba({_NEGATIVE},0) 50%,"
        f"rgba({_POSITIVE},0) 50%,rgba({_POSITIVE},{_DEEPEST})"
    )
    return (
        f'<p class="key">{html.escape(emotions[emotion])} {-largest:+.3f} '
        '<span class="key-scale" role="img" aria-label="from blue, negative, to orange, positive" '
        f'style="background:linear-gradient(to right,{colors})"></span> '
        f"{largest:+.3f}</p>"
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
    return Lines(
        title="The conversation, turn by turn",
        subtitle=where,
        caption="Mean score over each turn's tokens, for the emotion that is selected, "
        f"{emotions[emotion]}{beside}.",
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
                    for e in (emotion, *others)
                ),
            ),
        ),
    )
