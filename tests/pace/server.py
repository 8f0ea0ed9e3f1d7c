"""A server that counts, as the cloud may: at most so many requests in any window, those it turned away included."""

import asyncio
import random
from collections import deque
from collections.abc import Callable

from batcher.rates import Rate
from batcher.wave.pace import Closed, Pacer

Delay = Callable[[random.Random], float]


class CountingServer:
    """Enforces *limit* in a sliding window on arrivals. `answer` is how long a request takes there and back.

    Moments are monotonic seconds, handed in.
    """

    def __init__(self, limit: Rate | None, *, refused_count: bool = True) -> None:
        self.limit = limit
        self.refused_count = refused_count
        self.arrivals: list[float] = []  # of all requests
        self.turned_away = 0
        self._window: deque[float] = deque()

    def arrive(self, now: float) -> bool:
        """A request arrives; False: it is turned away."""
        self.arrivals.append(now)
        if self.limit is None:
            return True
        while self._window and self._window[0] <= now - self.limit.period_s:
            self._window.popleft()
        taken = len(self._window) < self.limit.count
        if taken or self.refused_count:
            self._window.append(now)
        self.turned_away += not taken
        return taken

    def most_in(self, period_s: float) -> int:
        """The most arrivals in any window [t, t + period_s)."""
        return most_in(self.arrivals, period_s)


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
    rng: random.Random | None = None,
) -> list[float]:
    """Send *requests* through *pacer* with *workers*; returns the moments of departure.

    *before* passes between slot and departure (connecting), *there* until the arrival, *back* until the answer.
    """
    rng = rng or random.Random(1)
    clock = pacer.clock
    departures: list[float] = []
    left = iter(range(requests))

    async def work() -> None:
        for _ in left:
            async with pacer.turn() as turn:
                await turn.due()
            await asyncio.sleep(before(rng))
            departures.append(clock.monotonic())
            turn.sent()
            await asyncio.sleep(there(rng))
            server.arrive(clock.monotonic())
            await asyncio.sleep(back(rng))
            turn.ended(sent=True, answered=True)

    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(work())
    return departures


__all__ = ["Closed", "CountingServer", "drive", "most_in"]
