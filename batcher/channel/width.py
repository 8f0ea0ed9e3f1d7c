"""How many requests of a scope may be in flight at once, and how many workers it takes to keep those places filled.

A request leaves only once its intent is on disk, and its worker goes on only once its outcome is. Meanwhile it holds no
place. So there are more workers than places: as many as it takes to fill each place when it falls free, and no more, as
whatever has an intent must be looked up after a crash.

    ahead = places * time an intent takes / time a place is held        (Little's law)

Both times are measured; outcomes take as long as intents. Where answers take a second, one is ahead; where they come at
once, two for each place.
"""

import asyncio
from collections import deque
from math import ceil
from types import TracebackType
from typing import Self

from batcher.clock import Clock
from batcher.pace.pacer import Closed

_NEWEST = 0.1  # weight of the newest measurement
_MOST_AHEAD = 2  # for each place


class Width:
    """Places for *size* requests, first come first served. Growing takes effect at once, shrinking as requests end."""

    def __init__(self, size: int, clock: Clock) -> None:
        self.size = size
        self.clock = clock
        self._inside = 0
        self._waiting: deque[tuple[asyncio.Future[None], bool]] = deque()  # and whether it wants to send
        self._intent_s = 0.0  # smoothed; 0 until there is a first measurement
        self._held_s = 0.0
        self._closed = False

    @property
    def ahead(self) -> int:
        """How many requests may be ready without a place."""
        if not self._held_s:
            return 0
        return ceil(self.size * min(self._intent_s / self._held_s, _MOST_AHEAD))

    @property
    def workers(self) -> int:
        """How many workers keep the places filled: some make intents durable, and as many outcomes."""
        return self.size + 2 * self.ahead

    def resize(self, size: int) -> None:
        """Let *size* requests be in flight."""
        self.size = size
        self._admit()

    def close(self) -> None:
        """Nothing is sent any more: who waits for a berth gets `Closed`, at once. Look-ups go on."""
        self._closed = True
        waiting, self._waiting = self._waiting, deque()
        for turn, sends in waiting:
            if not sends:
                self._waiting.append((turn, sends))
            elif not turn.done():
                turn.set_exception(Closed())

    def place(self) -> "Place":
        """For a look-up."""
        return Place(self)

    def berth(self) -> "Berth":
        """For a request that is to be sent."""
        return Berth(self)

    def intended(self, seconds: float) -> None:
        """Learn that making an intent durable took so long."""
        self._intent_s += (seconds - self._intent_s) * (_NEWEST if self._intent_s else 1.0)

    async def _enter(self, *, sends: bool) -> None:
        if sends and self._closed:
            raise Closed
        if self._inside < self.size and not self._waiting:
            self._inside += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, sends))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._inside -= 1  # it was given a place, for which there is someone else
                self._admit()
            raise

    def _leave(self, held_s: float) -> None:
        self._held_s += (held_s - self._held_s) * (_NEWEST if self._held_s else 1.0)
        self._inside -= 1
        self._admit()

    def _admit(self) -> None:
        """Give what is free to those who have waited longest."""
        while self._waiting and self._inside < self.size:
            turn, _ = self._waiting.popleft()
            if not turn.done():
                self._inside += 1
                turn.set_result(None)


class Place:
    """A context to enter; inside, `take` waits for the place, and leaving gives it back."""

    __slots__ = ("_taken_at", "_width")
    _sends = False

    def __init__(self, width: Width) -> None:
        self._width = width
        self._taken_at: float | None = None

    async def __aenter__(self) -> Self:
        return self

    async def take(self) -> None:
        """Wait for a place, and have it."""
        await self._width._enter(sends=self._sends)
        self._taken_at = self._width.clock.monotonic()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._taken_at is not None:
            self._width._leave(self._width.clock.monotonic() - self._taken_at)


class Berth(Place):
    """The place of a request that is to be sent. `take` raises `Closed` once the width is closed."""

    __slots__ = ()
    _sends = True
