"""Pace: how often one scope may send. One pacer a scope and kind of request, awaited in one place, in order.

A limit of R requests in P seconds is counted where the cloud counts it, so what must keep the distance is the
moments at which requests leave, not the moments at which they were allowed to. `pace_window` holds that rule.
Within it requests are spread evenly, a little tighter than the rate asks for, so that one that is late holds up
none of those after it.

asyncio-throttle stands behind that as the outer guard of the window, on the moments of the slots. It lets
whole bursts through and polls while it waits, so it is never what sets the pace; it is there so that no
mistake above it can exceed the limit.

Several parties may share a pacer: whose turn it is says `fair_semaphore`. One that is held or closed has no place in
it.

Beside our own limit a narrower one may be kept, which was learnt from the cloud: as it may have another period, both
hold. Either may change at any time, and departures before the change count by the new one.
"""

import asyncio
from collections.abc import Callable
from math import inf
from types import TracebackType
from typing import Self

from asyncio_throttle.throttler import Throttler

from batcher.clock import Clock
from batcher.pace.fair_semaphore import FairSemaphore, Party, PartyClosed
from batcher.pace.window import Window, WindowPlace
from batcher.rates import Rate

LEAD_S = 0.1  # a turn begins so long before its slot, so that the intent is durable in time
_LATE_S = 0.05  # by which a timer may fire late; after a longer wait the schedule begins anew
_TIGHTER = 0.96  # of an even gap: what is late catches up within the period


_Moment = Callable[[float], float]


class WindowThrottler(Throttler):
    """asyncio-throttle on the clock that is handed in, which may run faster than the machine's, or by leaps."""

    def __init__(self, rate: Rate, clock: Clock) -> None:
        super().__init__(rate_limit=rate.count, period=rate.period_s)
        self._clock = clock

    def flush(self) -> None:
        """Forget the slots that are older than the period."""
        now = self._clock.monotonic()
        while self._task_logs and now - self._task_logs[0] > self.period:
            self._task_logs.popleft()

    async def acquire(self) -> None:
        """Wait until there is room in the period, and take it."""
        await super().acquire()  # type: ignore[no-untyped-call]
        self._task_logs[-1] = self._clock.monotonic()

    def set_rate(self, rate: Rate) -> None:
        """Guard *rate* from now on."""
        self.rate_limit, self.period = rate.count, rate.period_s


class Turn:
    """A caller's turn. Enter it, which waits until a slot is about to fall due; inside, make the intent durable, then
    await `due`, which waits for the slot. `enters` and `is_due` do the same where there is nothing to wait for; who
    entered by that has to `leave`. `sent` and `ended` say what became of the request: whoever had a slot sees to
    it that it `ended`. Entering and `due` raise `PartyClosed` once the pacer or the party is closed, and `PartyPaused`
    while that is held."""

    __slots__ = ("_began_with", "_pacer", "_party", "_places")

    is_paced = True
    """There is no pace of the caller's own to be waited for by `pace`, or it has been."""

    def __init__(self, pacer: "Pacer", party: Party) -> None:
        self._pacer = pacer
        self._party = party
        self._places: tuple[tuple[Window, WindowPlace], ...] | None = None  # None: it has no slot
        self._began_with = 0

    async def pace(self) -> None:
        """Wait for the caller's own pace, where there is one: before anything is taken that others wait for."""

    def unpace(self) -> None:
        """Let others have the caller's own pace."""

    def enters(self) -> bool:
        """Enter, if that can be had at once: else wait by `enter`. Raises `PartyClosed` and `PartyPaused`."""
        return self._pacer._enters(self._party)

    async def enter(self) -> None:
        """Enter, once a slot is about to fall due. Raises `PartyClosed` and `PartyPaused`."""
        await self._pacer._enter(self._party)

    def leave(self) -> None:
        """Let others enter."""
        self._pacer._leave()

    async def __aenter__(self) -> Self:
        await self.enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def is_due(self) -> bool:
        """Take the slot, if that can be had at once: else wait by `due`. Raises `PartyClosed` and `PartyPaused`."""
        if not self._pacer._takes(self._party):
            return False
        self._places, self._began_with = (), self._pacer._times_alone
        return True

    async def due(self) -> None:
        """Wait until the request may leave, and take the slot. Raises `PartyClosed` and `PartyPaused`."""
        self._places = await self._pacer._take(self._party)
        self._began_with = self._pacer._times_alone

    def sent(self) -> None:
        """The request is handed to its connection now, in this turn of the event loop.

        When it leaves the process may stand still, between this and the write: it counts from when both are done.
        """
        if self._places:
            asyncio.get_running_loop().call_soon(self._has_left)

    def _has_left(self) -> None:
        now = self._pacer.clock.monotonic()
        for window, place in self._places or ():
            if place.left is None:
                window.left(place, now)
        self._pacer.ring()

    def ended(self, *, sent: bool, answered: bool = False) -> None:
        """The request has ended. Not *sent*: it never left, and takes no place in the window. *answered*: by a
        whole answer, so the cloud has counted it by now."""
        if self._places is None:
            return
        if self._places:
            now = self._pacer.clock.monotonic()
            for window, place in self._places:
                if answered:
                    window.answered(place, now)
                elif sent:
                    window.lost(place, now)
                elif place.left is None:
                    window.never_left(place)
        self._places = None
        if self._began_with == self._pacer._times_alone:
            self._pacer._outstanding -= 1
        self._pacer.ring()


