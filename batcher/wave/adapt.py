"""Finding the pace that the cloud allows, where nobody has told us: a pure object over moments and answers.

    searching ──▶ rising ◀──────────┐      up to our own limit, where there is one
        └───────────┴──turned away──▶ closed ──let in──┘

*Searching* doubles the pace every second. The first request that is turned away *closes* the scope; after a silence
one request at a time feels whether there is room again, each after a longer silence, since on some APIs a refused
request counts against the limit too. Once one is let in, what happened says which of three things it was:

- **A stray.** Limits are per user, so another tool may have used up the moment. What was let in at a pace is its
  *credit*: while few are turned away for many let in, slowing down would cost more than it saves. The pace stays.
- **A little too fast.** There was room again after a few gaps. Back to the pace before the last step up, or down by a
  tenth. From there the pace is found as in TCP (additive increase and multiplicative decrease, Chiu and Jain 1989; the
  memory of CUBIC, RFC 9438, and the halving of BIC before it): the pace at which it happened is remembered, *rising*
  climbs to just below it within some periods, waits there, tries it, and goes on by ever larger steps where that holds.
  Where it does not, the next try waits twice as long.
- **Far too fast.** There was no room for long. What was let in and turned away fits few limits: `limits` names the
  one to go on with. The longer there was no room, the lower a limit is believed; and a pace that was kept for long, or
  one that the answer itself names, is not given up for less than half of it on a single occasion.

Where all that is of no help, because requests are turned away as often at half the pace, the pace is not the reason:
back to where it began.

A limit below the pace that the answer names is kept at once, and for long.

Where a request was turned away although we kept the limit, the way to the cloud may have carried requests closer
together than they left: for a while each is counted from its answer (`strict`), unless that proves to be of no help.
"""

from bisect import bisect_left
from collections import deque
from math import inf

from msgspec import Struct

from batcher.drs.guesses import THROTTLE_WAIT_S
from batcher.rates import Rate
from batcher.wave.limits import Seen, fitting

START_PER_S = 2.0
_FASTER_PER_S = 0.7  # for each request let in while searching: the pace doubles about every second
_REMEMBERED = 500  # requests: a wave may have hundreds of scopes
_MEASURED = 10  # requests over which the pace really kept is measured

_SILENCE_GAPS = 3  # of the first silence, where the answer names none
_SHORTEST_S = 0.05
_LONGEST_S = 600.0

_RARE = 30  # let in for each that is turned away: then slowing down would cost more than it saves
_CREDIT = 3.0  # turned away, at most, on the credit of what was let in before
_FEW_GAPS = 7  # room again after so many: the pace was only just above the limit
_AT_LEAST_GAPS = 5  # of those in which there was no room: a lower pace is not believed in at once
_LONG = 10  # times as long as there was no room, and the pace is not given up for less than half of it
_MANY_GAPS = 30  # no room for so many: it was far above
_IN_VAIN = 8  # times slowed down in a row
_BELOW = 0.9  # of a pace that was a little too fast

_STEP = 0.03  # up; each next one is twice as large
_CLEAN = 8  # requests let in, and a period, before a step
_HOLD = 40  # requests let in before the pace that was turned away is tried again, and
_LONGEST_HOLD = 640  # at most, after it was turned away again and again
_NAMED_HOLD = 160  # where the cloud named the limit
_PROVEN = 60  # requests let in: not given up for less than half on a single occasion

_STRICT_BELOW = 100  # let in before one was turned away: fewer are worth counting by answers
_STRICT_FOR = 300  # requests
_STRICT_AGAIN = 1000  # let in, after it was of no help


class _Closed(Struct, kw_only=True):
    """The scope was turned away: how it was going until then, and since."""

    at: float  # when the first left that was turned away
    kept_s: float  # for how long the pace had been kept
    let_in: int  # since the scope was last opened
    per_s: float  # the pace really kept
    silence_s: float
    until: float = -inf  # there was no room before
    refused: int = 1
    named: Rate | None = None  # the limit that the answer named, and
    told: bool = False  # whether it was below the pace, and is kept from now on


