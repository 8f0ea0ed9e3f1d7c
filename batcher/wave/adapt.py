"""Finding the pace that the cloud allows, where nobody has told us: a pure object over moments and answers.

    searching ──▶ rising ◀──────────────┐      up to the ceiling, where there is one
        └──────────┴──turned away──▶ feeling ──accepted──┘

*Searching* doubles the pace every second. The first request that is turned away stops the scope; then one request
at a time *feels* whether there is room again, each after a longer silence, since on some APIs a refused request
counts against the limit too. What was let in and turned away until then fits few limits: `limits` names the one to go
on with. From there the pace *rises* by small steps, a period each, but not to where it was turned away before, until
long after.

A limit that the answer names is taken at its word, without rising past it, until it proves wrong. The same goes for
our own: where a request was turned away although we kept the limit, the way to the cloud has carried requests
closer together than they left, and from then on each is counted from its answer (`strict`).
"""

from bisect import bisect_left
from collections import deque
from enum import Enum
from math import inf

from batcher.rates import Rate
from batcher.wave.limits import Seen, fitting

START_PER_S = 2.0
_FASTER_PER_S = 0.7  # for each request let in while searching: the pace doubles about every second
_REMEMBERED = 500  # requests: a wave may have hundreds of scopes
_SILENCE_GAPS = 3  # of the first silence
_SHORTEST_S = 0.05
_LONGEST_S = 600.0
_FEW_GAPS = 6  # room again after so many: the pace was only just above the limit
_BELOW = 0.9  # of a pace that is a guess
_MEASURED = 10  # requests over which the pace really kept is measured
_STEP = 0.03  # of the limit, and at least one request
_STEP_AFTER = 500  # requests let in before a pace that was turned away is tried again, and
_LONGEST_STEP_AFTER = 8000  # at most, after it was turned away again and again


class Phase(Enum):
    """What is going on."""

    KNOWN = "known"  # at our own limit, or at one that the cloud named
    SEARCHING = "searching"
    FEELING = "feeling"
    RISING = "rising"


