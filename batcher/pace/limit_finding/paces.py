"""Paces as rates: what a pace is called, scaled, measured and not to be given up. Pure functions."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from math import inf

from batcher.rates import Rate

START_PER_S = 2.0
"""Where a search begins: slow enough for any limit by the second, and for ten a minute one refusal."""

_MEASURED = 10  # requests over which a pace is measured: fewer are chance, more are history
_FLOOR_S = 30.0  # what was let in over so long is no chance either, and
_FLOOR = 0.85  # of that much no refusal takes us below: a little less, as windows begin at moments we cannot see


def as_rate(per_s: float) -> Rate:
    """*per_s* requests a second as a rate whose period is about a second, or one request's gap if that is longer."""
    several = max(1, round(per_s))
    return Rate(several, several / per_s)


def scaled(rate: Rate, factor: float) -> Rate:
    """*rate* times *factor*: another count in its period if there is one, else another period."""
    if rate.period_s < 2:
        return as_rate(rate.per_s * factor)
    count = max(1, round(rate.count * factor))
    return Rate(count, rate.period_s) if count != rate.count else Rate(count, rate.period_s / factor)


def named_rate(named: tuple[int, float] | None) -> Rate | None:
    """The limit that an answer names, as count and period in seconds; None: none that makes sense."""
    if named is None or named[0] < 1 or not 0 < named[1] < inf:
        return None
    return Rate(*named)


def is_used(rate: Rate, recent: Sequence[float]) -> bool:
    """Whether *rate* is what holds the scope back, by the departures of its *recent* requests: only then does it say
    anything that it went well."""
    span_s = recent[-1] - recent[0]
    return len(recent) < _MEASURED or 0.7 * rate.per_s * span_s < _MEASURED


def measured_per_s(let_in: Sequence[float], everything: Sequence[float], until: float, rate: Rate | None) -> float:
    """The pace really kept up to *until*, a second, by when requests left: over ten of them, or a second; never above
    *rate*.

    Where hardly any was let in yet, those that were turned away tell it too; and where hardly any left, it is the
    pace that we allowed.
    """
    most = inf if rate is None else rate.per_s
    left = let_in if len(let_in) >= 2 else everything[: bisect_right(everything, until)]
    several = min(len(left), max(_MEASURED, len(left) - bisect_left(left, until - 1.0)))
    if several < 2:
        return most if most < inf else START_PER_S
    return min(most, several / max(until - left[-several], 1e-3))


def floor_per_s(let_in: Sequence[float], now: float) -> float:
    """What a scope is not slowed down below, as it was let in over the last half minute by when requests left; 0: that
    is not known yet."""
    if not let_in or now - let_in[0] < _FLOOR_S:
        return 0.0
    return _FLOOR * (len(let_in) - bisect_left(let_in, now - _FLOOR_S)) / _FLOOR_S
