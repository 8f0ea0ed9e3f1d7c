"""What a cloud let in and what it turned away, and which limit explains that: no I/O and no clock.

A limit of R requests in P seconds lets a request in if fewer than R came in the P seconds before it, those turned
away included where they count. So for each period that limits commonly have, what was let in says how large R is at
least, and what was turned away how large at most. Where the two contradict each other the limit has another period;
where they do for every period, no limit that stays as it is explains what was seen.

A request arrived at some moment between its departure and its answer, and both bounds allow for any: however long
requests travel, the limit that a cloud has always fits.
"""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from math import inf
from operator import attrgetter

from msgspec import Struct

from batcher.rates import Rate

PERIODS_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
_REMEMBERED = 500  # requests: a wave may have hundreds of scopes
_TELLING = 30  # requests that show how many may be in flight: before, as many may be as the pace allows
_sent_at = attrgetter("sent_at")


class PacedRequest(Struct, frozen=True, gc=False):
    """One request: when it left, when its answer came, and whether it was let in.

    Not *telling*: it only adds to the traffic, as what is under way when the scope is turned away.
    """

    sent_at: float
    answered_at: float
    let_in: bool
    telling: bool = True


class Stretch(Struct):
    """Requests let in since something, beside how many were turned away; *since* is when the first of them left."""

    let_in: int = 0
    refused: int = 0
    since: float = 0.0

    def add(self, sent_at: float) -> None:
        """One more was let in."""
        if not self.let_in:
            self.since = sent_at
        self.let_in += 1

    def lasted_s(self, until: float) -> float:
        """For how long, up to *until*."""
        return until - self.since if self.let_in else 0.0


class Fit(Struct, frozen=True, gc=False):
    """A limit that fits; *at_most* is the largest count that does."""

    rate: Rate
    at_most: int


class History:
    """The last requests of a scope, and how many there were before. Moments are monotonic seconds."""

    def __init__(self) -> None:
        self._seen: deque[PacedRequest] = deque()
        self._refused: list[PacedRequest] = []  # those of them that speak of the limit
        self._first = inf  # when the first request of all left
        self._since = -inf  # what left before says nothing of the limit as it is now
        self._forgotten = 0
        self._forgotten_let_in = 0  # since then

    def add(self, one: PacedRequest) -> None:
        """An answer came to *one*."""
        if not one.let_in:
            self._refused.append(one)
        seen = self._seen
        seen.append(one)
        if one.sent_at < self._first:
            self._first = one.sent_at
        if len(seen) > _REMEMBERED:
            oldest = seen.popleft()
            self._forgotten += 1
            self._forgotten_let_in += oldest.let_in and oldest.sent_at >= self._since
            if self._refused and self._refused[0] is oldest:
                del self._refused[0]

    def excuse(self, since: float) -> None:
        """What was turned away and left after *since* says nothing of the limit, though it may count."""
        self._refused = [one for one in self._refused if one.sent_at < since]

    def begin(self, since: float) -> None:
        """What left before *since* says nothing of the limit any more, though it may count."""
        self._refused = [one for one in self._refused if one.sent_at >= since]
        self._since = since
        self._forgotten_let_in = 0

    def departures(self, *, let_in: bool) -> list[float]:
        """When the requests left that are remembered, or only those of them that were let in, in order."""
        return sorted(one.sent_at for one in self._seen if one.let_in or not let_in)

    def under_way(self, answer_s: float, rate: Rate) -> float:
        """How many are under way where an answer takes *answer_s*: as many as leave meanwhile at *rate*, but no more
        than ever did within that, where so few may be in flight."""
        at_rate = answer_s * rate.per_s
        if len(self._seen) < _TELLING or answer_s <= 0.0:  # as where no clock is finer
            return at_rate
        return min(at_rate, _most_departures_in(sorted(self._seen, key=_sent_at), answer_s))

    def explained(self, period_s: float) -> bool:
        """Whether a limit explains what was seen: of a period that is remembered as a whole, or *period_s* at most."""
        let_in = self._let_in()
        if not self._refused or not let_in:
            return False
        longest_s = max(self._seen[-1].answered_at - self._seen[0].sent_at if self._forgotten else inf, period_s)
        return any(
            self._at_least(let_in, period) <= self._at_most(period) for period in PERIODS_S if period <= longest_s
        )

    def fit(self, shortest_s: float = 0.0) -> Fit | None:
        """The limit of the shortest period, *shortest_s* at least, that explains what was seen; None: there is none."""
        let_in = self._let_in()
        if not self._refused or not let_in:
            return None
        for period_s in PERIODS_S:
            if period_s < shortest_s:
                continue
            at_most = self._at_most(period_s)
            if self._at_least(let_in, period_s) <= at_most:
                likely = max(self._at_first(let_in, period_s), _most_departures_in(let_in, period_s))
                return Fit(Rate(max(1, min(likely, at_most)), period_s), max(1, at_most))
        return None

    def _let_in(self) -> list[PacedRequest]:
        return sorted((one for one in self._seen if one.let_in and one.sent_at >= self._since), key=_sent_at)

    def _at_least(self, let_in: Sequence[PacedRequest], period_s: float) -> int:
        """How many were let in within one *period_s*, for certain."""
        return max(self._at_first(let_in, period_s), _most_in(let_in, period_s))

    def _at_most(self, period_s: float) -> int:
        """How many can have come in the *period_s* before one that was turned away, whichever had the fewest."""
        left = sorted(one.sent_at for one in self._seen)
        answered = sorted(one.answered_at for one in self._seen)
        return min(
            (self._forgotten if left[0] > one.sent_at - period_s else 0)
            + bisect_left(left, one.answered_at)
            - bisect_right(answered, one.sent_at - period_s)
            - 1
            for one in self._refused
        )

    def _at_first(self, let_in: Sequence[PacedRequest], period_s: float) -> int:
        """How many were let in within *period_s* of the first, where that reaches to those that are remembered."""
        until = max(self._since, self._first) + period_s
        if let_in[0].answered_at > until:
            return 0
        return self._forgotten_let_in + sum(one.answered_at <= until for one in let_in)


def _most_in(ordered: Sequence[PacedRequest], period_s: float) -> int:
    """The most of *ordered* that came within *period_s*, for certain."""
    most = first = 0
    answered_at = -inf
    for last, one in enumerate(ordered):
        answered_at = max(answered_at, one.answered_at)
        while first < last and ordered[first].sent_at <= answered_at - period_s:
            first += 1
        most = max(most, last - first + 1)
    return most


def _most_departures_in(ordered: Sequence[PacedRequest], period_s: float) -> int:
    """The most of *ordered* that left within *period_s*: that is near the most arrivals."""
    most = first = 0
    for last, one in enumerate(ordered):
        while ordered[first].sent_at <= one.sent_at - period_s:
            first += 1
        most = max(most, last - first + 1)
    return most
