"""The counts of a running wave: what progress lines and summaries show."""

from collections import Counter, deque

from batcher.clock import Clock
from batcher.life.result import Status

_RECENT_S = 5.0


class WaveCounts:
    """Counts by status over the whole wave, and what this process did."""

    def __init__(self, clock: Clock, entries: int, settled: dict[Status, int]) -> None:
        self._clock = clock
        self.entries = entries
        self.by_status: Counter[Status] = Counter(settled)
        self.began = clock.monotonic()
        self.in_flight = 0
        self.in_doubt = 0
        self.attempts = 0
        self.retried = 0
        self.throttled = 0
        self.recovered = 0
        self._recent: deque[float] = deque()

    @property
    def settled(self) -> int:
        """Entries with a final result."""
        return sum(self.by_status.values())

    @property
    def failures(self) -> int:
        """Entries that count for `--max-failures`."""
        return self.by_status[Status.FAILED] + self.by_status[Status.PARTIAL] + self.by_status[Status.UNSETTLED]

    def sent(self, *, again: bool) -> None:
        """A create request leaves; *again*: its entry had one before."""
        self.attempts += 1
        self.retried += again
        self.in_flight += 1
        self._recent.append(self._clock.monotonic())
        self._forget_old()

    def _forget_old(self) -> None:
        since = self._clock.monotonic() - _RECENT_S
        while self._recent and self._recent[0] < since:
            self._recent.popleft()

    @property
    def rate_per_s(self) -> float:
        """Create requests a second, over the last few seconds."""
        self._forget_old()
        span = min(_RECENT_S, self._clock.monotonic() - self.began)
        return len(self._recent) / span if span > 0 else 0.0
