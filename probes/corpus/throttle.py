"""How many requests may be under way at each of several servers.

Each answer adds ``1 / places`` up to the ceiling; each refusal (429, 503) halves them, down to one.
TCP shares a line it does not know in this way (Chiu and Jain 1989,
https://doi.org/10.1016/0169-7552(89)90019-6).

Contract: lives in one event loop; knows numbers of servers, not what is asked of them.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass


@dataclass
class Server:
    """State of one server; `closed_until` is when it asked to be asked again."""

    number: int
    places: float
    busy: int = 0
    closed_until: float = 0.0
    lowered_at: float = -math.inf


@dataclass(frozen=True)
class Place:
    """A place at a server, and when it was taken."""

    server: Server
    taken_at: float


class Throttle:
    """Places at `n_servers` servers, `ceiling` at each at most."""

    def __init__(self, n_servers: int, ceiling: int) -> None:
        self.ceiling = ceiling
        self.servers = [Server(number, float(ceiling)) for number in range(n_servers)]
        self._changed = asyncio.Condition()

    @contextlib.asynccontextmanager
    async def place(
        self, avoid: int | None = None, only: int | None = None
    ) -> AsyncIterator[Place]:
        """Wait for a place and hold it; at another server than `avoid`, or only at one."""
        server = await self._take(avoid, self.servers if only is None else [self.servers[only]])
        try:
            yield Place(server, _now())
        finally:
            server.busy -= 1
            async with self._changed:
                self._changed.notify_all()

    async def _take(self, avoid: int | None, servers: list[Server]) -> Server:
        async with self._changed:
            while True:
                closed = [s.closed_until for s in servers if s.closed_until > _now()]
                free = [s for s in servers if s.busy < int(s.places) and s.closed_until <= _now()]
                if free:
                    chosen = min(
                        free, key=lambda s: (s.number == avoid, s.busy / s.places, s.number)
                    )
                    chosen.busy += 1
                    return chosen
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout_at(min(closed, default=None)):
                        await self._changed.wait()

    def answered(self, place: Place) -> None:
        """Count an answer: a little more may be asked of this server."""
        server = place.server
        server.places = min(float(self.ceiling), server.places + 1 / server.places)

    def refused(self, place: Place, pause: float | None = None) -> None:
        """Count a refusal: half as much is asked of this server, nothing for `pause` seconds."""
        server, now = place.server, _now()
        # Requests that were under way together are refused for one and the same reason.
        if place.taken_at > server.lowered_at:
            server.places = max(1.0, server.places / 2)
            server.lowered_at = now
        server.closed_until = max(server.closed_until, now + (pause or 0.0))


def _now() -> float:
    return asyncio.get_running_loop().time()
