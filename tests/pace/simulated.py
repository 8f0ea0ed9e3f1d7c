"""A scope against a cloud whose limit it does not know, without an event loop: thousands of requests in an instant."""

import random
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from math import inf

from batcher.pace.limit_finder import LimitFinder
from batcher.pace.per_job_throttling import PerJobThrottling
from batcher.pace.window import Window, WindowPlace
from batcher.rates import Rate
from tests.pace.server import CountingServer

_TIGHTER = 0.96  # as the pacer spreads them


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """How the cloud limits, and what it says about it.

    *strays* is the share of requests that it turns away beyond that, without a reason that we could see, and
    *stray_says_s* the `Retry-After` of those. From each moment of *changes* on the limit is another one. A
    *neighbour* sends under the same limit: from one moment to another, so many a second, evenly. What is refused is
    *too_frequent*: it may speak of the job alone, and each request is for another job.
    """

    limit: Rate | None
    refused_count: bool = True
    slides: bool = True  # or it starts afresh each period
    says_when: bool = False  # `Retry-After`, exactly
    says_limit: bool = False
    says_wrong: Rate | None = None  # names this limit instead
    latency_s: tuple[float, float] = (0.02, 0.12)  # half of it there, half back
    strays: float = 0.0
    stray_says_s: float | None = None
    changes: tuple[tuple[float, Rate], ...] = ()
    neighbour: tuple[float, float, float] | None = None
    too_frequent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How it went. Moments count from the first request."""

    seconds: float
    arrivals: tuple[float, ...]
    let_in: tuple[float, ...]
    refused: tuple[float, ...]

    def refused_after(self, moment: float) -> int:
        """How many were turned away later than *moment*."""
        return sum(at > moment for at in self.refused)

    def let_in_between(self, since: float, until: float) -> int:
        """How many were let in between two moments."""
        return sum(since <= at < until for at in self.let_in)


def send_all(finder: LimitFinder, cloud: Cloud, requests: int, *, seed: int = 0, concurrency: int = 16) -> Course:
    """Send until *requests* were let in, as a scope does that is steered by *finder*."""
    return _Scope(finder, cloud, requests, seed, concurrency).run()


class _Scope:
    def __init__(self, finder: LimitFinder, cloud: Cloud, requests: int, seed: int, concurrency: int) -> None:
        self.finder, self.cloud, self.concurrency = finder, cloud, concurrency
        self.server = CountingServer(cloud.limit, refused_count=cloud.refused_count, slides=cloud.slides)
        self.per_job = PerJobThrottling()
        self.rng = random.Random(seed)
        self.window = Window(finder.rate) if finder.rate else None
        self.to_send = self.to_do = requests
        self.now = 0.0
        self.last = self.paused_until = -inf
        self.under_way = 0
        self.events: list[tuple[float, int, float, WindowPlace | None, bool | None]] = []
        self.order = count()
        self.let_in: list[float] = []
        self.refused: list[float] = []
        self.changes = list(cloud.changes)
        self.neighbours_next = inf if cloud.neighbour is None else cloud.neighbour[0]

    def run(self) -> Course:
        while self.to_do:
            self._steer()
            leaves = self._leaves_at()
            if self.events and self.events[0][0] <= leaves:
                self._happen()
            else:
                self._leave(leaves)
        return Course(
            seconds=self.now,
            arrivals=tuple(self.server.arrivals),
            let_in=tuple(self.let_in),
            refused=tuple(self.refused),
        )

    def _steer(self) -> None:
        rate = self.finder.rate
        if rate is None:
            self.window = None
        elif self.window is None:
            self.window = Window(rate)
        elif rate != self.window.rate:
            self.window.resize(rate, self.now)
        if self.window is not None:
            self.window.strict = self.finder.strict

    def _leaves_at(self) -> float:
        if not self.to_send or self.under_way >= (1 if self.finder.alone else self.concurrency):
            return inf
        if self.window is None:
            return max(self.now, self.paused_until)
        gap = _TIGHTER * self.window.rate.period_s / self.window.rate.count
        return max(self.now, self.paused_until, self.last + gap, self.window.opens_at(self.now))

    def _leave(self, moment: float) -> None:
        self.now = self.last = moment
        self.to_send -= 1
        self.under_way += 1
        place = None
        if self.window is not None:
            place = self.window.take()
            self.window.left(place, moment)
        half = self.rng.uniform(*self.cloud.latency_s) / 2
        heappush(self.events, (moment + half, next(self.order), moment, place, None))

    def _happen(self) -> None:
        self.now, _, sent_at, place, let_in = heappop(self.events)
        if let_in is None:  # it arrives
            let_in = self._arrive()
            heappush(self.events, (2 * self.now - sent_at, next(self.order), sent_at, place, let_in))
            return
        self.under_way -= 1
        if place is not None and self.window is not None:
            self.window.answered(place, self.now)
        if let_in:
            self.to_do -= 1
            self.let_in.append(self.now)
            self.per_job.let_in()
            self.finder.accepted(sent_at, self.now)
            return
        self.to_send += 1
        self.refused.append(self.now)
        limit = self.server.limit
        named = self.cloud.says_wrong or (limit if self.cloud.says_limit else None)
        room_in_s = self.server.room_in(self.now) if self.cloud.says_when and limit is not None else None
        moments = [sent_at]
        if self.cloud.too_frequent:
            moments = self.per_job.refused(f"job-{len(self.server.arrivals)}", sent_at, self.now)
        for moment in moments:
            wait_s = self.finder.turned_away(
                moment,
                self.now,
                retry_after_s=self.cloud.stray_says_s if room_in_s is None else room_in_s,
                named=None if named is None else (named.count, named.period_s),
            )
            if wait_s is not None:
                self.paused_until = max(self.paused_until, self.now + wait_s * (1 + self.rng.random() / 10))

    def _arrive(self) -> bool:
        """A request reaches the cloud now, after whatever has happened there until then."""
        while self.changes and self.changes[0][0] <= self.now:
            self.server.limit = self.changes.pop(0)[1]
        if self.cloud.neighbour is not None:
            _, until, per_s = self.cloud.neighbour
            while self.neighbours_next <= min(self.now, until):
                self.server.arrive(self.neighbours_next)
                self.neighbours_next += 1 / per_s
        return not (self.cloud.strays and self.rng.random() < self.cloud.strays) and self.server.arrive(self.now)
