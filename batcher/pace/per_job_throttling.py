"""Whose word a refusal as "too frequent" is: that of one job, or of the scope's limit. A pure object over moments.

`DRS.M01503` comes under a status of its own and names no limit, so it may speak of a job that was asked too soon after
something else. One job's refusal says nothing of the pace: its entry backs off. When several jobs are told so within a
while it is the limit that speaks, also in what was held back until then, and from then on at once. A scope in which
hundreds are let in without any such word begins anew.
"""

from collections import deque

from msgspec import Struct

_SEVERAL = 3  # jobs: two may be chance
_WHILE_S, _AMONG = 10.0, 50  # within so many seconds, or so many answers, whichever is longer
_BELIEVED = 500  # requests let in since the last refusal


class _JobThrottle(Struct, frozen=True):
    job_id: str
    sent_at: float
    heard_at: float
    nth: int  # answer of the scope


class PerJobThrottling:
    """What the jobs of one scope were told. Moments are monotonic seconds."""

    def __init__(self) -> None:
        self._told: deque[_JobThrottle] = deque()
        self._answers = 0
        self._let_in = 0  # since the last refusal
        self._believed = False

    def let_in(self) -> None:
        """A request of the scope was let in."""
        self._answers += 1
        self._let_in += 1
        if self._let_in >= _BELIEVED:
            self._believed = False

    def refused(self, job_id: str, sent_at: float, now: float) -> list[float]:
        """A request for *job_id*, which left at *sent_at*, was refused as too frequent: when those left that the
        scope's limit has turned away, as far as this is news."""
        self._answers += 1
        self._let_in = 0
        if self._believed:
            return [sent_at]
        told = self._told
        told.append(_JobThrottle(job_id, sent_at, now, self._answers))
        while now - told[0].heard_at > _WHILE_S and self._answers - told[0].nth > _AMONG:
            told.popleft()
        if len({one.job_id for one in told}) < _SEVERAL:
            return []
        self._believed = True
        moments = sorted(one.sent_at for one in told)
        told.clear()
        return moments
