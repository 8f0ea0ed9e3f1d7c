"""What we know of the clock that stamps comparisons: learnt from comparisons whose creation we know, and from nothing
else.

A `Date` header is the word of whoever stands last on the way: a gateway puts its own in the cloud's place, and that may
be wrong, or set, or of two machines that disagree. So it proves nothing here. It can only make us more careful: where
`Date` has jumped since the cloud's clock was last learnt, that clock may have been set as well.
"""

from collections.abc import Iterable
from itertools import chain
from math import inf

from msgspec import Struct

from batcher.clock import Clock, Instant
from batcher.drs.outcome import Comparison
from batcher.life.events import Intended
from batcher.life.reconcile import Bounds

_DRIFT = 1e-4  # by which two sound clocks may part, in seconds a second; disciplined ones stay well below
_ROUNDING_S = 0.001  # `create_time` has milliseconds
_OLD_S = 3600.0  # what was learnt so long before or after is learnt anew, if it can be
_MOST = 32  # facts of a timebase, faces, and comparisons that are remembered
_APART_S = 5.0  # between two comparisons that are remembered
_FEW = 3  # which are remembered in any case
_JUMP_S = 1.0  # by how much a `Date` may stray and still be that of the same clock
_WAITING = "WAITING_FOR_RUNNING"  # then `create_time` may be its start, which is to come


class StampedComparison(Struct, frozen=True, kw_only=True):
    """A comparison that was created between *after* and *before*, both monotonic on *timebase*.

    *sure* is False where it may be older: what `keep` gets while another is unfinished is not documented, and may be
    the other's id.
    """

    task_id: str
    job_id: str
    timebase: str
    after: float
    before: float
    sure: bool = True


class _OffsetBounds(Struct, frozen=True):
    """Bounds of (cloud's clock - our monotonic one), true between *after* and *before*."""

    low: float
    high: float
    known: StampedComparison

    def at(self, monotonic: float) -> tuple[float, float]:
        """The bounds at another moment: the further away, the wider."""
        far_s = max(0.0, self.known.after - monotonic, monotonic - self.known.before)
        return self.low - far_s * _DRIFT, self.high + far_s * _DRIFT

    def agrees(self, other: "_OffsetBounds", slack_s: float) -> bool:
        return self.low <= other.high + slack_s and other.low <= self.high + slack_s


class _DateHeaderClock(Struct):
    """One of the clocks that `Date` headers have shown since *seen_at*, as bounds of (it - our monotonic one)."""

    low: float
    high: float
    seen_at: float


