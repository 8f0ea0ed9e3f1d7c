"""A scope against a cloud whose limit it does not know, without an event loop: thousands of requests in an instant."""

import random
from collections import deque
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from math import inf

from batcher.pace.limit_finding.finder import LimitFinder
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
    bucket: bool = False  # or it fills up bit by bit
    says_when: bool = False  # `Retry-After`, exactly
    says_limit: bool = False
    says_wrong: Rate | None = None  # names this limit instead
    latency_s: tuple[float, float] = (0.02, 0.12)  # half of it there, half back
    strays: float = 0.0
    stray_says_s: float | None = None
    changes: tuple[tuple[float, Rate], ...] = ()
    neighbour: tuple[float, float, float] | None = None
    too_frequent: bool = False
    told_once: int = 0  # so many of the entries, by chance, are turned away once


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How it went. Moments count from the first request."""

    seconds: float
    arrivals: tuple[float, ...]
    let_in: tuple[float, ...]
    refused: tuple[float, ...]
    by_limit: int  # of those: turned away by the limit, and no strays
    paces: tuple[tuple[float, float], ...]  # from each moment on, so many a second; inf for no limit

    def refused_after(self, moment: float) -> int:
        """How many were turned away later than *moment*."""
        return sum(at > moment for at in self.refused)

    def let_in_between(self, since: float, until: float) -> int:
        """How many were let in between two moments."""
        return sum(since <= at < until for at in self.let_in)


def send_all(finder: LimitFinder, cloud: Cloud, requests: int, *, seed: int = 0, concurrency: int = 16) -> Course:
    """Send until *requests* were let in, as a scope does that is steered by *finder*."""
    return _Scope(finder, cloud, requests, seed, concurrency).run()


@dataclass(slots=True)
class _Request:
    entry: int
    sent_at: float
    place: WindowPlace | None
    let_in: bool | None = None
    told: bool = False  # when it may be sent again


_Event = tuple[float, int, _Request]


class _Scope:
    def __init__(self, finder: LimitFinder, cloud: Cloud, requests: int, seed: int, concurrency: int) -> None:
        self.finder, self.cloud, self.concurrency = finder, cloud, concurrency
        self.server = CountingServer(
            cloud.limit, refused_count=cloud.refused_count, slides=cloud.slides, bucket=cloud.bucket
        )
        self.per_job = PerJobThrottling()
        self.rng = random.Random(seed)
        self.window = Window(finder.rate) if finder.rate else None
        self.to_send, self.to_do = deque(range(requests)), requests
        self.to_tell = set(self.rng.sample(range(requests), cloud.told_once))
        self.now = 0.0
        self.last = self.paused_until = -inf
        self.under_way = 0
        self.events: list[_Event] = []
        self.paces: list[tuple[float, float]] = []
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
            by_limit=self.server.turned_away,
            paces=tuple(self.paces),
        )

    def _steer(self) -> None:
        rate = self.finder.rate
        per_s = inf if rate is None else rate.per_s
        if not self.paces or self.paces[-1][1] != per_s:
            self.paces.append((self.now, per_s))
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
        self.under_way += 1
        place = None
        if self.window is not None:
            place = self.window.take()
            self.window.left(place, moment)
        half = self.rng.uniform(*self.cloud.latency_s) / 2
        self._plan(moment + half, _Request(self.to_send.popleft(), moment, place))

    def _plan(self, moment: float, request: "_Request") -> None:
        heappush(self.events, (moment, next(self.order), request))

    def _happen(self) -> None:
        self.now, _, request = heappop(self.events)
        if request.told:  # its time has come again
            self.to_send.append(request.entry)
        elif request.let_in is None:  # it arrives
            request.let_in = self._arrive(request.entry)
            self._plan(2 * self.now - request.sent_at, request)
        else:
            self._end(request)

    def _end(self, request: "_Request") -> None:
        self.under_way -= 1
        if request.place is not None and self.window is not None:
            self.window.answered(request.place, self.now)
        if request.let_in:
            self.to_do -= 1
            self.let_in.append(self.now)
            self.per_job.let_in()
            self.finder.accepted(request.sent_at, self.now)
            return
        self.refused.append(self.now)
        limit = self.server.limit
        named = self.cloud.says_wrong or (limit if self.cloud.says_limit else None)
        room_in_s = self.server.room_in(self.now) if self.cloud.says_when and limit is not None else None
        told_s = self.cloud.stray_says_s if room_in_s is None else room_in_s
        if told_s is None:
            self.to_send.append(request.entry)
        else:
            request.told = True
            self._plan(self.now + told_s, request)
        moments = [request.sent_at]
        if self.cloud.too_frequent:
            moments = self.per_job.refused(f"job-{request.entry}", request.sent_at, self.now)
        for moment in moments:
            wait_s = self.finder.turned_away(
                moment,
                self.now,
                retry_after_s=told_s,
                named=None if named is None else (named.count, named.period_s),
            )
            if wait_s is not None:
                self.paused_until = max(self.paused_until, self.now + wait_s * (1 + self.rng.random() / 10))

    def _arrive(self, entry: int) -> bool:
        """A request of *entry* reaches the cloud now, after whatever has happened there until then."""
        while self.changes and self.changes[0][0] <= self.now:
            self.server.limit = self.changes.pop(0)[1]
        if self.cloud.neighbour is not None:
            _, until, per_s = self.cloud.neighbour
            while self.neighbours_next <= min(self.now, until):
                self.server.arrive(self.neighbours_next)
                self.neighbours_next += 1 / per_s
        if entry in self.to_tell:
            self.to_tell.remove(entry)
            return False
        return not (self.cloud.strays and self.rng.random() < self.cloud.strays) and self.server.arrive(self.now)
