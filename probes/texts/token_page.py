"""A page of texts whose tokens are colored by a chosen emotion: one file, no network.

Contract: whatever a text, a name or a token contains appears as text. The script gets it as JSON in
which no ``<`` is left, and writes it with ``textContent`` alone. Scores travel as thousandths.
"""

import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

_TEMPLATE = Path(__file__).with_suffix(".html")


@dataclass(frozen=True)
class Block:
    """One text, turn or passage.

    Attributes
    ----------
    tokens
        What each token spells; together, the text.
    scores
        Of each token for each shown emotion; one column when `emotion` is given.
    score
        Of the whole block; NaN is shown as no score.
    emotion
        Place of the only emotion under which the block is shown; None: under every one.
    """

    title: str
    about: str
    tokens: Sequence[str]
    scores: Float[Tensor, "token emotion"]
    score: Float[Tensor, "emotion"]
    emotion: int | None = None


def render(title: str, about: str, emotions: Sequence[str], blocks: Sequence[Block]) -> str:
    """Return the whole page."""
    largest = [float(block.scores.abs().max()) for block in blocks if block.scores.numel()]
    content = {
        "emotions": list(emotions),
        "limit": max(1, round(1000 * max(largest, default=1.0))),
        "blocks": [
            {
                "title": block.title,
                "about": block.about,
                "tokens": list(block.tokens),
                "scores": [_thousandths(column) for column in block.scores.T],
                "score": _thousandths(block.score),
                "emotion": block.emotion,
            }
            for block in blocks
        ],
    }
    data = json.dumps(content, separators=(",", ":")).replace("<", "\\u003c")
    page = _TEMPLATE.read_text(encoding="utf-8")
    filled = {"TITLE": html.escape(title), "ABOUT": html.escape(about), "DATA": data}
    # In one pass: what is filled in may spell a placeholder itself.
    return re.sub(r"\{\{([A-Z]+)\}\}", lambda found: filled[found[1]], page)


def _thousandths(values: Float[Tensor, "value"]) -> list[int | None]:
    return [None if value != value else round(1000 * value) for value in values.tolist()]
