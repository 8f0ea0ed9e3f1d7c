"""How far a pace is cut that was too fast: pure functions of what was let in and turned away."""

from msgspec import Struct

from batcher.pace.limit_finding.closure import Closure
from batcher.pace.limit_finding.evidence import LIKELY
from batcher.pace.limit_finding.history import Fit
from batcher.pace.limit_finding.paces import as_rate, scaled
from batcher.rates import Rate

MANY_GAPS = 30
"""No room for so many gaps between requests: the pace was far above the limit."""

_BELOW, _FAR_BELOW = 0.9, 0.5  # of a pace that was a little too fast: at most, and at least
_AT_LEAST_GAPS = 5  # of those in which there was no room: a lower pace is not believed in at once
_LONG = 10  # times as long as there was no room, and the pace is not given up for less than half of it
_BRIEF_S, _BRIEFLY = 5.0, 8  # no room for so few seconds, and it is divided by no more: at 50/s they are many gaps
_SHORTEST_S = 1e-3  # without room: what left at one moment may have been turned away and let in


class Cut(Struct, frozen=True):
    """The pace was cut from *rate*, and the slower one is on trial."""

    rate: Rate | None


class Slower(Struct, frozen=True):
    """A far slower pace."""

    rate: Rate
    barrier_per_s: float  # the pace that was turned away, as far as that is known
    gaps: float  # between requests, for which there was no room


def a_little_slower(rate: Rate, fit: Fit | None, kept_per_s: float, let_in_share: float, odds: float) -> Rate:
    """The pace below *rate*, which was a little too fast: a tenth less, or where a limit is likely down to the one that
    fits, or to what was really kept, but to no less than the share of it that was let in."""
    factor = _BELOW
    if odds < (0 if fit is not None else -LIKELY):  # where no limit explains it, what was really kept tells
        likely_per_s = kept_per_s if fit is None else fit.rate.per_s
        factor = min(max(likely_per_s / rate.per_s, let_in_share, _FAR_BELOW), _BELOW)
    return scaled(rate, factor)


def far_slower(closure: Closure, fit: Fit | None, rate: Rate | None, opened_at: float, odds: float) -> Slower:
    """The pace that *fit* explains, or else what was let in until there was room, at *opened_at*; not far below *rate*,
    the pace in force, on a single short occasion. *rate* is None while searching: then anything is believed."""
    closed_s = max(opened_at - closure.at, _SHORTEST_S)
    gaps = closed_s * closure.per_s
    if fit is None:
        took_s = min(closure.kept_s, closure.let_in / closure.per_s) + closed_s
        slower, barrier_per_s = as_rate(max(closure.let_in, 1) / took_s), closure.per_s
    else:
        slower, barrier_per_s = fit.rate, (fit.at_most + 1) / fit.rate.period_s
    if rate is not None:
        least_per_s = closure.per_s * _AT_LEAST_GAPS / gaps
        if closed_s <= _BRIEF_S and closure.rate is not None:
            least_per_s = max(least_per_s, closure.per_s / _BRIEFLY)
        if closure.kept_s > _LONG * closed_s or odds > 0 or closure.named is not None:
            least_per_s = max(least_per_s, rate.per_s / 2)
        if slower.per_s < least_per_s:
            slower, barrier_per_s = as_rate(least_per_s), rate.per_s
    return Slower(slower, barrier_per_s, gaps)
