"""Our clock, handed in; and what we know of the cloud's clock, learnt from `Date` headers."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Time as the engine sees it."""

    def now(self) -> float:
        """Wall time, Unix seconds: for what people read. It may step."""
        ...

    def monotonic(self) -> float:
        """Seconds on a clock that never steps: for every duration."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        ...


class SystemClock:
    """The machine's clock."""

    now = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)  # the same clock as the event loop's

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)


def utc(moment: float) -> datetime:
    """*moment* (Unix seconds) as an aware datetime."""
    return datetime.fromtimestamp(moment, UTC)


class CloudClock:
    """The cloud's clock against our monotonic one, as an interval.

    A `Date` of D seconds, stamped between sending and answering, says that the cloud's clock ran in [D, D + 1)
    then. Several answers narrow the interval; one that contradicts it (a step, another host) replaces it.
    """

    def __init__(self) -> None:
        self._low: float | None = None  # bounds of (cloud's clock - our monotonic clock)
        self._high: float | None = None

    def learn(self, date: float | None, sent: float, answered: float) -> None:
        """*date* is the answer's `Date` in Unix seconds, if it had one; *sent* and *answered* are monotonic."""
        if date is None:
            return
        low, high = date - answered, date + 1.0 - sent
        if self._low is None or self._high is None or low > self._high or high < self._low:
            self._low, self._high = low, high
        else:
            self._low, self._high = max(self._low, low), min(self._high, high)

    def earliest(self, monotonic: float) -> float | None:
        """The earliest the cloud's clock can have shown at *monotonic*; None: nothing learnt yet."""
        return None if self._low is None else monotonic + self._low

    def latest(self, monotonic: float) -> float | None:
        """The latest it can have shown."""
        return None if self._high is None else monotonic + self._high

    def offset(self, clock: Clock) -> float | None:
        """Seconds by which the cloud's clock is ahead of our wall clock; None: nothing learnt yet."""
        if self._low is None or self._high is None:
            return None
        return (self._low + self._high) / 2 + clock.monotonic() - clock.now()
