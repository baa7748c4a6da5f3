"""Numbers with their intervals, as tables and paragraphs of experiments say them.

Contract: plain values as JSON holds them in, text out; the interval is in brackets after the
number. What was not measured is said in words, never as a number.
"""

from collections.abc import Mapping, Sequence
from typing import Any

NOTHING = "not compared"


def estimate(found: Mapping[str, Any] | None) -> str:
    """Write ``value`` with ``low`` and ``high``, which may be None: ``0.94 [0.86, 0.97]``."""
    return NOTHING if found is None else _written(found["value"], found, "")


def signed(found: Mapping[str, Any] | None) -> str:
    """Write a difference in the same way, with its sign: ``+0.30 [+0.13, +0.53]``."""
    return NOTHING if found is None else _written(found["value"], found, "+")


def correlation(found: Mapping[str, Any]) -> str:
    """Write ``r`` with ``low`` and ``high``, which may be None."""
    return _written(found["r"], found, "")


def effect(value: float, interval: Sequence[float], digits: int = 2) -> str:
    """Write an effect with its sign and the two ends of its interval."""
    return _written(value, {"low": interval[0], "high": interval[1]}, "+", digits)


def _written(value: float, ends: Mapping[str, Any], sign: str, digits: int = 2) -> str:
    form = f"{sign}.{digits}f"
    if ends["low"] is None:
        return f"{value:{form}}"
    return f"{value:{form}} [{ends['low']:{form}}, {ends['high']:{form}}]"
