"""How many requests of a wave in a scope may be in flight at once, and how many workers it takes to keep those slots
filled.

A request leaves only once its intent is on disk, and its worker goes on only once its outcome is. Meanwhile it holds no
slot. So there are more workers than slots: as many as it takes to fill each slot when it falls free, and no more, as
whatever has an intent must be looked up after a crash.

    ahead = slots * time an intent takes / time a slot is held        (Little's law)

Both times are measured; outcomes take as long as intents. Where answers take a second, one is ahead; where they come at
once, two for each slot.

Where waves share a scope, each has slots of its own, and all of them share those of the scope: a request has one of
each. Who is next there says `pace.fair_semaphore`.
"""

from math import ceil
from types import TracebackType
from typing import Self

from batcher.clock import Clock
from batcher.pace.fair_semaphore import FairSemaphore, Party

_NEWEST = 0.1  # weight of the newest measurement
_MOST_AHEAD = 2  # for each slot


class Slots:
    """Slots for *size* requests, and as many of *shared* as are free there (None: it is not shared)."""

    def __init__(self, size: int, clock: Clock, shared: FairSemaphore | None = None) -> None:
        self.clock = clock
        self._own = FairSemaphore(size)
        self._shared = shared
        self._intent_s = 0.0  # smoothed; 0 until there is a first measurement
        self._held_s = 0.0

    @property
    def size(self) -> int:
        """How many requests may be in flight."""
        return self._own.size if self._shared is None else min(self._own.size, self._shared.size)

    @property
    def ahead(self) -> int:
        """How many requests may be ready without a slot."""
        if not self._held_s:
            return 0
        return ceil(self.size * min(self._intent_s / self._held_s, _MOST_AHEAD))

    @property
    def workers(self) -> int:
        """How many workers keep the slots filled: some make intents durable, and as many outcomes."""
        return self.size + 2 * self.ahead

    def resize(self, size: int) -> None:
        """Let *size* requests be in flight."""
        self._own.resize(size)

    def slot(self, party: Party) -> "Slot":
        """For one request of *party*."""
        return Slot(self, party)

    def intended(self, seconds: float) -> None:
        """Learn that making an intent durable took so long."""
        self._intent_s += (seconds - self._intent_s) * (_NEWEST if self._intent_s else 1.0)

    def _leave(self, held_s: float) -> None:
        self._held_s += (held_s - self._held_s) * (_NEWEST if self._held_s else 1.0)
        if self._shared is not None:
            self._shared.leave()
        self._own.leave()


class Slot:
    """A context to enter; inside, `take` waits for the slot, and leaving gives it back."""

    __slots__ = ("_party", "_slots", "_taken_at")

    def __init__(self, slots: Slots, party: Party) -> None:
        self._slots = slots
        self._party = party
        self._taken_at: float | None = None

    def __enter__(self) -> Self:
        return self

    async def take(self) -> None:
        """Wait for a slot, and have it. Raises `PartyClosed` and `PartyPaused`, as its party is."""
        slots, party = self._slots, self._party
        await slots._own.enter(party)
        if slots._shared is not None:
            try:
                await slots._shared.enter(party)
            except BaseException:
                slots._own.leave()
                raise
        self._taken_at = slots.clock.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._taken_at is not None:
            self._slots._leave(self._slots.clock.monotonic() - self._taken_at)
