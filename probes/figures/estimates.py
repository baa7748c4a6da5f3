"""Estimates (``value``, ``low``, ``high``) with their intervals, as bars and lines."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from probes.figures.description import Line, Part


@dataclass(frozen=True)
class Bar:
    """One horizontal bar; its kind decides its color and its name in the legend."""

    label: str
    kind: str
    value: float
    ends: tuple[float, float] | None = None


def bar_of(label: str, kind: str, estimate: Any) -> Bar:
    """Make a bar of an estimate."""
    ends = None if estimate.low is None else (estimate.low, estimate.high)
    return Bar(label, kind, estimate.value, ends)


def bars_by_kind(
    bars: Sequence[Bar], kinds: Sequence[str], muted: Sequence[str] = ()
) -> dict[str, Any]:
    """Return what `Bars` is told of its bars, each colored by its kind; `muted` kinds are gray."""
    return {
        "categories": tuple(bar.label for bar in bars),
        "parts": tuple(
            Part(
                name=kind,
                values=tuple(bar.value if bar.kind == kind else 0.0 for bar in bars),
                muted=kind in muted,
            )
            for kind in kinds
        ),
        "intervals": tuple(bar.ends for bar in bars),
        "category_label": "",
        "horizontal": True,
    }


def line_of(name: str, x: tuple[float, ...], estimates: Iterable[Any]) -> Line:
    """Make a line of estimates, with their intervals as its band."""
    each = [(estimate.value, estimate.low, estimate.high) for estimate in estimates]
    y, low, high = zip(*each, strict=True)
    return Line(name=name, x=x, y=y, low=low, high=high)