class Pacer:
    """At most *rate* departures in any window of its period; None: no limit of ours."""

    def __init__(self, rate: Rate | None, clock: Clock) -> None:
        self.clock = clock
        self.rate = rate
        self._window = None if rate is None else Window(rate)
        self._narrower: Window | None = None
        self._windows: tuple[Window, ...] = ()  # both, as far as they are there
        self._gap = 0.0  # between two requests that are spread evenly
        self._guard = None if rate is None else WindowThrottler(rate, clock)
        self._door = FairSemaphore(1)  # lets callers in one at a time
        self._gate = FairSemaphore(1)  # hands out slots, likewise
        self._only = Party()
        self._inside = 0  # callers between the two, with their intent open
        self._outstanding = 0  # slots whose request has not ended, since it was last told to let them out alone
        self._times_alone = 0
        self._last = -inf  # when the last slot was due
        self._paused_until = -inf
        self._pause_reason: str | None = None
        self._alone = False
        self._patience_s = inf
        self._closed = False
        self._bell: asyncio.Event | None = None  # wakes whoever sleeps towards a moment that may have moved
        self._measure()

    def set_rate(self, rate: Rate | None) -> None:
        """Our own limit is *rate* from now on."""
        if rate == self.rate:
            return
        self.rate = rate
        self._window = self._resized(self._window, rate)
        self._guard = None if rate is None else self._guard or WindowThrottler(rate, self.clock)
        if rate is not None and self._guard is not None:
            self._guard.set_rate(rate)
        self._measure()
        self.ring()

    def narrow(self, rate: Rate | None, *, strict: bool = False) -> None:
        """Keep *rate* as well, which was learnt; None: our own limit alone.

        *strict*: only an answer proves when a request was counted, see `pace_window`.
        """
        if rate != (None if self._narrower is None else self._narrower.rate):
            self._narrower = self._resized(self._narrower, rate)
            self._measure()
            self.ring()
        for window in self._windows:
            window.strict = strict

    def _resized(self, window: Window | None, rate: Rate | None) -> Window | None:
        if rate is None:
            return None
        now = self.clock.monotonic()
        if window is not None:
            window.resize(rate, now)
            return window
        other = self._window or self._narrower
        return Window(rate) if other is None else other.copy(rate, now)

    def _measure(self) -> None:
        self._windows = tuple(window for window in (self._window, self._narrower) if window is not None)
        self._gap = max((_TIGHTER * w.rate.period_s / w.rate.count for w in self._windows), default=0.0)

    def go_on(self, *, in_flight: int) -> None:
        """An earlier process has sent up to this moment, at this rate: what leaves from now on comes on top of that.

        Its last *in_flight* requests may have left all at once, however they were spaced when they were let go.
        """
        if self.rate is None or self._window is None:
            return
        now = self.clock.monotonic()
        for nth in range(self.rate.count):
            place = self._window.take()
            place.strict = False  # nothing will answer to it
            self._window.left(place, now - max(0, nth - in_flight) * self._gap)
            place.is_over = True

    def pause(self, seconds: float, reason: str) -> None:
        """Nothing leaves for *seconds* from now; a longer pause in force stays."""
        until = self.clock.monotonic() + seconds
        if until > self._paused_until:
            self._paused_until = until
            self._pause_reason = reason

    def alone(self, alone: bool, *, patience_s: float = inf) -> None:
        """Whether one request must have ended before the next leaves: for feeling the way after trouble.

        What is under way already does not matter, nor what has no answer after *patience_s*.
        """
        self._patience_s = patience_s
        if alone != self._alone:
            self._alone = alone
            if alone:
                self._times_alone += 1
                self._outstanding = 0
            self.ring()

    def close(self) -> None:
        """Nothing leaves any more: whoever waits gets `PartyClosed`, at once."""
        self._closed = True
        self.ring()

    @property
    def closed(self) -> bool:
        """Whether nothing leaves any more."""
        return self._closed

    @property
    def paused_s(self) -> float | None:
        """Seconds that the pause still lasts; None: not paused."""
        left = self._paused_until - self.clock.monotonic()
        return left if left > 0 else None

    @property
    def pause_reason(self) -> str | None:
        """Why nothing leaves; None where something may."""
        return self._pause_reason if self._paused_until > self.clock.monotonic() else None

    def turn(self, party: Party | None = None) -> Turn:
        """The next turn of *party* (None: there is but one): a context to enter."""
        return Turn(self, self._only if party is None else party)

    def _is_free(self, now: float) -> bool:
        """There is nothing to wait for, whoever else comes."""
        return not (self._windows or self._alone or self._closed) and self._paused_until <= now

    def _enters(self, party: Party) -> bool:
        party.check()
        if not self._is_free(self.clock.monotonic()):
            return False
        self._inside += 1
        return True

    async def _enter(self, party: Party) -> None:
        if self._enters(party):
            return
        await self._door.enter(party)
        try:
            await self._sleep_until(self._entry_at, party)
            self._inside += 1
        finally:
            self._door.leave()

    def _leave(self) -> None:
        self._inside -= 1
        self.ring()

    def _entry_at(self, now: float) -> float:
        if self._alone and self._inside > 0:
            return inf
        return self._slot_at(now) + self._gap * self._inside - LEAD_S

    def _slot_at(self, now: float) -> float:
        """When the next request may leave: in the past for at once, never below the moment it was due."""
        free_at = self._paused_until
        if self._alone and self._outstanding > 0:
            free_at = max(free_at, self._last + self._patience_s)
        windows = self._windows
        if not windows:
            return free_at
        opens_at = max(window.opens_at(now) for window in windows)
        return max(free_at, self._last + self._gap, opens_at)

    def _takes(self, party: Party) -> bool:
        party.check()
        now = self.clock.monotonic()
        if not self._is_free(now):
            return False
        self._last = now
        self._outstanding += 1
        return True

    async def _take(self, party: Party) -> tuple[tuple[Window, WindowPlace], ...]:
        if self._takes(party):
            return ()
        await self._gate.enter(party)
        try:
            due = await self._sleep_until(self._slot_at, party)
            if self._guard is not None:
                await self._guard.acquire()
                self._check(party)
            # A timer fires late by a fraction of a gap: the schedule, not the timer, sets the next slot.
            self._last = max(due, self.clock.monotonic() - min(self._gap, _LATE_S))
            self._outstanding += 1
            return tuple((window, window.take()) for window in self._windows)
        finally:
            self._gate.leave()

    def _check(self, party: Party) -> None:
        if self._closed:
            raise PartyClosed
        party.check()

    async def _sleep_until(self, moment: _Moment, party: Party) -> float:
        """Sleep until *moment*, a function of now that is asked again whenever something has changed."""
        while True:
            self._check(party)
            now = self.clock.monotonic()
            at = moment(now)
            if at <= now:
                return at
            await self._sleep(at - now)

    async def _sleep(self, seconds: float) -> None:
        """Sleep for *seconds*, or until something has changed."""
        if self._bell is None:
            self._bell = asyncio.Event()
        try:
            async with asyncio.timeout(None if seconds == inf else seconds):
                await self._bell.wait()
        except TimeoutError:
            pass

    def ring(self) -> None:
        """Something has changed, a party perhaps: whoever waits here looks again."""
        if self._bell is not None:
            self._bell.set()
            self._bell = None
