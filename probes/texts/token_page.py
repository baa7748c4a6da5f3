"""A page of texts whose tokens are colored by a chosen emotion; texts get in as JSON alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor

from probes.figures import pages
from probes.figures.token_html import SCALE
from probes.vectors.zero import Z_MEANS


@dataclass(frozen=True)
class Block:
    """One text, turn or passage: its tokens, their scores, its own score (NaN: none is shown).

    `emotion` is the only one under which it is shown, with one column of scores; None: every one.
    `z` is how far its own score lies above neutral text; None or NaN: none is shown.
    """

    title: str
    about: str
    tokens: Sequence[str]
    scores: Float[Tensor, "token emotion"]
    score: Float[Tensor, "emotion"]
    emotion: int | None = None
    z: Float[Tensor, "emotion"] | None = None

    @property
    def has_z(self) -> bool:
        """Whether any is shown."""
        return self.z is not None and bool(self.z.isfinite().any())


def render(title: str, about: str, emotions: Sequence[str], blocks: Sequence[Block]) -> str:
    """Return the whole page."""
    largest = [float(block.scores.abs().max()) for block in blocks if block.scores.numel()]
    content = {
        "emotions": list(emotions),
        "limit": max(1, round(1000 * max(largest, default=1.0))),
        **({"z_means": Z_MEANS} if any(block.has_z for block in blocks) else {}),
        "blocks": list(map(_described, blocks)),
    }
    shown = {"title": title, "about": about, "data": content, "scale": SCALE}
    return pages.render("probes.texts", "tokens.html", script="tokens.js", **shown)


def _described(block: Block) -> dict[str, Any]:
    described = vars(block) | {
        "tokens": list(block.tokens),
        "scores": [_thousandths(column) for column in block.scores.T],
        "score": _thousandths(block.score),
    }
    z = described.pop("z")
    return described | ({"z": _thousandths(z)} if block.has_z else {})


def _thousandths(values: Float[Tensor, "value"]) -> list[int | None]:
    return [None if value != value else round(1000 * value) for value in values.tolist()]
