"""Estimates with their intervals, as bars and lines.

Contract
--------
* An estimate is ``{value, low, high}`` as the analyses leave it; ``low`` is None where it has no
  interval.
* Damaged numbers raise `DataError`, naming where they stand.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from probes.figures.description import Line, Part
from probes.figures.reading import interval, number, numbers


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


def bar_of(label: str, kind: str, estimate: Mapping[str, Any], where: str) -> Bar:
    """Make a bar of an estimate.

    Raises
    ------
    DataError
        When a number is missing or not finite.
    """
    return Bar(label, kind, number(estimate["value"], where), interval(estimate, where))


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


def line_of(
    name: str, x: tuple[float, ...], estimates: Iterable[Mapping[str, Any]], where: str
) -> Line:
    """Make a line of estimates, with their intervals as its band.

    Raises
    ------
    DataError
        When a number is missing or not finite.
    """
    found = list(estimates)
    y, low, high = (
        numbers((each[key] for each in found), where) for key in ("value", "low", "high")
    )
    return Line(name=name, x=x, y=y, low=low, high=high)
