"""The cloud's own count of requests: so many in any window of a period, the rest turned away."""

from collections import deque

from batcher.rates import Rate


class WindowLimit:
    """One project's requests of one kind. Exact: the moments of arrival are kept for a period.

    *count_refused* says whether a request that was turned away uses the limit up as well, as on some APIs.
    """

    __slots__ = ("_arrivals", "_count_refused", "rate")

    def __init__(self, rate: Rate, *, count_refused: bool = False) -> None:
        self.rate = rate
        self._count_refused = count_refused
        self._arrivals: deque[float] = deque(maxlen=rate.count)

    def admit(self, now: float) -> float | None:
        """None: let in. Otherwise the seconds until the next request would be let in."""
        arrivals = self._arrivals
        if len(arrivals) < self.rate.count or now - arrivals[0] >= self.rate.period_s:
            arrivals.append(now)
            return None
        if self._count_refused:
            arrivals.append(now)  # the oldest falls out: the newest *count* arrivals are what counts
        return max(0.0, arrivals[0] + self.rate.period_s - now)


def throttle_text(rate: Rate) -> str:
    """What the gateway says to a request that is turned away; it names the limit."""
    return f"The throttling threshold has been reached: policy user over ratelimit,{_named(rate)}"


def _named(rate: Rate) -> str:
    for unit, size in (("hour", 3600.0), ("minute", 60.0)):
        if rate.period_s >= size and rate.period_s % size == 0:
            return f"limit:{rate.count},time:{rate.period_s / size:g} {unit}"
    return f"limit:{rate.count},time:{rate.period_s:g} second"
