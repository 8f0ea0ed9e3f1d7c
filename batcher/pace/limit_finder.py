"""Finding the pace that the cloud allows, where nobody has told us: a pure object over moments and answers.

    searching ──▶ rising ◀──────────┐      up to our own limit, where there is one
        └───────────┴──turned away──▶ throttled ──let in──┘

*Searching* doubles the pace every second. The first request that is turned away *closes* the scope; after a silence
one request at a time feels whether there is room again, each after a longer silence, since on some APIs a refused
request counts against the limit too. Once one is let in, what happened says which of four things it was:

- **A stray.** Limits are per user, so another tool may have used up the moment. The pace stays while it has credit
  left for that (`strays`), which is less than what a limit a little too low for it would use up.
- **A little too fast.** There was room again after a few gaps. Back to the pace before the last step up, or down by a
  tenth, and by more where little was let in and a limit so low explains it. From there the pace is found as in TCP
  (additive increase and multiplicative decrease, Chiu and Jain 1989; the memory of CUBIC, RFC 9438, and the halving
  of BIC before it): the pace at which it happened is remembered, *rising* climbs to just below it within some periods,
  waits there, tries it, and goes on by ever larger steps where that holds. Where it does not, it rests before any
  step, and the next try waits twice as long, so that trying costs few of many.
- **Far too fast.** There was no room for long. What was let in and turned away fits few limits: `limits` names the
  one to go on with. The longer there was no room, the lower a limit is believed; and a pace that was kept for long, or
  one that the answer itself names, is not given up for less than half of it on a single occasion.
- **Neither.** The pace was cut, requests are turned away all the same, and no limit explains which of them: one
  that lets some in would have let in others. Then the pace is not the reason: back to where it began, at once, and
  strays are believed to be many.

A limit below the pace that the answer names is kept at once, and for long.

Where a request was turned away although we kept the limit, the way to the cloud may have carried requests closer
together than they left: for a while each is counted from its answer (`strict`), unless that proves to be of no help.
"""

from bisect import bisect_left, bisect_right
from collections import deque
from dataclasses import dataclass
from math import inf

from batcher.drs.guesses import THROTTLE_WAIT_S
from batcher.pace.answer_counting import AnswerCounting
from batcher.pace.limits import History
from batcher.pace.strays import Credit, Trial
from batcher.rates import Rate

START_PER_S = 2.0
_FASTER_PER_S = 0.7  # for each request let in while searching: the pace doubles about every second
_MEASURED = 10  # requests over which the pace really kept is measured

_SILENCE_GAPS = 3  # of the first silence, where the answer names none
_SHORTEST_S = 0.05
_LONGEST_S = 600.0

_FEW_GAPS = 7  # room again after so many: the pace was only just above the limit
_AT_LEAST_GAPS = 5  # of those in which there was no room: a lower pace is not believed in at once
_LONG = 10  # times as long as there was no room, and the pace is not given up for less than half of it
_MANY_GAPS = 30  # no room for so many: it was far above
_BELOW, _FAR_BELOW = 0.9, 0.5  # of a pace that was a little too fast: at most, and at least

_STEP = 0.03  # up; each next one is twice as large
_CLEAN = 8  # requests let in, and a period, before a step
_REST = 40  # requests let in after a step that was too large, before any other
_HOLD = 60  # requests let in before the pace that was turned away is tried again, and
_LONGEST_HOLD = 120  # at most, after it was turned away again and again
_NAMED_HOLD = 160  # where the cloud named the limit
_PROVEN = 50  # requests let in: the pace is a sound one


@dataclass(slots=True, kw_only=True)
class _ThrottledPhase:
    """The scope was turned away: how it was going until then, and since."""

    at: float  # when the first left that was turned away
    kept_s: float  # for how long the pace had been kept
    let_in: int  # since the scope was last opened
    rate: Rate | None  # in force then
    per_s: float  # the pace really kept
    silence_s: float
    until: float = -inf  # there was no room: when the last left that was turned away, or as its answer said
    says_when: bool = False
    refused: int = 1
    named: Rate | None = None  # the limit that the answer named, and
    told: bool = False  # whether it was below the pace, and is kept from now on


