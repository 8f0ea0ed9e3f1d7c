"""The window of a rate limit, as the cloud may count it: a pure object over moments that are handed in.

At most `rate.count` requests hold a place at once. A request takes its place before it leaves, for as long as
it takes to leave, and gives it back a period after it was counted. The cloud counted it when it arrived, which was
after it left and before its answer came, so the place is free again at the earlier of

    left + period + margin        the margin takes up what the way to the cloud may jitter, and
    answered + period             which needs none: it cannot have been counted later than that.

Whatever the first connections cost, no R + 1 requests are then counted in one period. Where answers usually take the
same time, one that takes longer by more than the margin tells of a stall: its request may have been counted late, and
only its own moment proves anything then. One that has none yet keeps its place for a while, unless a request that left
after it has been answered: where the way stands still, all that left into it arrives at once. And where the way jitters
by more than the margin, `strict` leaves only the second rule: it holds on any way, at the price of the answer's time.
"""

from collections import deque
from heapq import heapify, heappop, heappush, nsmallest
from itertools import count
from math import inf

from batcher.rates import Rate

MARGIN = 0.01  # of the period: what the way to the cloud may jitter, and
MARGIN_S = 0.005  # at least this
_HELD_S = 5.0  # longer, for what has no answer: a stall that lasts for longer is an outage
_TICK_S = 0.001  # a period is over only after it: clocks round
_REMEMBERED = 200  # departures kept for a period that turns out to be longer; a wave may have hundreds of scopes


class WindowPlace:
    """One request's place in the window. Moments are monotonic seconds; None: not yet."""

    __slots__ = ("answered", "expected_by", "free_at", "is_held", "is_over", "left", "passed", "strict")

    def __init__(self, *, strict: bool) -> None:
        self.strict = strict
        # When its answer is overdue: `inf` for never, as they take now longer and now shorter; None: not known.
        self.expected_by: float | None = None
        self.is_held = False  # as it has none yet
        self.is_over = False  # it is answered, or none will come
        self.passed: float | None = None  # when one that left later was answered first
        self.left: float | None = None
        self.answered: float | None = None
        self.free_at = inf

    def is_overdue(self, now: float) -> bool:
        """Whether its answer should have come by *now*."""
        return self.expected_by is not None and now > self.expected_by


