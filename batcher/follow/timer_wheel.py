"""Who is due when, for very many: eight bytes each. Pure."""

from array import array
from collections.abc import Iterator
from heapq import heappop, heappush
from math import floor


class TimerWheel:
    """Numbers, each due at a moment. They are due in buckets of *width* seconds: never before their time."""

    def __init__(self, width: float) -> None:
        self._width = width
        self._buckets: dict[int, array[int]] = {}
        self._order: list[int] = []  # a heap of the buckets there are
        self._begun = 0  # so many of the first bucket's were taken
        self._length = 0

    def put(self, number: int, due: float) -> None:
        """Have *number* taken at *due* or a moment later."""
        bucket = floor(due / self._width) + 1
        if (there := self._buckets.get(bucket)) is None:
            there = self._buckets[bucket] = array("Q")
            if self._order and bucket < self._order[0]:
                del self._buckets[self._order[0]][: self._begun]
                self._begun = 0
            heappush(self._order, bucket)
        there.append(number)
        self._length += 1

    def take(self, now: float) -> int | None:
        """The number that has been due longest; None: none is, at *now*."""
        if not self._order or self._order[0] * self._width > now:
            return None
        first = self._buckets[self._order[0]]
        number = first[self._begun]
        self._begun += 1
        self._length -= 1
        if self._begun == len(first):
            del self._buckets[heappop(self._order)]
            self._begun = 0
        return number

    @property
    def next_due(self) -> float | None:
        """When the next number is due; None: there is none."""
        return self._order[0] * self._width if self._order else None

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[int]:
        """All numbers that wait, in no order."""
        for bucket, numbers in self._buckets.items():
            yield from numbers[self._begun :] if bucket == self._order[0] else numbers
