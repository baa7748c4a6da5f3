"""Read parts of an analysis, as loaded from JSON, with errors that name the part.

Contract
--------
* A missing part, a null where a number belongs, and a number that is not finite raise
  `DataError`.
* Everything comes back as tuples of built-in floats and strings, ready for a description.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from hooks.errors import DataError
from probes.figures.text import correlation, share

__all__ = ["correlation", "interval", "matrix", "need", "number", "numbers", "pair", "share"]


def need(part: Mapping[str, Any], key: str, where: str) -> Any:
    """Return one entry of a mapping."""
    if part.get(key) is None:
        raise DataError(
            f"{where}: expected an entry {key!r}, found {sorted(part)}. Repeat the analysis."
        )
    return part[key]


def number(value: Any, where: str) -> float:
    """Return one finite number."""
    try:
        finite = float(value)
    except (TypeError, ValueError):
        finite = math.nan
    if not math.isfinite(finite):
        raise DataError(
            f"{where}: expected a finite number, found {value!r}. "
            "Find the text or layer that produced it and repeat the analysis."
        )
    return finite


def numbers(values: Iterable[Any], where: str) -> tuple[float, ...]:
    """Return a row of finite numbers."""
    return tuple(number(value, f"{where}[{index}]") for index, value in enumerate(values))


def pair(values: Iterable[Any], where: str) -> tuple[float, float]:
    """Return the two ends of an interval."""
    low, high = numbers(values, where)
    return low, high


def interval(estimate: Mapping[str, Any], where: str) -> tuple[float, float] | None:
    """Return ``low`` and ``high`` of an estimate; None for one that has no interval."""
    if estimate["low"] is None or estimate["high"] is None:
        return None
    return pair((estimate["low"], estimate["high"]), where)


def matrix(rows: Iterable[Iterable[Any]], where: str) -> tuple[tuple[float, ...], ...]:
    """Return rows of finite numbers."""
    return tuple(numbers(row, f"{where}[{index}]") for index, row in enumerate(rows))
