"""Where an axis of `Lines` ends and where its ticks stand; None leaves it to the library."""

import math
from collections.abc import Sequence

from probes.figures.description import Panel

_ROOM = 0.05  # of a logarithmic axis, beyond its outermost numbers
_APART = 0.05  # of an axis, between two ticks that both have a text
_MANY = 2.5  # powers of ten above which only they have ticks


def ends(panel: Panel) -> tuple[float, float] | None:
    """Give the ends of a panel's vertical axis, with its level in sight."""
    if panel.y_limits is not None or panel.level is None and not panel.logarithmic:
        return panel.y_limits
    heights = _heights(panel)
    if not heights:
        return None
    if panel.logarithmic:
        low, high = math.log10(min(heights)), math.log10(max(heights))
        room = _ROOM * (high - low) or 0.5
        return 10 ** (low - room), 10 ** (high + room)
    room = _ROOM * (max(heights) - min(heights)) or 0.5
    return min(heights) - room, max(heights) + room


def _heights(panel: Panel) -> list[float]:
    columns = [column for line in panel.lines for column in (line.y, line.low, line.high)]
    heights = [value for column in columns for value in column or () if value is not None]
    return heights if panel.level is None else [*heights, panel.level]


def logarithmic_ticks(low: float, high: float) -> list[float]:
    """Powers of ten between two ends, with 2 and 5 of each where these are few."""
    steps = (1, 2, 5) if math.log10(high / low) <= _MANY else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [float(f"{step}e{power}") for power in powers for step in steps]
    return [tick for tick in ticks if low <= tick <= high]


def tick_texts(ticks: Sequence[float]) -> list[str]:
    """Write every tick that has room for its text beside the one before."""
    least = _APART * (max(ticks, default=0.0) - min(ticks, default=0.0))
    texts, last = [], -math.inf
    for tick in ticks:
        fits = tick - last >= least
        texts.append(f"{tick:g}" if fits else "")
        last = tick if fits else last
    return texts
