"""Servers that cannot be reached: said at once, again while it lasts, and when it is over.

Contract: lives in one event loop; says what it is told, and decides nothing.
"""

import time
from collections.abc import Callable, Sequence
from datetime import datetime

_BETWEEN = 60.0
"""Seconds until the same is said again."""


class Outages:
    """What is said of servers that are gone.

    Parameters
    ----------
    names
        Addresses of the servers, by number.
    say
        Called with one line at a time.
    """

    def __init__(self, names: Sequence[str], say: Callable[[str], None]) -> None:
        self._names, self._say = names, say
        self._since: dict[int, float] = {}
        self._said: dict[int, float] = {}

    def gone(self, number: int, why: str, seconds_left: float) -> None:
        """Tell that a server was not reached, and for how long it is asked again."""
        now = time.time()
        since = self._since.setdefault(number, now)
        if now - self._said.get(number, -_BETWEEN) < _BETWEEN:
            return
        self._said[number] = now
        self._say(
            f"{self._names[number]} cannot be reached since {_clock(since)}: {why} It is asked "
            f"again until {_clock(now + seconds_left)}; finished work is kept."
        )

    def back(self, number: int) -> None:
        """Tell that a server answered."""
        since = self._since.pop(number, None)
        if since is not None:
            del self._said[number]
            seconds = time.time() - since
            self._say(f"{self._names[number]} answers again, after {seconds:.0f} s.")


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment).strftime("%H:%M:%S")
