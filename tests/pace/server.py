"""A server that counts, as the cloud may: at most so many requests in any window, those it turned away included."""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from math import inf

from batcher.pace.pacer import Pacer
from batcher.rates import Rate
from tests.virtual import VirtualClock, VirtualLoop

Delay = Callable[[random.Random], float]


class CountingServer:
    """Enforces *limit* on arrivals, in a window that *slides* or starts afresh each period, or by a *bucket* of as many
    tokens as its count, which fills up bit by bit, and of which what is turned away takes none.

    Moments are monotonic seconds, handed in.
    """

    def __init__(
        self, limit: Rate | None, *, refused_count: bool = True, slides: bool = True, bucket: bool = False
    ) -> None:
        self.limit = limit
        self.refused_count = refused_count
        self.slides = slides
        self._bucket = bucket
        self._tokens, self._filled_at = inf, 0.0
        self.arrivals: list[float] = []  # of all requests
        self.turned_away = 0
        self._window: deque[float] = deque()

    def arrive(self, now: float) -> bool:
        """A request arrives; False: it is turned away."""
        self.arrivals.append(now)
        if self.limit is None:
            return True
        if self._bucket:
            return self._take_token(self.limit, now)
        period_s = self.limit.period_s
        begun_at = now - period_s if self.slides else now // period_s * period_s
        while self._window and self._window[0] <= begun_at:
            self._window.popleft()
        taken = len(self._window) < self.limit.count
        if taken or self.refused_count:
            self._window.append(now)
        self.turned_away += not taken
        return taken

    def _take_token(self, limit: Rate, now: float) -> bool:
        self._tokens = min(limit.count, self._tokens + (now - self._filled_at) * limit.per_s)
        self._filled_at = now
        if self._tokens < 1:
            self.turned_away += 1
            return False
        self._tokens -= 1
        return True

    def room_in(self, now: float) -> float:
        """Seconds until a request would be let in, if none came before."""
        assert self.limit is not None
        if self._bucket:
            return max(0.0, (1 - self._tokens) / self.limit.per_s)
        if len(self._window) < self.limit.count:
            return 0.0
        return max(0.0, self._window[-self.limit.count] + self.limit.period_s - now)

    def most_in(self, period_s: float) -> int:
        """The most arrivals in any window [t, t + period_s)."""
        return most_in(self.arrivals, period_s)


def stand_still(seconds: float) -> None:
    """The process stands still for so long, as one that was frozen or waits for a processor: nothing else happens."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop.stand_still(seconds)


def virtual_clock() -> VirtualClock:
    """The clock of the virtual loop that runs."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop.clock


def most_in(moments: list[float], period_s: float) -> int:
    """The most of *moments* in any window [t, t + period_s)."""
    ordered = sorted(moments)
    most = first = 0
    for last, moment in enumerate(ordered):
        while ordered[first] <= moment - period_s:
            first += 1
        most = max(most, last - first + 1)
    return most


async def drive(
    pacer: Pacer,
    server: CountingServer,
    requests: int,
    *,
    workers: int = 32,
    before: Delay = lambda _: 0.0,
    there: Delay = lambda _: 0.001,
    back: Delay = lambda _: 0.001,
    writing: Delay = lambda _: 0.0,
    connect_s: float = 0.0,
    rng: random.Random | None = None,
) -> list[float]:
    """Send *requests* through *pacer* with *workers*; returns the moments of departure.

    *before* passes between slot and departure, *there* until the arrival, *back* until the answer. A request that
    finds no idle connection takes *connect_s* to open one. While it is written the process stands still for *writing*.
    """
    rng = rng or random.Random(1)
    clock = pacer.clock
    departures: list[float] = []
    left = iter(range(requests))
    idle = 0  # connections

    async def work() -> None:
        nonlocal idle
        for _ in left:
            async with pacer.turn() as turn:
                await turn.due()
            if idle > 0:
                idle -= 1
            else:
                await asyncio.sleep(connect_s)
            await asyncio.sleep(before(rng))
            turn.sent()
            stand_still(writing(rng))
            departures.append(clock.monotonic())
            await asyncio.sleep(there(rng))
            server.arrive(clock.monotonic())
            await asyncio.sleep(back(rng))
            turn.ended(sent=True, answered=True)
            idle += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(work())
    return departures
