"""Which limit fits what a cloud let in and what it turned away: a pure function over moments.

A limit of R requests in P seconds lets a request in if fewer than R came in the P seconds before it, those turned
away included where they count. So for each period that limits commonly have, what was let in says how large R is at
least, and what was turned away how large at most; where the two contradict each other, the limit has another period.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from operator import attrgetter

from msgspec import Struct

from batcher.rates import Rate

PERIODS_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
_SLACK = 0.1  # of the count: moments of departure are not those of arrival


class Seen(Struct, frozen=True):
    """One request: when it left, when its answer came, and whether it was let in."""

    sent_at: float
    answered_at: float
    let_in: bool


class Fit(Struct, frozen=True):
    """A limit that fits; *at_most* is the largest count that does."""

    rate: Rate
    at_most: int


def fitting(seen: Iterable[Seen], shortest_s: float = 0.0) -> Fit | None:
    """The limit of the shortest period, *shortest_s* at least, that *seen* fits; None: there is none."""
    ordered = sorted(seen, key=attrgetter("sent_at"))
    moments = [one.sent_at for one in ordered]
    let_in = [one.sent_at for one in ordered if one.let_in]
    refused = [one for one in ordered if not one.let_in]
    if not refused or not let_in:
        return None
    for period_s in PERIODS_S:
        if period_s < shortest_s:
            continue
        at_least = _most_in(let_in, period_s)
        at_most = min(_before(moments, one, period_s) for one in refused)
        if at_least <= at_most + 1 + _SLACK * at_most:
            count = max(1, min(at_least, at_most))
            return Fit(Rate(count, period_s), max(1, at_most))
    return None


def _most_in(moments: Sequence[float], period_s: float) -> int:
    """The most of *moments*, in order, in any window of *period_s*."""
    most = first = 0
    for last, moment in enumerate(moments):
        while moments[first] <= moment - period_s:
            first += 1
        most = max(most, last - first + 1)
    return most


def _before(moments: Sequence[float], one: Seen, period_s: float) -> int:
    """How many of *moments*, in order, can have come in the *period_s* before *one* did, itself left out."""
    took_s = one.answered_at - one.sent_at  # others may have been under way for as long
    return bisect_right(moments, one.answered_at) - bisect_right(moments, one.sent_at - took_s - period_s) - 1