class LimitFinder:
    """The pace of one scope. Read `rate`, `strict` and `alone` after each call: they may have changed.

    *ceiling* is our own limit, None for none; *search* begins slowly and finds the cloud's. All moments are
    monotonic seconds.
    """

    def __init__(self, ceiling: Rate | None, *, search: bool = False) -> None:
        self.ceiling = ceiling
        self.searching = search
        self.rate: Rate | None = as_rate(START_PER_S) if search else ceiling
        self.named: Rate | None = None  # the limit that the cloud named, unless it proved wrong
        self.confirmed = False  # a whole period has passed under it
        self._history = History()
        self._recent: deque[float] = deque(maxlen=_MEASURED)
        self._let_in = self._refused = 0  # requests, in all
        self._throttled: _ThrottledPhase | None = None
        self._since = -inf  # what left before says nothing new about the pace
        self._run = 0  # requests let in since the scope was last opened, or the pace last changed
        self._run_from = 0.0  # when the first of them left
        self._before: Rate | None = None  # the pace before the last step up
        self._credit = Credit()
        self._trial: Trial | None = None  # since the pace was cut, until it is proven
        self._kept = 0  # requests let in at this pace, those before a stray included
        self._refused_before = 0  # how many had been turned away when it was taken up
        self._kept_from = 0.0
        self._proven_per_s = 0.0 if ceiling is None else ceiling.per_s  # the pace that was kept for long
        self._step = _STEP
        self._barrier_per_s = inf  # the pace that was turned away
        self._barrier_until = 0  # how many must have been let in before it is tried again
        self._hold = _HOLD
        self._rest_until = 0  # how many must have been let in before any step
        self._answer_counting = AnswerCounting()

    @property
    def strict(self) -> bool:
        """Whether each request is to be counted from its answer."""
        return self._answer_counting.on

    @property
    def alone(self) -> bool:
        """Whether only one request may be under way."""
        return self._throttled is not None

    def accepted(self, sent_at: float, now: float) -> None:
        """The cloud let in a request that left at *sent_at*."""
        self._history.let_in(sent_at, now)
        self._let_in += 1
        if sent_at < self._since:
            return
        if self._throttled is not None:
            phase, self._throttled = self._throttled, None
            self._reopen(phase, sent_at)
            return
        self._run_from = self._run_from if self._run else sent_at
        self._run += 1
        self._kept_from = self._kept_from if self._kept else sent_at
        self._kept += 1
        self._credit.earn()
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
        self._history.refused(sent_at, now)
        self._refused += 1
        phase = self._throttled
        if phase is not None:
            phase.refused += 1
        if sent_at < self._since:
            return self._longer(now, retry_after_s)  # it was under way when the first one came back
        self._since = now
        if phase is None:
            phase = self._throttled = self._close(sent_at, now, retry_after_s, _as_rate(named))
        else:
            longer = 2.0 if phase.silence_s < 1.0 else 1.5
            phase.silence_s = max(min(phase.silence_s * longer, _LONGEST_S), retry_after_s or 0.0)
        phase.says_when = retry_after_s is not None
        phase.until = sent_at if retry_after_s is None else now + 0.9 * retry_after_s
        return phase.silence_s

    def _longer(self, now: float, retry_after_s: float | None) -> float | None:
        """A later answer may ask for a longer silence than the first did."""
        phase = self._throttled
        if phase is None or retry_after_s is None or now + retry_after_s <= self._since + phase.silence_s:
            return None
        phase.silence_s, phase.says_when = now + retry_after_s - self._since, True
        phase.until = now + 0.9 * retry_after_s
        return retry_after_s

    def _close(self, sent_at: float, now: float, retry_after_s: float | None, named: Rate | None) -> _ThrottledPhase:
        per_s = self._measured(sent_at)
        silence_s = retry_after_s
        if silence_s is None:
            gaps = _SILENCE_GAPS if self._credit.left < 1 else 1
            silence_s = min(max(gaps / per_s + (now - sent_at), _SHORTEST_S), THROTTLE_WAIT_S)
        phase = _ThrottledPhase(
            at=sent_at,
            kept_s=sent_at - self._kept_from if self._kept else 0.0,
            let_in=self._run,
            rate=self.rate,
            per_s=per_s,
            silence_s=silence_s,
            named=named,
            told=self._keep(named),
        )
        if self.rate is None:
            self.rate = as_rate(per_s)  # the requests that feel for room count under the pace that is found
        return phase

    def _keep(self, limit: Rate | None) -> bool:
        """Keep the limit that the cloud names; False: it names none, or none below the pace."""
        if limit is None or (self.rate is not None and limit.per_s >= self.rate.per_s):
            return False
        again = limit == self.named
        self._bar(limit.per_s * (1 + _STEP), min(2 * self._hold, _LONGEST_HOLD) if again else _NAMED_HOLD)
        self.confirmed = self.confirmed and again
        self.named = self.rate = limit
        return True

    def _reopen(self, phase: _ThrottledPhase, sent_at: float) -> None:
        """There is room again, for one that left at *sent_at*: see the module for what may have been."""
        self._credit.spend(phase.refused)
        if self.rate is not None and self._before is None and not phase.told and self._credit.left < 0:
            self._answer_counting.doubt(phase.at, self._let_in, self.rate.period_s)
        few = not self.searching and (phase.until - phase.at) * phase.per_s <= _FEW_GAPS
        if phase.told:
            self._go(self.rate, sent_at)
        elif few and self._strict_helps(phase):
            self._answer_counting.begin(sent_at, self._let_in)
            self._go(self.rate, sent_at)
        elif (strays := self._in_vain()) is not None:
            self._go_back(strays, sent_at)
        elif self._is_stray(phase, sent_at):
            if self._trial is None:
                self._history.excuse(phase.at)
            self._go(phase.rate, sent_at)
        elif self._before is not None:
            self._step_back(self._before, sent_at)
        elif few:
            self._try(phase)
            self._slow_down(phase, sent_at)
        else:
            self._try(phase)
            self._fit(phase, sent_at)
        self.searching = False

    def _is_stray(self, phase: _ThrottledPhase, sent_at: float) -> bool:
        """Whether it is taken for a stray: on credit, and of a pace that was kept for long enough to tell."""
        if self.searching or self._credit.left < 0:
            return False
        return self._credit.believes or phase.kept_s >= sent_at - phase.at

    def _try(self, phase: _ThrottledPhase) -> None:
        """A slower pace is on trial; where the limit has changed, what was seen before speaks of another one."""
        if self._trial is None:
            self._trial = Trial(phase.rate, phase.at, self._let_in - phase.let_in, self._refused - phase.refused)
            if not self._is_explained(2 * (phase.until - phase.at), sliding=True):
                self._history.begin(phase.at)

    def _in_vain(self) -> float | None:
        """The share of strays, where slowing down was of no help; None: it may still be."""
        if self._trial is None or self._is_explained(0.0, sliding=False):
            return None
        self._history.begin(self._trial.since)  # it may have changed then
        if self._is_explained(0.0, sliding=False):
            return None
        return self._trial.strays(self._let_in, self._refused)

    def _go_back(self, strays: float, sent_at: float) -> None:
        """The pace was not the reason."""
        if self._trial is not None:
            self._history.begin(sent_at)
            self._go(self._trial.rate, sent_at)
            self._credit.believe(strays)
            self._trial = None

    def _is_explained(self, period_s: float, *, sliding: bool) -> bool:
        """Whether `History` explains what was turned away, those of its own period included."""
        return self._history.explained(max(period_s, self.rate.period_s if self.rate else 0.0), sliding=sliding)

    def _step_back(self, before: Rate, sent_at: float) -> None:
        """The last step up was one too many."""
        per_s = before.per_s if self.rate is None else self.rate.per_s
        self._rest_until = self._let_in + _REST
        self._proven_per_s = min(self._proven_per_s, per_s)
        self._bar(per_s, min(self._hold * 2, _LONGEST_HOLD) if per_s >= self._barrier_per_s else self._hold)
        self._go(before, sent_at)

    def _slow_down(self, phase: _ThrottledPhase, sent_at: float) -> None:
        """The pace was a little too fast."""
        rate, fit = self.rate or as_rate(phase.per_s), self._history.fit()
        factor = _BELOW
        if fit is not None:
            least = max(self._kept / (self._kept + self._refused - self._refused_before), _FAR_BELOW)
            factor = min(max(fit.rate.per_s / rate.per_s, least), _BELOW)
        self._bar(rate.per_s, self._hold)
        self._go(_scaled(rate, factor), sent_at)

    def _fit(self, phase: _ThrottledPhase, sent_at: float) -> None:
        """The pace was far too fast."""
        closed_s = sent_at - phase.at
        gaps = closed_s * phase.per_s
        shortest_s = (phase.until - phase.at) * (1.0 if phase.says_when else 0.5)  # requests to feel for room count
        fit = self._history.fit(shortest_s)
        if fit is None:
            self._history.begin(self._run_from)
            fit = self._history.fit(shortest_s)
        if fit is None:
            rate = as_rate(max(phase.let_in, 1) / (min(phase.kept_s, phase.let_in / phase.per_s) + closed_s))
            barrier = phase.per_s
        else:
            rate, barrier = fit.rate, (fit.at_most + 1) / fit.rate.period_s
        if not self.searching and self.rate is not None:
            least_per_s = phase.per_s * _AT_LEAST_GAPS / gaps
            if phase.kept_s > _LONG * closed_s or phase.named is not None or self._credit.believes:
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
        if self._run == _PROVEN:
            self._trial = None
        if self._kept == _PROVEN:
            self._before = None
            self._proven_per_s = max(self._proven_per_s, rate.per_s)
        if rate == self.named and sent_at - self._run_from > rate.period_s:
            self.confirmed = True
        self._answer_counting.note(self._let_in)

    def _rise(self, rate: Rate, sent_at: float) -> None:
        """A step up, once a period has passed in which the pace was used and nothing was turned away."""
        if rate == self.ceiling or self._kept < _CLEAN or sent_at - self._kept_from < rate.period_s:
            return
        if not self._is_used(rate) or self._let_in < self._rest_until:
            return
        more = _scaled(rate, max(1 + self._step, (self._proven_per_s / rate.per_s) ** 0.5))
        if more.per_s >= self._barrier_per_s and self._let_in < self._barrier_until:
            more = _scaled(rate, 1 + _STEP)
            if more.per_s >= self._barrier_per_s:
                return
        if rate.per_s >= self._barrier_per_s:
            if self._kept < _HOLD:
                return
            self._barrier_per_s, self._hold = inf, _HOLD  # it holds
        self._step = min(2 * self._step, 1.0)
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
            self._kept, self._credit.left = 0, float(slower)
            self._refused_before = self._refused
            self._before = None
        self.rate = rate
        self._since, self._run = sent_at, 0
        self._recent.clear()

    def _strict_helps(self, phase: _ThrottledPhase) -> bool:
        """Whether to count by answers from now on: where too many are turned away although we keep the limit."""
        limit = self.rate
        if limit is None or limit not in (self.ceiling, self.named):
            return False
        left = self._history.departures(let_in=False)
        full = len(left) - bisect_right(left, phase.at - limit.period_s) >= 0.5 * limit.count
        return full and self._answer_counting.may_begin(self._let_in, phase.let_in)

    def _measured(self, until: float) -> float:
        """The pace really kept up to *until*, a second: over ten requests, or a second; never above the one allowed.

        Where hardly any was let in yet, those that were turned away tell it too; and where hardly any left, it is the
        pace that we allowed.
        """
        most = inf if self.rate is None else self.rate.per_s
        left = self._history.departures(let_in=True)
        if len(left) < 2:
            left = self._history.departures(let_in=False)
            left = left[: bisect_right(left, until)]
        several = min(len(left), max(_MEASURED, len(left) - bisect_left(left, until - 1.0)))
        if several < 2:
            return most if most < inf else START_PER_S
        return min(most, several / max(until - left[-several], 1e-3))

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