class Finder:
    """The pace of one scope. Read `rate`, `strict` and `alone` after each call: they may have changed.

    *ceiling* is our own limit, None for none; *search* begins slowly and finds the cloud's. All moments are
    monotonic seconds.
    """

    def __init__(self, ceiling: Rate | None, *, search: bool = False) -> None:
        self.ceiling = ceiling
        self.phase = Phase.SEARCHING if search else Phase.KNOWN
        self.rate: Rate | None = as_rate(START_PER_S) if search else ceiling
        self.strict = False
        self._strict_since = 0.0
        self.named: Rate | None = None  # the limit that the cloud named and that is kept now
        self.confirmed = False  # a whole period has passed under it
        self._trusted = None if search else ceiling  # the known limit that is kept, until it proves wrong
        self._seen: deque[Seen] = deque(maxlen=_REMEMBERED)
        self._since = -inf  # what left before the last change of course tells nothing new
        self._silence_s = 0.0
        self._first_refused = 0.0  # when the first left that was turned away, this time
        self._closed_until = 0.0  # there was no room before that
        self._pace_then = 0.0  # a second, when it was
        self._let_in = 0  # requests, in all
        self._recent: deque[float] = deque(maxlen=_MEASURED)
        self._fitted = False  # the pace comes from what was turned away before
        self._step_let_in = 0  # since the last step up
        self._barrier = inf  # the pace, a second, that was turned away
        self._barrier_until = 0  # how many must have been let in before it is tried again
        self._barrier_holds = 0

    @property
    def alone(self) -> bool:
        """Whether only one request may be under way."""
        return self.phase is Phase.FEELING

    def accepted(self, sent_at: float, now: float) -> None:
        """The cloud let in a request that left at *sent_at*."""
        self._seen.append(Seen(sent_at, now, let_in=True))
        self._let_in += 1
        if sent_at < self._since:
            return
        match self.phase:
            case Phase.FEELING:
                self._reopen(sent_at)
            case Phase.SEARCHING if self._is_used(sent_at):
                self._go(as_rate(self._per_s + _FASTER_PER_S), self._since)
            case Phase.RISING:
                self._rise(sent_at)
            case Phase.KNOWN if self.named is not None:
                self.confirmed = self.confirmed or sent_at - self._since > self.named.period_s
            case _:
                pass

    def turned_away(
        self, sent_at: float, now: float, *, retry_after_s: float | None, named: tuple[int, float] | None
    ) -> float | None:
        """The cloud turned a request away: for how many seconds nothing may leave now. None: nothing new.

        *named* is the limit in its answer, as count and period in seconds.
        """
        news = sent_at >= self._since
        self._seen.append(Seen(sent_at, now, let_in=False))
        if not news:
            return None  # it was under way when the first one came back
        self._since = now
        self._closed_until = max(sent_at, now + 0.9 * (retry_after_s or 0.0))
        if self.phase is Phase.FEELING:
            longer = 2.0 if self._silence_s < 1.0 else 1.5
            self._silence_s = max(min(self._silence_s * longer, _LONGEST_S), retry_after_s or 0.0)
            return self._silence_s
        self._first_refused = sent_at
        self._pace_then = self._measured(sent_at)
        gaps_s = _SILENCE_GAPS / self._pace_then + (now - sent_at)
        self._silence_s = max(gaps_s, _SHORTEST_S) if retry_after_s is None else retry_after_s
        self._learn(named)
        self.phase = Phase.FEELING
        return self._silence_s

    def _learn(self, named: tuple[int, float] | None) -> None:
        """What the first refusal says beyond "too fast"."""
        limit = _as_rate(named)
        if limit is not None and limit != self.named and (self.ceiling is None or limit.per_s < self.ceiling.per_s):
            self.named, self.confirmed = limit, False
            self._trusted = self.rate = limit
        elif self._trusted is not None and self._strict_can_help(self._trusted):
            self._strict_since = self._since if not self.strict else self._strict_since
            self.strict = True
        else:
            self.named = self._trusted = None

    def _strict_can_help(self, limit: Rate) -> bool:
        """Whether the way may have pushed together what left at *limit*, and counting by answers is new."""
        if self.strict and self._first_refused > self._strict_since + 2 * limit.period_s:
            return False  # all that counts now was counted by answers
        left = sum(seen.sent_at > self._first_refused - limit.period_s for seen in self._seen)
        return left >= 0.5 * limit.count  # more have left: those without an answer yet are not known here

    def _reopen(self, sent_at: float) -> None:
        """There is room again."""
        if self._trusted is not None:
            self.phase, self._since = Phase.KNOWN, sent_at
            return
        self.phase = Phase.RISING
        silent_s = sent_at - self._first_refused
        rate = self.rate
        if self._fitted and rate is not None and silent_s * self._pace_then <= _FEW_GAPS:
            self._bar(rate.per_s, min(self._barrier_holds * 2, _LONGEST_STEP_AFTER))
            self._go(_less(rate), sent_at)
            return
        # Silence that long says that the limit is of another kind than the one we kept.
        fit = fitting(self._seen, self._closed_until - self._first_refused if self._fitted else 0.0)
        self._fitted = True
        if fit is None:
            let_in = sum(seen.let_in and seen.sent_at >= self._first_refused - silent_s for seen in self._seen)
            self._seen.clear()
            self._barrier = inf
            self._go(as_rate(_BELOW * max(let_in, 1) / silent_s), sent_at)
            return
        self._bar((fit.at_most + 1) / fit.rate.period_s, _STEP_AFTER)
        self._go(fit.rate, sent_at)

    def _rise(self, sent_at: float) -> None:
        """A step up, once a period has passed in which the pace was used and nothing was turned away."""
        rate = self.rate
        assert rate is not None  # noqa: S101 - a scope that rises has a pace
        self._step_let_in += 1
        passed_s = sent_at - self._since
        if passed_s < rate.period_s:
            return
        if self._step_let_in >= 0.8 * rate.per_s * passed_s:
            more = Rate(rate.count + max(1, round(rate.count * _STEP)), rate.period_s)
            if more.per_s < self._barrier or self._let_in >= self._barrier_until:
                self._go(more, sent_at)
                return
        self._since, self._step_let_in = sent_at, 0

    def _bar(self, per_s: float, holds: int) -> None:
        self._barrier, self._barrier_holds, self._barrier_until = per_s, holds, self._let_in + holds

    def _go(self, rate: Rate, sent_at: float) -> None:
        """Keep *rate* from now on, or our own limit if that is lower."""
        self._since, self._step_let_in = sent_at, 0
        self.rate = rate
        if self.ceiling is not None and rate.per_s >= self.ceiling.per_s:
            self.phase = Phase.KNOWN
            self._trusted = self.rate = self.ceiling

    def _measured(self, until: float) -> float:
        """The pace really kept up to *until*, a second: over ten requests, or a second; never above the one allowed."""
        let_in = sorted(seen.sent_at for seen in self._seen if seen.let_in)
        several = min(len(let_in), max(_MEASURED, len(let_in) - bisect_left(let_in, until - 1.0)))
        if several < 2:
            return min(self._per_s, START_PER_S)
        return min(self._per_s, several / max(until - let_in[-several], 1e-3))

    def _is_used(self, sent_at: float) -> bool:
        """Whether the pace is what holds the scope back: only then does it say anything that it went well."""
        self._recent.append(sent_at)
        span_s = sent_at - self._recent[0]
        return len(self._recent) < _MEASURED or 0.7 * self._per_s * span_s < _MEASURED

    @property
    def _per_s(self) -> float:
        return inf if self.rate is None else self.rate.per_s


def as_rate(per_s: float) -> Rate:
    """*per_s* requests a second as a rate whose period is about a second, or one request's gap if that is longer."""
    several = max(1, round(per_s))
    return Rate(several, several / per_s)


def _less(rate: Rate) -> Rate:
    if rate.count == 1:
        return Rate(1, rate.period_s * (1 + _STEP))
    return Rate(rate.count - max(1, round(rate.count * _STEP)), rate.period_s)


def _as_rate(named: tuple[int, float] | None) -> Rate | None:
    if named is None or named[0] < 1 or not 0 < named[1] < inf:
        return None
    return Rate(*named)
