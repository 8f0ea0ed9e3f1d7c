"""Where a wave stands: what is counted while it runs, and snapshots for progress lines, summaries and the control
socket.
"""

from collections import Counter, deque

from msgspec import Struct

from batcher.clock import Clock
from batcher.life.result import Status

_RECENT_S = 5.0
_FAILED, _PARTIAL, _UNSETTLED = Status.FAILED, Status.PARTIAL, Status.UNSETTLED  # counted at each result


class ScopeStatus(Struct, frozen=True, kw_only=True):
    """One scope of the wave: (endpoint, project_id)."""

    endpoint: str
    project_id: str
    entries: int
    settled: int
    in_flight: int
    rate_text: str  # the pace in force, as the user writes it: "10/s", "off"
    paused_until_s: float | None = None  # seconds from now until the scope sends again; None: not paused
    reason: str | None = None  # why it is paused or halted, for people
    held_for_readiness: int = 0  # entries that wait for their jobs to get ready
    held_for_place: int = 0  # entries that wait until fewer comparisons are running
    sent: int = 0  # create requests sent by this process
    doubts_end_in_s: float = 0.0  # until nothing can land any more of what was looked for and is not there; 0: nothing

    @property
    def is_paused(self) -> bool:
        """Whether nothing is sent for the time being, or at all any more."""
        return self.paused_until_s is not None or self.reason is not None


class WaveStatus(Struct, frozen=True, kw_only=True):
    """A snapshot. The six counts and `open` add up to `entries` at every moment."""

    entries: int
    created: int = 0
    partial: int = 0
    failed: int = 0
    unsettled: int = 0
    invalid: int = 0
    not_submitted: int = 0
    in_flight: int = 0  # requests on their way now
    in_doubt: int = 0  # entries being looked up
    waiting: int = 0  # entries waiting for their next attempt
    attempts: int = 0  # create requests sent by this process
    retried: int = 0  # of them, sent for an entry that already had one
    throttled: int = 0  # answers by which the cloud turned a request away
    recovered: int = 0  # entries whose task id was learnt by reconciling
    elapsed_s: float = 0.0
    rate_per_s: float = 0.0  # create requests a second over the last few seconds
    eta_s: float | None = None  # seconds until the end at the present pace; None: not known yet
    stopping: str | None = None  # why the wave is ending early, for people
    changed: tuple[str, ...] = ()  # what the operator changed while it ran, for people, oldest first
    scopes: tuple[ScopeStatus, ...] = ()

    @property
    def settled(self) -> int:
        """Entries with a final result so far in this wave, runs before this one included."""
        return self.created + self.partial + self.failed + self.unsettled + self.invalid + self.not_submitted

    @property
    def open(self) -> int:
        """Entries without a final result."""
        return self.entries - self.settled


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
        count = self.by_status.get  # `[…]` would call back for each that is not there yet
        return count(_FAILED, 0) + count(_PARTIAL, 0) + count(_UNSETTLED, 0)

    def sent(self, *, again: bool) -> None:
        """A create request leaves; *again*: its entry had one before."""
        self.attempts += 1
        self.retried += again
        self.in_flight += 1
        now = self._clock.monotonic()
        self._recent.append(now)
        self._forget_old(now - _RECENT_S)

    def held_back(self, *, again: bool) -> None:
        """What was counted as sent did not leave after all."""
        self.attempts -= 1
        self.retried -= again

    def _forget_old(self, since: float) -> None:
        while self._recent and self._recent[0] < since:
            self._recent.popleft()

    @property
    def rate_per_s(self) -> float:
        """Create requests a second, over the last few seconds."""
        self._forget_old(self._clock.monotonic() - _RECENT_S)
        span = min(_RECENT_S, self._clock.monotonic() - self.began)
        return len(self._recent) / span if span > 0 else 0.0
