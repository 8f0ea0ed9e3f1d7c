"""The entries of one scope that wait for their next look: on disk, with eight bytes each in memory."""

from array import array
from collections.abc import Iterator
from heapq import heappop, heappush
from math import floor

from batcher.follow.followed_entry import FollowedEntry, packed, unpacked
from batcher.follow.spill_file import SpillFile


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


class DueQueue:
    """Entries and when each is due, on the clock of whoever asks. One that was taken is out until it is put back.

    Due times are rounded up to *width* seconds. Every call raises `SpillFailed`.
    """

    def __init__(self, spill: SpillFile, width: float) -> None:
        self._spill = spill
        self._wheel = TimerWheel(width)
        self._out: dict[int, tuple[int, FollowedEntry]] = {}  # by identity: its place in the spill file

    def put(self, entry: FollowedEntry, due: float) -> None:
        """Have *entry* wait until *due*."""
        place, _ = self._out.get(id(entry), (None, entry))
        self._wheel.put(self._spill.put(packed(entry), place), due)
        self._out.pop(id(entry), None)

    def take(self, now: float) -> FollowedEntry | None:
        """The entry that has been due longest; None: none is."""
        if (place := self._wheel.take(now)) is None:
            return None
        entry = unpacked(self._spill.get(place))
        self._out[id(entry)] = place, entry
        return entry

    def done(self, entry: FollowedEntry) -> None:
        """*entry*, which was taken, does not come back."""
        del self._out[id(entry)]

    @property
    def next_due(self) -> float | None:
        """When the next entry is due; None: none waits."""
        return self._wheel.next_due

    def __len__(self) -> int:
        """Those that wait, and those that were taken."""
        return len(self._wheel) + len(self._out)

    def __iter__(self) -> Iterator[FollowedEntry]:
        """All of them, in the order in which they came."""
        out = dict(self._out.values())
        for place in sorted([*self._wheel, *out]):
            yield out.get(place) or unpacked(self._spill.get(place))
