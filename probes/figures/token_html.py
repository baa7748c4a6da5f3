"""Tokens in color: one rule for every page that shows a text with scores.

A token's color is its score's sign, its depth the score's share of the largest one: a class and a
variable of `STYLE`, so that a page's script can give a token another score.
"""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from probes.figures.pages import resource

STYLE = resource("probes.figures", "tokens.css")
SCALE = Markup(
    '<span class="scale" role="img" aria-label="from blue, negative, to orange, positive"></span>'
)
_TOKEN = Markup(
    '<span class="token {side}" style="--share:{share:.3f}" data-score="{score:.4f}" '
    'tabindex="{tab}" title="{title}"{under}>{token}</span>'
)
_UNDER = Markup(' data-under="{}"')


def side_and_share(score: float, largest: float) -> dict[str, Any]:
    """Return which side of 0 a score lies on, and its share of the largest one, in 0..1."""
    share = min(abs(score) / max(largest, 1e-6), 1.0)
    return {"side": "toward" if score > 0 else "away", "share": share}


def token_html(
    tokens: Sequence[str],
    scores: Sequence[float],
    largest: float,
    titles: Sequence[str],
    under: Sequence[str] = (),
) -> Markup:
    """Return tokens as spans, colored by scores up to `largest`; the first is a tab stop.

    `under` are lines for a style sheet to write under each token; one that breaks a line gets none.
    """
    lines = [_UNDER.format(text) for text in under] or [""] * len(tokens)
    rows = enumerate(zip(tokens, scores, titles, lines, strict=True))
    return Markup("").join(
        _TOKEN.format(
            **side_and_share(score, largest),
            score=score,
            tab=-1 if index else 0,
            title=title,
            under="" if "\n" in token else line,
            token=token,
        )
        for index, (token, score, title, line) in rows
    )