class Finder:
    """The pace of one scope. Read `rate`, `strict` and `alone` after each call: they may have changed.

    *ceiling* is our own limit, None for none; *search* begins slowly and finds the cloud's. All moments are
    monotonic seconds.
    """

    def __init__(self, ceiling: Rate | None, *, search: bool = False) -> None:
        self.ceiling = ceiling
        self.searching = search
        self.rate: Rate | None = as_rate(START_PER_S) if search else ceiling
        self.strict = False
        self.named: Rate | None = None  # the limit that the cloud named, unless it proved wrong
        self.confirmed = False  # a whole period has passed under it
        self._seen: deque[Seen] = deque(maxlen=_REMEMBERED)  # since the scope was last opened
        self._recent: deque[float] = deque(maxlen=_MEASURED)
        self._let_in = 0  # requests, in all
        self._closed: _Closed | None = None
        self._since = -inf  # what left before says nothing new about the pace
        self._run = 0  # requests let in since the scope was last opened, or the pace last changed
        self._run_from = 0.0  # when the first of them left
        self._before: Rate | None = None  # the pace before the last step up
        self._credit = 0.0  # of the pace: how many may be turned away before it is too fast
        self._kept = 0  # requests let in at this pace, those before a stray included
        self._kept_from = 0.0
        self._proven_per_s = 0.0 if ceiling is None else ceiling.per_s  # the pace that was kept for long
        self._slowed = 0  # times, since it last rose
        self._slowed_from: Rate | None = None  # the pace then
        self._step = _STEP
        self._barrier_per_s = inf  # the pace that was turned away
        self._barrier_until = 0  # how many must have been let in before it is tried again
        self._hold = _HOLD
        self._strict_for = _STRICT_FOR
        self._strict_from = 0  # let in, before it is tried again
        self._strict_since = (0.0, 0)  # the moment, and how many had been let in

    @property
    def alone(self) -> bool:
        """Whether only one request may be under way."""
        return self._closed is not None

    def accepted(self, sent_at: float, now: float) -> None:
        """The cloud let in a request that left at *sent_at*."""
        self._seen.append(Seen(sent_at, now, let_in=True))
        self._let_in += 1
        if sent_at < self._since:
            return
        if self._closed is not None:
            closed, self._closed = self._closed, None
            self._reopen(closed, sent_at)
            return
        self._run_from = self._run_from if self._run else sent_at
        self._run += 1
        self._kept_from = self._kept_from if self._kept else sent_at
        self._kept += 1
        self._credit = min(self._credit + 1 / _RARE, _CREDIT)
        self._recent.append(sent_at)
        rate = self.rate
        if rate is None:
            return
        if self.searching:
            if self._is_used(rate):
                self._go(as_rate(rate.per_s + _FASTER_PER_S), sent_at)
            return
        self._note(rate, sent_at)
        self._rise(rate, sent_at)

    def turned_away(
        self, sent_at: float, now: float, *, retry_after_s: float | None, named: tuple[int, float] | None
    ) -> float | None:
        """The cloud turned a request away: for how many seconds nothing may leave now. None: nothing new.

        *named* is the limit in its answer, as count and period in seconds.
        """
        self._seen.append(Seen(sent_at, now, let_in=False))
        closed = self._closed
        if closed is not None:
            closed.refused += 1
        if sent_at < self._since:
            return None  # it was under way when the first one came back
        self._since = now
        if closed is None:
            closed = self._closed = self._close(sent_at, now, retry_after_s)
            closed.named = _as_rate(named)
            closed.told = self._keep(closed.named)
        else:
            longer = 2.0 if closed.silence_s < 1.0 else 1.5
            closed.silence_s = max(min(closed.silence_s * longer, _LONGEST_S), retry_after_s or 0.0)
        closed.until = (closed.at + sent_at) / 2 if retry_after_s is None else now + 0.9 * retry_after_s
        return closed.silence_s

    def _close(self, sent_at: float, now: float, retry_after_s: float | None) -> _Closed:
        per_s = self._measured(sent_at)
        silence_s = retry_after_s
        if silence_s is None:
            gaps = _SILENCE_GAPS if self._credit < 1 else 1
            silence_s = min(max(gaps / per_s + (now - sent_at), _SHORTEST_S), THROTTLE_WAIT_S)
        kept_s = sent_at - self._kept_from if self._kept else 0.0
        return _Closed(at=sent_at, kept_s=kept_s, let_in=self._run, per_s=per_s, silence_s=silence_s)

    def _keep(self, limit: Rate | None) -> bool:
        """Keep the limit that the cloud names; False: it names none, or none below the pace."""
        if limit is None or (self.rate is not None and limit.per_s >= self.rate.per_s):
            return False
        again = limit == self.named
        self._bar(limit.per_s * (1 + _STEP), min(2 * self._hold, _LONGEST_HOLD) if again else _NAMED_HOLD)
        self.confirmed = self.confirmed and again
        self.named = self.rate = limit
        return True

    def _reopen(self, closed: _Closed, sent_at: float) -> None:
        """There is room again, for one that left at *sent_at*: see the module for what may have been."""
        closed_s, searching = sent_at - closed.at, self.searching
        self._credit -= closed.refused
        self._drop_strict(closed)
        few = not searching and closed_s * closed.per_s <= _FEW_GAPS
        if closed.told:
            self._go(self.rate, sent_at)
        elif few and self._strict_helps(closed):
            self._strict_since = (sent_at, self._let_in)
            self._go(self.rate, sent_at)
        elif not searching and self._credit >= 0 and closed.kept_s >= closed_s:
            self._seen.clear()
            self._go(self.rate, sent_at)
        elif self._is_in_vain(closed):
            self._seen.clear()
            self._go(self._slowed_from, sent_at)
        elif few or self._before is not None:
            self._slow_down(closed, sent_at)
            self._seen.clear()
        else:
            self._fit(closed, sent_at)
        self.searching = False

    def _is_in_vain(self, closed: _Closed) -> bool:
        """Whether it was slowed down again and again, and never a period was clean: then the pace is not the reason."""
        if self._slowed == 0:
            self._slowed_from = self.rate or as_rate(closed.per_s)
        self._slowed = 0 if self._slowed == _IN_VAIN else self._slowed + 1
        return self._slowed == 0

    def _slow_down(self, closed: _Closed, sent_at: float) -> None:
        """It was a little too fast."""
        rate, before = self.rate or as_rate(closed.per_s), self._before
        if before is not None:
            self._proven_per_s = min(self._proven_per_s, rate.per_s)
            if rate.per_s >= self._barrier_per_s:
                self._hold = min(self._hold * 2, _LONGEST_HOLD)
        self._bar(rate.per_s, self._hold)
        slower = before or _scaled(rate, _BELOW)
        self._go(slower, sent_at)

    def _fit(self, closed: _Closed, sent_at: float) -> None:
        """It was far too fast."""
        closed_s = sent_at - closed.at
        gaps = closed_s * closed.per_s
        fit = fitting(self._seen, closed.until - closed.at)
        if fit is None:
            rate = as_rate(max(closed.let_in, 1) / (min(closed.kept_s, closed.let_in / closed.per_s) + closed_s))
            barrier = closed.per_s
            self._seen.clear()
        else:
            rate, barrier = fit.rate, (fit.at_most + 1) / fit.rate.period_s
        if not self.searching and self.rate is not None:
            least_per_s = closed.per_s * _AT_LEAST_GAPS / gaps
            if closed.kept_s > _LONG * closed_s or closed.named is not None:
                least_per_s = max(least_per_s, self.rate.per_s / 2)
            if rate.per_s < least_per_s:
                rate, barrier = as_rate(least_per_s), self.rate.per_s
        if gaps > _MANY_GAPS:
            self._proven_per_s = 0.0
        self.named = None
        self._bar(barrier, _HOLD)
        self._go(rate, sent_at)

    def _note(self, rate: Rate, sent_at: float) -> None:
        """A request was let in at *rate*: what does that prove?"""
        if self._kept == _PROVEN:
            self._before = None
            self._proven_per_s = max(self._proven_per_s, rate.per_s)
        if rate == self.named and sent_at - self._run_from > rate.period_s:
            self.confirmed = True
        if self.strict and self._let_in - self._strict_since[1] >= self._strict_for:
            self.strict = False
            self._strict_for *= 4

    def _rise(self, rate: Rate, sent_at: float) -> None:
        """A step up, once a period has passed in which the pace was used and nothing was turned away."""
        if rate == self.ceiling or self._run < _CLEAN or sent_at - self._run_from < rate.period_s:
            return
        if not self._is_used(rate):
            return
        more = _scaled(rate, max(1 + self._step, (self._proven_per_s / rate.per_s) ** 0.5))
        if more.per_s >= self._barrier_per_s and self._let_in < self._barrier_until:
            more = _scaled(rate, 1 + _STEP)
            if more.per_s >= self._barrier_per_s:
                return
        if rate.per_s >= self._barrier_per_s:
            if self._kept < _RARE:
                return
            self._barrier_per_s, self._hold = inf, _HOLD  # it holds
        self._step = min(2 * self._step, 1.0)
        self._slowed = max(self._slowed - 1, 0)
        self._go(more, sent_at)
        self._before = rate

    def _bar(self, per_s: float, hold: int) -> None:
        self._barrier_per_s, self._hold, self._barrier_until = per_s, hold, self._let_in + hold
        self._step = _STEP

    def _go(self, rate: Rate | None, sent_at: float) -> None:
        """Keep *rate* from now on, or our own limit if that is lower."""
        if rate is not None and self.ceiling is not None and rate.per_s >= self.ceiling.per_s:
            rate = self.ceiling
        if rate != self.rate:
            slower = rate is not None and (self.rate is None or rate.per_s < max(self.rate.per_s, self._proven_per_s))
            self._kept, self._credit = 0, float(slower)
            self._before = None
        self.rate = rate
        self._since, self._run = sent_at, 0
        self._recent.clear()

    def _strict_helps(self, closed: _Closed) -> bool:
        """Whether to count by answers from now on: where too many are turned away although we keep the limit."""
        limit = self.rate
        if limit is None or limit not in (self.ceiling, self.named):
            return False
        if self.strict or closed.let_in >= _STRICT_BELOW or self._let_in < self._strict_from:
            return False
        left = sum(seen.sent_at > closed.at - limit.period_s for seen in self._seen)
        self.strict = left >= 0.5 * limit.count
        return self.strict

    def _drop_strict(self, closed: _Closed) -> None:
        """Counting by answers is of no help where requests are turned away all the same, unless it was a step up."""
        if closed.told or self._before is not None:
            return
        since, _ = self._strict_since
        if self.strict and self.rate is not None and closed.at > since + 2 * self.rate.period_s:
            self.strict, self._strict_from = False, self._let_in + _STRICT_AGAIN

    def _measured(self, until: float) -> float:
        """The pace really kept up to *until*, a second: over ten requests, or a second; never above the one allowed."""
        most = inf if self.rate is None else self.rate.per_s
        let_in = sorted(seen.sent_at for seen in self._seen if seen.let_in)
        several = min(len(let_in), max(_MEASURED, len(let_in) - bisect_left(let_in, until - 1.0)))
        if several < 2:
            return min(most, START_PER_S)
        return min(most, several / max(until - let_in[-several], 1e-3))

    def _is_used(self, rate: Rate) -> bool:
        """Whether the pace is what holds the scope back: only then does it say anything that it went well."""
        span_s = self._recent[-1] - self._recent[0]
        return len(self._recent) < _MEASURED or 0.7 * rate.per_s * span_s < _MEASURED


def as_rate(per_s: float) -> Rate:
    """*per_s* requests a second as a rate whose period is about a second, or one request's gap if that is longer."""
    several = max(1, round(per_s))
    return Rate(several, several / per_s)


def _scaled(rate: Rate, factor: float) -> Rate:
    """*rate* times *factor*: another count in its period if there is one, else another period."""
    if rate.period_s < 2:
        return as_rate(rate.per_s * factor)
    count = max(1, round(rate.count * factor))
    return Rate(count, rate.period_s) if count != rate.count else Rate(count, rate.period_s / factor)


def _as_rate(named: tuple[int, float] | None) -> Rate | None:
    if named is None or named[0] < 1 or not 0 < named[1] < inf:
        return None
    return Rate(*named)
