"""How long a wave will take, before it runs: a pure function of what each scope has to send and of its pace."""

from collections.abc import Mapping
from typing import Generic, TypeVar

from msgspec import Struct

from batcher.durations import about
from batcher.rates import Rate

S = TypeVar("S")


class Estimate(Struct, Generic[S], frozen=True, kw_only=True):
    """The time for each scope, None where no pace bounds it; scopes run side by side, so *seconds* is the longest.

    It is the time without trouble: every request taken, none repeated.
    """

    entries: Mapping[S, int]
    seconds_by_scope: Mapping[S, float | None]
    seconds: float | None

    @property
    def text(self) -> str:
        """For people: "about 3m20s", or that it depends."""
        return "as long as the cloud takes" if self.seconds is None else about(self.seconds)


def estimate(
    entries: Mapping[S, int], rate: Rate | None, *, concurrency: int = 16, latency_s: float | None = None
) -> Estimate[S]:
    """The time for *entries* of each scope at *rate* (None: no limit of ours).

    *latency_s* is how long an answer takes, where that is known: then *concurrency* bounds the pace too.
    """
    by_scope = {scope: _seconds(count, rate, concurrency, latency_s) for scope, count in entries.items()}
    known = [seconds for seconds in by_scope.values() if seconds is not None]
    return Estimate(
        entries=dict(entries),
        seconds_by_scope=by_scope,
        seconds=max(known, default=0.0) if len(known) == len(by_scope) else None,
    )


def _seconds(entries: int, rate: Rate | None, concurrency: int, latency_s: float | None) -> float | None:
    if entries == 0:
        return 0.0
    paces = [pace for pace in (rate and rate.per_s, latency_s and concurrency / latency_s) if pace]
    if not paces:
        return None
    # The first request leaves at once; the last one's answer has to come, too.
    return (entries - 1) / min(paces) + (latency_s or 0.0)
