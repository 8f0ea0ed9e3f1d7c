"""Climbing back up: when a pace is raised, to what, and what the last pace that was turned away has to do with it.

As in TCP (additive increase and multiplicative decrease, Chiu and Jain 1989; the memory of CUBIC, RFC 9438; the halving
of BIC before it): the pace at which requests were turned away is a *barrier*. Below it, steps grow from 3% on; right
below it the climb waits for some requests, then tries the barrier, and goes on by ever larger steps where that holds.
Where it does not, the climb rests, and the next try waits twice as long, so that trying costs few of many.
"""

from math import inf

from batcher.pace.limit_finding.paces import scaled
from batcher.rates import Rate

STEP = 0.03
"""The first step up; each next one is twice as large. Less is lost in the noise of what one second holds."""

_LARGEST_STEP = 1.0  # twice the pace
_CLEAN = 8  # requests let in, and a period, before a step: a window that is too full shows itself by then
_REST = 40  # requests let in after a step that was too large, before any other
HOLD = 60
"""Requests let in before a barrier is tried: one refusal in sixty is half of what may be spent (3%)."""
_LONGEST_HOLD = 120  # after it was turned away again and again: a limit that was raised is found within a minute or so
_NAMED_HOLD = 160  # where the cloud named the limit
PROVEN = 50
"""Requests let in at a pace: it is a sound one."""


class Climb:
    """When the pace of one scope may be raised. *let_in* is the number of requests let in, in all."""

    def __init__(self, proven_per_s: float) -> None:
        self.proven_per_s = proven_per_s  # the pace that was kept for long
        self.before: Rate | None = None  # the pace before the last step up, until that is proven
        self._step = STEP
        self._barrier_per_s = inf  # the pace that was turned away
        self._barrier_until = 0  # how many must have been let in before it is tried again
        self._hold = HOLD
        self._rest_until = 0  # how many must have been let in before any step

    def bar(self, per_s: float, let_in: int, hold: int = HOLD) -> None:
        """*per_s* was turned away, and is tried after *hold* more were let in."""
        self._barrier_per_s, self._hold, self._barrier_until = per_s, hold, let_in + hold
        self._step = STEP

    def bar_again(self, per_s: float, let_in: int) -> None:
        """*per_s* was turned away, and is tried after as many more as before it."""
        self.bar(per_s, let_in, self._hold)

    def bar_named(self, limit: Rate, let_in: int, *, again: bool) -> None:
        """The cloud names *limit*, *again* if it did before: what is above it is hardly worth a try."""
        hold = min(2 * self._hold, _LONGEST_HOLD) if again else _NAMED_HOLD
        self.bar(limit.per_s * (1 + STEP), let_in, hold)

    def fell(self, per_s: float, let_in: int) -> None:
        """The last step, to *per_s*, was one too many."""
        self._rest_until = let_in + _REST
        self.proven_per_s = min(self.proven_per_s, per_s)
        again = per_s >= self._barrier_per_s
        self.bar(per_s, let_in, min(self._hold * 2, _LONGEST_HOLD) if again else self._hold)

    def prove(self, rate: Rate) -> None:
        """*rate* was kept for long."""
        self.before = None
        self.proven_per_s = max(self.proven_per_s, rate.per_s)

    def next_pace(self, rate: Rate, kept: int, kept_s: float, let_in: int) -> Rate | None:
        """The pace above *rate*, of which *kept* requests were let in within *kept_s*; None: not yet."""
        if kept < _CLEAN or kept_s < rate.period_s or let_in < self._rest_until:
            return None
        more = scaled(rate, max(1 + self._step, (self.proven_per_s / rate.per_s) ** 0.5))
        if more.per_s >= self._barrier_per_s and let_in < self._barrier_until:
            more = scaled(rate, 1 + STEP)
            if more.per_s >= self._barrier_per_s:
                return None
        if rate.per_s >= self._barrier_per_s:
            if kept < HOLD:
                return None
            self._barrier_per_s, self._hold = inf, HOLD  # it holds
        self._step = min(2 * self._step, _LARGEST_STEP)
        return more
