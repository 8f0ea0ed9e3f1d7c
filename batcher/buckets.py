"""Durations counted by size, as histograms have them: a few numbers, however many durations there were."""

from bisect import bisect_left
from collections.abc import Sequence

from msgspec import Struct

ANSWERS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)  # of a cloud
WRITES_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)  # of a disk


class Counted(Struct, frozen=True):
    """A moment's copy. *counts* has one number more than *bounds* (upper ones, seconds): those above the last."""

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum_s: float

    @property
    def total(self) -> int:
        """How many durations there were."""
        return sum(self.counts)


class Buckets:
    """Counts durations. Used from one thread at a time."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum_s = 0.0

    def add(self, seconds: float) -> None:
        """One more; a clock that went back counts as no time."""
        seconds = max(0.0, seconds)
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum_s += seconds

    def counted(self) -> Counted:
        """A copy of it now."""
        return Counted(self._bounds, tuple(self._counts), self._sum_s)
