"""Memory that a wave took, given back to the system when it has ended: a service runs for months."""

import asyncio
from collections.abc import Callable

from batcher.memory import give_back

LEAST_S = 60.0  # between two times


class MemoryReturn:
    """Gives memory back now and then; *now* never steps."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._last: float | None = None

    async def when_idle(self) -> bool:
        """Waves have ended, and none runs: give back what they took. False: not now, that was done a moment ago."""
        if self._last is not None and self._now() - self._last < LEAST_S:
            return False
        self._last = self._now()
        await asyncio.to_thread(give_back)
        return True
