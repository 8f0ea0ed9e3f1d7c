"""The entries of one scope that wait for their next look: on disk, with eight bytes each in memory."""

from collections.abc import Iterator

from batcher.follow.followed_entry import FollowedEntry, packed, unpacked
from batcher.follow.spill_file import SpillFile
from batcher.follow.timer_wheel import TimerWheel


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
