"""Estimates with their intervals, as bars and lines.

Contract
--------
* An estimate is ``{value, low, high}`` as the analyses leave it; ``low`` is None where it has no
  interval.
* Damaged numbers raise `DataError`, naming where they stand.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Protocol, runtime_checkable

from probes.figures.description import Line, Part
from probes.figures.reading import number, numbers


@runtime_checkable
class WithInterval(Protocol):
    """A number with an interval, as `probes.analysis.findings.Estimate` is."""

    @property
    def value(self) -> float:
        """The number."""
        ...

    @property
    def low(self) -> float | None:
        """Lower end, None without an interval."""
        ...

    @property
    def high(self) -> float | None:
        """Upper end, None without an interval."""
        ...


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


def bar_of(
    label: str, kind: str, estimate: "WithInterval | Mapping[str, Any]", where: str = ""
) -> Bar:
    """Make a bar of an estimate."""
    it = _as_estimate(estimate)
    ends = None if it.low is None or it.high is None else (it.low, it.high)
    return Bar(label, kind, number(it.value, where or label), ends)


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
    name: str,
    x: tuple[float, ...],
    estimates: "Iterable[WithInterval | Mapping[str, Any]]",
    where: str = "",
) -> Line:
    """Make a line of estimates, with their intervals as its band."""
    numbered = [_as_estimate(each) for each in estimates]
    y, low, high = (
        numbers((getattr(each, key) for each in numbered), where or name)
        for key in ("value", "low", "high")
    )
    return Line(name=name, x=x, y=y, low=low, high=high)


def _as_estimate(given: "WithInterval | Mapping[str, Any]") -> Any:
    return SimpleNamespace(**given) if isinstance(given, Mapping) else given
