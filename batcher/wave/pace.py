"""Pace: how often one scope may send. One pacer a scope and kind of request, awaited in one place, in order.

A limit of R requests in P seconds is counted where the cloud counts it, so what must keep the distance is the
moments at which requests leave, not the moments at which they were allowed to. Requests are spread evenly, and
request n + R gets its slot only when request n has left (a slow connection may hold it up) and P has passed
since. Then any R + 1 departures span at least P: of R + 1 requests two are R or more slots apart, and the later
one's slot lies P after the earlier one's departure. A margin on P takes up the jitter of the way to the cloud.

asyncio-throttle stands behind that as the outer guard of the window, on the moments of the slots. It lets
whole bursts through and polls while it waits, so it is never what sets the pace; it is there so that no
mistake above it can exceed the limit.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import floor

from asyncio_throttle.throttler import Throttler

from batcher.rates import Rate
from batcher.wave.clocks import Clock

MARGIN = 0.01  # of the period, and
MARGIN_S = 0.005  # on top of it: what the way to the cloud may jitter
LEAD_S = 0.1  # a turn begins so long before its slot, so that the intent is durable in time


class Closed(Exception):
    """The pacer was closed: nothing leaves any more."""


class Slot:
    """One request's place in the window: when it was allowed, and when it left."""

    __slots__ = ("allowed", "gone", "left")

    def __init__(self) -> None:
        self.allowed = 0.0
        self.left: float | None = None  # None: not yet
        self.gone = asyncio.Event()  # it has left, or it never will


class Turn:
    """A caller's turn: `due` waits for its slot; `sent` and `ended` say what became of the request."""

    def __init__(self, pacer: "Pacer") -> None:
        self._pacer = pacer
        self._slot: Slot | None = None

    async def due(self) -> None:
        """Wait until the request may leave, and take the slot."""
        self._slot = await self._pacer._take()

    def sent(self) -> None:
        """The request leaves now."""
        if self._slot is not None and self._slot.left is None:
            self._slot.left = self._pacer.clock.monotonic()
            self._slot.gone.set()

    def ended(self, *, sent: bool) -> None:
        """The request has ended. Not *sent*: it never left, and takes no place in the window."""
        if self._slot is None:
            return
        if sent:
            self.sent()
        else:
            self._slot.left = float("-inf") if self._slot.left is None else self._slot.left
            self._slot.gone.set()


class Pacer:
    """At most *rate* departures in any window of its period; None: no limit of ours."""

    def __init__(self, rate: Rate | None, clock: Clock) -> None:
        self.clock = clock
        self.rate = rate
        self._gate = asyncio.Lock()  # hands out slots one at a time, first come first served
        self._ideal = float("-inf")  # when the last slot was due
        self._paused_until = float("-inf")
        self.pause_reason: str | None = None
        self._ahead = 0  # callers in the anteroom
        self._closed = False
        self._changed = asyncio.Event()  # wakes whoever sleeps towards a moment that may have moved
        self._slots: deque[Slot] = deque(maxlen=rate.count if rate else 0)
        if rate is None:
            return
        self._gap = rate.period_s * (1 + MARGIN) / rate.count
        self._window = rate.period_s * (1 + MARGIN) + MARGIN_S
        self._guard = Throttler(rate_limit=rate.count, period=rate.period_s)
        # Only so many callers wait with an open intent as slots fall due within the lead.
        self._anteroom = asyncio.Semaphore(1 + floor(LEAD_S / self._gap))

    def pause(self, seconds: float, reason: str) -> None:
        """Nothing leaves for *seconds* from now; a longer pause in force stays."""
        until = self.clock.monotonic() + seconds
        if until > self._paused_until:
            self._paused_until = until
            self.pause_reason = reason

    def close(self) -> None:
        """Nothing leaves any more: whoever waits gets `Closed`, at once."""
        self._closed = True
        self._changed.set()
        for slot in self._slots:
            slot.gone.set()

    @property
    def paused_s(self) -> float | None:
        """Seconds that the pause still lasts; None: not paused."""
        left = self._paused_until - self.clock.monotonic()
        return left if left > 0 else None

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Turn]:
        """Enter when a slot is about to fall due; inside, make the intent durable, then await `Turn.due`.

        Both raise `Closed` once the pacer is closed.
        """
        if self.rate is None:
            await self._sleep_until(self._paused_until)
            yield Turn(self)
            return
        async with self._anteroom:
            ahead = self._ahead
            self._ahead += 1
            try:
                await self._sleep_until(self._estimate(ahead) - LEAD_S)
                yield Turn(self)
            finally:
                self._ahead -= 1

    def _estimate(self, ahead: int) -> float:
        return max(self._paused_until, self._ideal + self._gap * (1 + ahead))

    async def _take(self) -> Slot:
        slot = Slot()
        if self.rate is None:
            await self._sleep_until(self._paused_until)
            return slot
        async with self._gate:
            oldest = self._slots[0] if len(self._slots) == self.rate.count else None
            if oldest is not None:
                await oldest.gone.wait()
            while True:
                if self._closed:
                    raise Closed
                now = self.clock.monotonic()
                due = max(self._paused_until, self._ideal + self._gap)
                if oldest is not None and oldest.left is not None:
                    due = max(due, oldest.left + self._window)
                if due <= now:
                    break
                await self._sleep(due - now)
            await self._guard.acquire()  # type: ignore[no-untyped-call]
            now = self.clock.monotonic()
            # A timer fires late by a fraction of a gap: the schedule, not the timer, sets the next slot.
            self._ideal = max(due, now - self._gap)
            slot.allowed = now
            self._slots.append(slot)
        return slot

    async def _sleep_until(self, moment: float) -> None:
        while True:
            if self._closed:
                raise Closed
            seconds = max(moment, self._paused_until) - self.clock.monotonic()
            if seconds <= 0:
                return
            await self._sleep(seconds)

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            pass
