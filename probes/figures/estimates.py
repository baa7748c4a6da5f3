"""Estimates with their intervals, as bars and lines.

Contract: what is not finite is refused by the description that the bars and lines go into.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Protocol, runtime_checkable

from probes.figures.description import Line, Part


@runtime_checkable
class WithInterval(Protocol):
    """A number and the ends of its interval, as `probes.analysis.findings.Estimate` is."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Bar:
    """One horizontal bar.

    Attributes
    ----------
    kind
        Decides its color, and its name in the legend.
    """

    label: str
    kind: str
    value: float
    ends: tuple[float, float] | None = None


def bar_of(label: str, kind: str, estimate: Any, where: str = "") -> Bar:  # noqa: ARG001
    """Make a bar of an estimate."""
    it = _as_estimate(estimate)
    return Bar(label, kind, it.value, None if it.low is None else (it.low, it.high))


def bars_by_kind(
    bars: Sequence[Bar], kinds: Sequence[str], muted: Sequence[str] = ()
) -> dict[str, Any]:
    """Return what `Bars` is told of its bars, each colored by its kind.

    Parameters
    ----------
    kinds
        In the order of the legend.
    muted
        Kinds that are drawn in gray: what is there by chance.
    """
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


def line_of(name: str, x: tuple[float, ...], estimates: Iterable[Any], where: str = "") -> Line:  # noqa: ARG001
    """Make a line of estimates, with their intervals as its band."""
    numbered = [_as_estimate(each) for each in estimates]
    y, low, high = (
        tuple(getattr(each, key) for each in numbered) for key in ("value", "low", "high")
    )
    return Line(name=name, x=x, y=y, low=low, high=high)


def _as_estimate(given: WithInterval | Mapping[str, Any]) -> Any:
    return SimpleNamespace(**given) if isinstance(given, Mapping) else given
