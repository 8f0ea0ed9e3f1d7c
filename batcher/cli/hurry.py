"""An event loop in a hurry: every wait on it is shorter by a factor, sockets and computing take what they take.

Client and simulated cloud run on the same such loop, so pace, latency, back-off and limits keep their proportions.
What cannot be hurried (computing, the journal's syncs) appears longer by that factor: a rehearsal never
promises less time than the wave will take.
"""

import asyncio
import selectors
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from asyncio_throttle import throttler


class _HurriedSelector(selectors.DefaultSelector):
    """Waits for a fraction of the time it is asked to."""

    def __init__(self, speed: float) -> None:
        super().__init__()
        self._speed = speed

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """See `selectors.BaseSelector.select`."""
        ready: list[tuple[selectors.SelectorKey, int]] = super().select(
            timeout / self._speed if timeout is not None else None
        )
        return ready


class HurriedLoop(asyncio.SelectorEventLoop):
    """A loop whose clock runs *speed* times as fast as the world's."""

    def __init__(self, speed: float) -> None:
        self._began = time.monotonic()
        self._speed = speed
        super().__init__(_HurriedSelector(speed))

    def time(self) -> float:
        """Seconds on the loop's own clock."""
        return self._began + (time.monotonic() - self._began) * self._speed


class LoopClock:
    """A `Clock` that reads the running loop's time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ahead = time.time() - loop.time()

    def now(self) -> float:
        """Wall time, Unix seconds."""
        return self._loop.time() + self._ahead

    def monotonic(self) -> float:
        """Seconds."""
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)


class _LoopTime:
    """Stands in for the `time` module where a library asks it instead of the loop."""

    @staticmethod
    def monotonic() -> float:
        """The running loop's time."""
        return asyncio.get_running_loop().time()


@contextmanager
def throttler_on_loop_time() -> Iterator[None]:
    """asyncio-throttle, the outer guard of the pace, reads the loop's clock while this lasts."""
    library = cast("Any", throttler)
    before, library.time = library.time, _LoopTime
    try:
        yield
    finally:
        library.time = before
