"""Of the work that waits, only the newest is done; all that shares a lock takes turns."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

Answer = TypeVar("Answer")


class Newest:
    """One panel's work."""

    def __init__(self, taking_turns: asyncio.Lock) -> None:
        self._taking_turns = taking_turns
        self._asked = 0
        self._ended = 0

    @property
    def waiting(self) -> bool:
        """Whether any work is still to be done or dropped."""
        return self._ended < self._asked

    async def __call__(self, work: Callable[[], Awaitable[Answer]]) -> Answer | None:
        """Do the work when it is its turn; None when something newer was asked meanwhile."""
        self._asked += 1
        number = self._asked
        try:
            async with self._taking_turns:
                return await work() if number == self._asked else None
        finally:
            self._ended += 1
