"""A text in pieces: which tokens each of them is read at.

No tokenizer's own offsets are needed: the tokens of a beginning are those that the whole text
begins with as well. A token that reaches over an edge belongs to the later piece.
"""

from collections.abc import Sequence

from hooks.tokens.encoding import Encoder, content_places, n_common
from hooks.tokens.positions import Span

GLUE = " "
"""Stands between two pieces."""


def join(pieces: Sequence[str]) -> str:
    """Return the whole text; empty pieces leave no trace."""
    return GLUE.join(piece for piece in pieces if piece)


def spans_of_pieces(model: Encoder, pieces: Sequence[str]) -> list[Span | None]:
    """Return where each piece's content tokens stand in `join(pieces)`; None where it has none."""
    ids = model.encode(join(pieces))
    edges = [n_common(model.encode(join(pieces[:n])), ids) for n in range(1, len(pieces))]
    places = content_places(ids, model.special_ids)
    # In content tokens, which is how spans count.
    before = [sum(place < edge for place in places) for edge in (0, *edges, len(ids))]
    return [
        Span(start, stop) if start < stop else None
        for start, stop in zip(before[:-1], before[1:], strict=True)
    ]