class CloudClock:
    """The clock of the cloud's own service, for one scope; see the module. *slack_s* is how far its machines differ."""

    def __init__(self, clock: Clock, slack_s: float) -> None:
        self._clock = clock
        self._slack_s = slack_s
        self._faces: list[_DateHeaderClock] = []
        self._shown: _DateHeaderClock | None = None  # the face last seen
        self._facts: dict[str, list[_OffsetBounds]] = {}  # by timebase, in order of time
        self._known: dict[str, StampedComparison] = {}  # by task id: could tell the cloud's time, if looked up
        self._sums: dict[str, tuple[int, float, float]] = {}  # of them, see `_known_of`

    # --- learning ---------------------------------------------------------------------------------------

    def heard(self, date: float | None, sent: float, answered: float) -> None:
        """*date* is an answer's `Date` in Unix seconds, if it had one; *sent* and *answered* are monotonic."""
        if date is None:
            return
        low, high = date - answered, date + 1.0 - sent
        faces = self._faces
        if len(faces) == 1 and low <= faces[0].low and high >= faces[0].high:
            return  # as nearly always: it says less than is known
        for face in self._faces:
            if low <= face.high + _JUMP_S and high >= face.low - _JUMP_S:
                if low <= face.high and high >= face.low:
                    face.low, face.high = max(low, face.low), min(high, face.high)
                self._shown = face
                return
        self._shown = _DateHeaderClock(low, high, answered)
        self._faces = [*self._faces[-_MOST + 1 :], self._shown]

    def heard_then(self, intent: Intended) -> None:
        """What an earlier process made of `Date` at *intent*."""
        if intent.monotonic is None or intent.timebase != self._clock.timebase:
            return
        self.heard(intent.date_at, intent.monotonic, intent.monotonic)
        if self._shown is not None:
            self._shown.seen_at = min(self._shown.seen_at, intent.monotonic)

    def wants(self, timebase: str, after: float, before: float) -> bool:
        """Whether a comparison that was created between these two moments of *timebase* would be remembered."""
        several, last, tightest_s = self._known_of(timebase)
        return several < _FEW or after - last >= _APART_S or before - after < tightest_s

    def remember(self, known: StampedComparison) -> None:
        """*known* can tell the cloud's time: should that be needed, it is looked up."""
        if self.wants(known.timebase, known.after, known.before):
            self._known[known.task_id] = known
            self._sums.clear()
            if len(self._known) > _MOST:
                del self._known[next(iter(self._known))]

    @property
    def can_be_told(self) -> bool:
        """Whether there is something to learn the cloud's time from, in this process."""
        timebase, job_ids = self._clock.timebase, set()
        for known in self._known.values():  # asked before each request, and then the first one tells it
            if known.sure and known.timebase == timebase:
                return True
        for known in chain(self._known.values(), (fact.known for fact in self._facts.get(timebase, ()))):
            if known.timebase == timebase:
                if known.sure:
                    return True
                job_ids.add(known.job_id)
        return len(job_ids) > 1

    def _known_of(self, timebase: str) -> tuple[int, float, float]:
        """How many comparisons of *timebase* are remembered, since when the last, and how well the best is known."""
        if timebase not in self._sums:  # it is asked for with every answer, and seldom changes
            here = [other for other in self._known.values() if other.timebase == timebase]
            tightest_s = min((other.before - other.after for other in here), default=inf)
            self._sums[timebase] = len(here), here[-1].after if here else -inf, tightest_s
        return self._sums[timebase]

    def forget(self, known: StampedComparison) -> None:
        """Forget *known*, which is not to be had."""
        self._known.pop(known.task_id, None)
        self._sums.clear()

    def listed(self, comparisons: Iterable[Comparison]) -> None:
        """A list was read: what is remembered and stands in it tells the cloud's time."""
        for comparison in comparisons:
            known = self._known.get(comparison.compare_task_id)
            if known is not None:
                self.learn(known, comparison)

    def learn(self, known: StampedComparison, comparison: Comparison) -> None:
        """*comparison* is *known*, as it is listed."""
        self.forget(known)
        if comparison.create_time is None or comparison.compare_task_status == _WAITING:
            return
        created = comparison.create_time / 1000
        fact = _OffsetBounds(created - known.before - _ROUNDING_S, created - known.after + _ROUNDING_S, known)
        facts = self._facts.setdefault(known.timebase, [])
        if not any(other.known.task_id == known.task_id for other in facts):
            facts.append(fact)
            facts.sort(key=lambda fact: fact.known.before)
            del facts[:-_MOST]

    def wanted(self, instant: Instant) -> StampedComparison | None:
        """What should be looked up to know better what the cloud's clock showed at *instant*, if anything helps."""
        known = [each for each in self._known.values() if each.timebase == instant.timebase]
        if not known:
            return None
        known.sort(key=lambda each: (each.sure, each.before))
        bounds, facts = self.at(instant), self._sound(instant.timebase)
        if bounds is None or not facts:
            return known[-1]
        first, last = facts[0].known, facts[-1].known
        newest = max(known, key=lambda each: each.before)
        if newest.after > last.before and (
            any(self._jumped(last.after, None)) or instant.monotonic - last.before > _OLD_S
        ):
            return newest
        oldest = min(known, key=lambda each: each.after)
        if oldest.after < first.after and instant.monotonic < first.after - _OLD_S:
            return oldest
        tightest = min(known, key=lambda each: each.before - each.after)
        wide_s = bounds.latest - bounds.earliest
        return tightest if wide_s > self._slack_s and tightest.before - tightest.after < wide_s / 2 else None

    # --- telling ----------------------------------------------------------------------------------------

    def at(self, instant: Instant) -> Bounds | None:
        """What the cloud's clock showed at *instant*, and that it was not set back below that since, as far as we can
        know; None: nothing is known."""
        facts, moment = self._sound(instant.timebase), instant.monotonic
        if not facts:
            return None
        # The last one before the moment, those that agree with it, and all that came after.
        first = max(0, sum(fact.known.before <= moment for fact in facts) - 1)
        while first > 0 and facts[first - 1].agrees(facts[first], self._slack_s):
            first -= 1
        facts = facts[first:]
        spans = [fact.at(moment) for fact in facts]
        low, high = max(low for low, _ in spans), min(high for _, high in spans)
        if low > high:  # they contradict each other: the clock was set, or there are several
            low, high = min(low for low, _ in spans), max(high for _, high in spans)
        if instant.timebase == self._clock.timebase:
            down, up = self._jumped(facts[-1].known.after, None)
            low, high = low - down, high + up
            if moment < facts[0].known.after:
                down, up = self._jumped(moment, facts[0].known.after)
                low, high = low - up, high + down
        return Bounds(moment + low, moment + high)

    def now(self) -> Bounds | None:
        """What the cloud's clock shows now."""
        return self.at(Instant(self._clock.timebase, self._clock.monotonic()))

    def by_date(self, monotonic: float) -> Bounds | None:
        """What the last `Date` makes of *monotonic*: anybody's word, for what proves nothing."""
        face = self._shown
        return None if face is None else Bounds(monotonic + face.low, monotonic + face.high)

    @property
    def offset_s(self) -> float | None:
        """Seconds by which the cloud's clock is ahead of our wall clock; None: not known."""
        now = self.now()
        return None if now is None else (now.earliest + now.latest) / 2 - self._clock.now()

    # --- within -----------------------------------------------------------------------------------------

    def _sound(self, timebase: str) -> list[_OffsetBounds]:
        """What may be relied on, in order of time: an unsure fact where another bears it out."""
        facts = self._facts.get(timebase, [])
        sure = [fact for fact in facts if fact.known.sure]
        if len(sure) == len(facts):
            return facts
        return [fact for fact in facts if fact.known.sure or self._borne_out(fact, sure, facts)]

    def _borne_out(self, fact: _OffsetBounds, sure: list[_OffsetBounds], facts: list[_OffsetBounds]) -> bool:
        """What is sure agrees with *fact*; or, where nothing is, one of another job does, or what `Date` shows."""
        if sure:
            return any(fact.agrees(other, self._slack_s) for other in sure)
        if any(fact.agrees(other, 0.0) for other in facts if other.known.job_id != fact.known.job_id):
            return True
        return fact.known.timebase == self._clock.timebase and any(
            face.low - self._slack_s <= fact.high and fact.low <= face.high + self._slack_s for face in self._faces
        )

    def _jumped(self, since: float, until: float | None) -> tuple[float, float]:
        """By how much `Date` has jumped back and forward after *since*, as far as it showed nothing like it before."""
        before = [face for face in self._faces if face.seen_at <= since]
        down = up = 0.0
        if not before:
            return down, up
        for face in self._faces:
            if face.seen_at > since and (until is None or face.seen_at <= until):
                near = min(before, key=lambda other: max(face.low - other.high, other.low - face.high))
                if face.high < near.low:
                    down = max(down, near.high - face.low)
                else:
                    up = max(up, face.high - near.low)
        return down, up
