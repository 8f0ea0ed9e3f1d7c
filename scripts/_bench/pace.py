"""Pace as the server counts it, over real sockets: the most in any window, and how much of the limit is used."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from _bench.common import Row, child, cloud
from batcher.rates import Rate

_LIMITS = ("5/s", "20/s", "200/s")  # of still longer periods tests/pace speaks, where time leaps
_PERIODS = 12
_USED = 0.98  # of the limit, at least; where the way jitters by J, no client can promise more than P / (P + J/2)
_SLOW_LIMIT, _SLOW_PERIODS = "10/min", 2


def rows(*, quick: bool) -> Iterator[Row]:
    """A row for each limit, without and with answers that jitter by 100 ms; one that takes minutes, beside them all."""
    if quick:
        yield from _seconds(_LIMITS[1:])
        return
    with ThreadPoolExecutor(1) as beside:
        minutes = beside.submit(_row, Rate.parse(_SLOW_LIMIT), 0.0, periods=_SLOW_PERIODS)
        yield from _seconds(_LIMITS)
        yield minutes.result()


def _seconds(limits: tuple[str, ...]) -> Iterator[Row]:
    for text in limits:
        for jitter_s in (0.0, 0.1):
            yield _row(Rate.parse(text), jitter_s, periods=_PERIODS)


def _row(rate: Rate, jitter_s: float, periods: int) -> Row:
    entries = rate.count * periods
    with cloud(jitter_s=jitter_s) as port:
        figures = child("paced", port=port, rate=str(rate), entries=entries, concurrency=64)
    arrivals = sorted(figures["arrivals"])
    most = _most_in(arrivals, rate.period_s)
    # The first period's worth is there at once; only what comes after it has to wait for the limit.
    steady = arrivals[rate.count - 1 :]
    used = (len(steady) - 1) / (steady[-1] - steady[0]) / rate.per_s
    way = f", answers ±{jitter_s * 1000:.0f} ms" if jitter_s else ""
    least = min(_USED, rate.period_s / (rate.period_s + jitter_s / 2))
    return Row(
        subject=f"limit {rate}{way}: most in a window, share used",
        figure=f"{most}, {used:.1%}",
        bound=f"≤ {rate.count}, ≥ {least:.0%}",
        good=most <= rate.count and used >= least,
        raw={"rate": str(rate), "jitter_s": jitter_s, "most": most, "used": used, "entries": entries},
    )


def _most_in(moments: list[float], period_s: float) -> int:
    most = first = 0
    for last, moment in enumerate(moments):
        while moments[first] <= moment - period_s:
            first += 1
        most = max(most, last - first + 1)
    return most