class Window:
    """Who holds the places, and when the next one is free. *now* never goes back from call to call."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self.strict = False  # for what leaves from now on
        self._quickest_s: float | None = None  # from departure to answer, of late
        self._usually_late_s = 0.0  # how much longer it takes than that, smoothed
        self._taken = 0  # places held, those on their way included
        self._back: list[
            tuple[float, int, WindowPlace]
        ] = []  # a heap; an item whose moment is not its place's is stale
        self._order = count()
        self._past: deque[WindowPlace] = deque(maxlen=max(_REMEMBERED, rate.count))
        self._waiting: deque[WindowPlace] = deque()  # for their answers, as they left; not passed yet

    def opens_at(self, now: float) -> float:
        """When the next place is free: `-inf` for at once, `inf` while nothing that left holds it."""
        self._collect(now)
        lacking = self._taken - self.rate.count + 1
        if lacking <= 0:
            return -inf
        if lacking == 1:
            return self._back[0][0] if self._back else inf
        # After a cut more places are held than there are.
        live = nsmallest(lacking, (item[0] for item in self._back if item[0] == item[2].free_at))
        return live[-1] if len(live) == lacking else inf

    def take(self) -> WindowPlace:
        """Take a place, which must be free."""
        self._taken += 1
        return WindowPlace(strict=self.strict)

    def left(self, place: WindowPlace, now: float) -> None:
        """The request of *place* leaves."""
        place.left = now
        if self._quickest_s is not None:
            is_usual = self._usually_late_s <= self._margin_s
            place.expected_by = now + self._quickest_s + self._margin_s if is_usual else inf
        self._past.append(place)
        while self._waiting and self._waiting[0].is_over:
            self._waiting.popleft()
        self._waiting.append(place)
        self._schedule(place)

    def answered(self, place: WindowPlace, now: float) -> None:
        """A whole answer came to the request of *place*, so it has been counted by now."""
        if place.left is None:
            self.left(place, now)
        place.is_over = True
        left = now if place.left is None else place.left
        if place.expected_by is None:
            late_s = now - left - (self._quickest_s or 0.0)
            place.strict = place.strict or late_s > self._margin_s >= self._usually_late_s
        place.strict = place.strict or place.is_overdue(now)
        self._learn(now - left)
        self._counted(place, now)
        self._pass(left, now)

    def _pass(self, left: float, now: float) -> None:
        """What left before *left* and has no answer yet has been counted by now, or never will be: the way is open."""
        waiting = self._waiting
        while waiting and waiting[0].left is not None and waiting[0].left <= left:
            place = waiting.popleft()
            if not place.is_over:
                place.passed = now
                if place.is_held:
                    self._counted(place, now)

    def _counted(self, place: WindowPlace, now: float) -> None:
        """The request of *place* has been counted by now, if ever: unless it has been given back, so it counts."""
        place.answered = now
        if place.free_at != -inf:
            self._schedule(place)

    def _learn(self, took_s: float) -> None:
        """How long answers take: the quickest is forgotten slowly, as the way may have become a longer one."""
        quickest_s = took_s if self._quickest_s is None else self._quickest_s
        self._quickest_s = min(took_s, quickest_s + (took_s - quickest_s) / 100)
        self._usually_late_s += (took_s - self._quickest_s - self._usually_late_s) / 10

    def lost(self, place: WindowPlace, now: float) -> None:
        """The request of *place* left, and no answer will tell when it was counted."""
        if place.left is None:
            self.left(place, now)
        if place.strict or place.is_held or place.is_overdue(now):
            place.strict = True
            self._counted(place, now)
        place.is_over = True

    def never_left(self, place: WindowPlace) -> None:
        """The request of *place* did not leave, and was counted nowhere."""
        self._taken -= 1

    def resize(self, rate: Rate, now: float) -> None:
        """Count by *rate* from now on, what left before included."""
        self._collect(now)
        underway = self._taken - sum(item[0] == item[2].free_at for item in self._back)
        self.rate = rate
        self._past = deque(self._past, maxlen=max(_REMEMBERED, rate.count))
        self._back = []
        for place in self._past:
            place.free_at = self._free_at(place)
            if now < place.free_at < inf:
                self._back.append((place.free_at, next(self._order), place))
            elif place.free_at <= now:
                place.free_at = -inf
        heapify(self._back)
        self._taken = underway + len(self._back)

    def copy(self, rate: Rate, now: float) -> "Window":
        """A window of *rate* in which counts what has left through this one."""
        copied = Window(rate)
        for place in self._past:
            again = WindowPlace(strict=False)
            again.left, again.answered = place.left, place.answered
            copied._past.append(again)
        copied.resize(rate, now)
        return copied

    def _free_at(self, place: WindowPlace) -> float:
        assert place.left is not None  # noqa: S101 - only places that left are given back by time
        period_s = self.rate.period_s
        proven = inf if place.answered is None else place.answered + period_s + _TICK_S
        if place.strict:
            return proven
        held_s = _HELD_S if place.is_held else 0.0
        return min(place.left + period_s + self._margin_s + held_s, proven)

    @property
    def _margin_s(self) -> float:
        return max(MARGIN * self.rate.period_s, MARGIN_S)

    def _schedule(self, place: WindowPlace) -> None:
        free_at = self._free_at(place)
        if free_at != place.free_at:
            place.free_at = free_at
            heappush(self._back, (free_at, next(self._order), place))

    def _keep(self, place: WindowPlace) -> bool:
        """Whether the request of *place*, whose time has come, may not have arrived yet: it has no answer, which is
        overdue. Then it keeps its place until a period after another shows that the way is open, but not for ever."""
        if place.is_over or place.is_held:
            return False
        place.is_held, before = True, place.free_at
        if place.passed is not None:
            place.answered = place.passed
        self._schedule(place)
        return place.free_at != before

    def _collect(self, now: float) -> None:
        """Free the places whose time has come, and drop stale items from the top."""
        back = self._back
        while back:
            free_at, _, place = back[0]
            if free_at != place.free_at:
                heappop(back)
            elif free_at <= now:
                heappop(back)
                if place.is_overdue(now) and self._keep(place):
                    continue
                place.free_at = -inf  # given back
                self._taken -= 1
            else:
                return
