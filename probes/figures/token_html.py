"""Tokens in color: one rule for every page that shows a text with scores.

A token's color is its score's sign, its depth the score's share of the largest one: a class and a
variable of `STYLE`, so that a page's script can give a token another score.
"""

from collections.abc import Sequence

from markupsafe import Markup

from probes.figures.pages import resource

STYLE = resource("probes.figures", "tokens.css")
SCALE = Markup(
    '<span class="scale" role="img" aria-label="from blue, negative, to orange, positive"></span>'
)
_TOKEN = Markup(
    '<span class="token {side}" style="--share:{share:.3f}" data-score="{score:.4f}" '
    'tabindex="{tab}" title="{title}">{token}</span>'
)


def token_html(
    tokens: Sequence[str], scores: Sequence[float], largest: float, titles: Sequence[str]
) -> Markup:
    """Return tokens as spans, colored by scores up to `largest`; the first is a tab stop."""
    return Markup("").join(
        _TOKEN.format(
            side="toward" if score > 0 else "away",
            share=min(abs(score) / max(largest, 1e-6), 1.0),
            score=score,
            tab=-1 if index else 0,
            title=title,
            token=token,
        )
        for index, (token, score, title) in enumerate(zip(tokens, scores, titles, strict=True))
    )
