"""Which tokens of a text count.

A selection is computed from the attention mask and the special-token ids, never from the column
numbers of a padded batch. *Content tokens* are neither padding nor special nor the first of a
sequence, whose residual norm is often many times larger.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import torch
from jaxtyping import Bool
from torch import Tensor

from hooks.errors import InvalidInput

ContentMask = Bool[Tensor, "text position"]


@runtime_checkable
class Positions(Protocol):
    """A rule that picks tokens of each text."""

    def select(self, content: ContentMask) -> ContentMask:
        """Return the mask of selected tokens, given the mask of content tokens."""
        ...


Rule: TypeAlias = Positions | Sequence[Positions | None]
"""One rule for all texts, or one for each in their order; None picks nothing."""


def select(rule: Rule, content: ContentMask, texts: Sequence[int]) -> ContentMask:
    """Apply a rule to some of the texts; `texts` are their numbers, a row of `content` each."""
    if isinstance(rule, Positions):
        return rule.select(content)
    rows = zip(content.split(1), texts, strict=True)
    own = [(row, rule[text]) for row, text in rows]
    return torch.cat([each.select(row) if each else torch.zeros_like(row) for row, each in own])


def _ordinal(content: ContentMask) -> Tensor:
    """0 for the first content token of each text, 1 for the second, ..."""
    return content.cumsum(dim=1) - 1


@dataclass(frozen=True)
class FromToken:
    """All content tokens but the first `offset` of each text."""

    offset: int = 0

    def __post_init__(self) -> None:
        if self.offset < 0:
            raise InvalidInput(f"FromToken: expected an offset of 0 or more, got {self.offset}.")

    def select(self, content: ContentMask) -> ContentMask:
        """See `Positions.select`."""
        return content & (_ordinal(content) >= self.offset)


@dataclass(frozen=True)
class Span:
    """Content tokens `start` (included) to `stop` (excluded), counted from 0 in each text."""

    start: int
    stop: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop:
            raise InvalidInput(f"Span: expected 0 <= start < stop, got {self.start}, {self.stop}.")

    def select(self, content: ContentMask) -> ContentMask:
        """See `Positions.select`."""
        ordinal = _ordinal(content)
        return content & (ordinal >= self.start) & (ordinal < self.stop)


@dataclass(frozen=True)
class Spans:
    """A `Span` of its own for each text, in the order of the one pass that reads them."""

    starts: tuple[int, ...]
    stops: tuple[int, ...]

    def __post_init__(self) -> None:
        pairs = zip(self.starts, self.stops, strict=False)
        if len(self.starts) != len(self.stops) or any(not 0 <= a < b for a, b in pairs):
            raise InvalidInput(
                f"Spans: expected 0 <= start < stop for each text, got {self.starts}, {self.stops}."
            )

    def select(self, content: ContentMask) -> ContentMask:
        """See `Positions.select`."""
        if len(content) != len(self.starts):
            raise InvalidInput(
                f"Spans: expected {len(self.starts)} texts in one pass, got {len(content)}."
            )
        ordinal = _ordinal(content)
        return (
            content
            & (ordinal >= ordinal.new_tensor(self.starts).unsqueeze(1))
            & (ordinal < ordinal.new_tensor(self.stops).unsqueeze(1))
        )


@dataclass(frozen=True)
class Ordinals:
    """Content tokens by their numbers, counted from 0 in each text; none may be given."""

    numbers: tuple[int, ...]

    def __post_init__(self) -> None:
        if any(number < 0 for number in self.numbers):
            raise InvalidInput(f"Ordinals: expected numbers of 0 or more, got {self.numbers}.")

    def select(self, content: ContentMask) -> ContentMask:
        """See `Positions.select`."""
        ordinal = _ordinal(content)
        wanted = torch.tensor(self.numbers, dtype=ordinal.dtype, device=ordinal.device)
        return content & torch.isin(ordinal, wanted)


@dataclass(frozen=True)
class Last:
    """The last `n` content tokens of each text."""

    n: int = 1

    def __post_init__(self) -> None:
        if self.n < 1:
            raise InvalidInput(f"Last: expected n of 1 or more, got {self.n}.")

    def select(self, content: ContentMask) -> ContentMask:
        """See `Positions.select`."""
        total = content.sum(dim=1, keepdim=True)
        return content & (_ordinal(content) >= total - self.n)


@dataclass(frozen=True)
class Spaced:
    """Evenly spaced content tokens of each text after the first `offset`: `n`, or all if fewer."""

    offset: int
    n: int

    def __post_init__(self) -> None:
        if self.offset < 0 or self.n < 1:
            raise InvalidInput(
                f"Spaced: expected offset >= 0 and n >= 1, got {self.offset}, {self.n}."
            )

    def select(self, content: ContentMask) -> ContentMask:
        """See `Positions.select`."""
        ordinal = _ordinal(content) - self.offset
        total = content.sum(dim=1, keepdim=True) - self.offset
        # Token i is taken where i * n / total passes a whole number: exactly min(n, total) of them.
        before = (ordinal - 1) * self.n // total.clamp(min=self.n)
        return content & (ordinal >= 0) & (ordinal * self.n // total.clamp(min=self.n) != before)
