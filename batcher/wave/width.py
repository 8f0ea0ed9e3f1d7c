"""How many requests of a scope may be in flight at once, and how many more may be getting ready.

A request leaves only once its intent is on disk. Were its place in flight taken before that, it would stand empty
meanwhile; so a few more than there are places make their intents ahead. As many as it takes to fill each place when
it falls free, and no more: what has an intent must be looked up after a crash.

    ahead = places * time an intent takes / time a place is held        (Little's law)

Both times are measured. Where answers take a second that is one; where they come at once, as many as there are places.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from math import ceil
from types import TracebackType
from typing import Self

from batcher.wave.clocks import Clock
from batcher.wave.pace import Closed

_NEWEST = 0.1  # weight of the newest measurement


class _Door:
    """Lets in as many as *most* allows at the moment; others wait, first come first served."""

    def __init__(self, most: Callable[[], int]) -> None:
        self._most = most
        self._inside = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self, is_shut: Callable[[], bool]) -> None:
        """Wait until there is room. Raises `Closed` where and once *is_shut*."""
        while not is_shut():
            if self._inside < self._most():
                self._inside += 1
                return
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self.wake()  # it may have been meant for someone who can take it
                raise
        self.wake()
        raise Closed

    def leave(self) -> None:
        """Make room."""
        self._inside -= 1
        self.wake()

    def wake(self) -> None:
        """Wake as many as there is room for; who comes too late waits again."""
        self._wake(self._most() - self._inside)

    def wake_all(self) -> None:
        """Have everybody look again."""
        self._wake(len(self._waiting))

    def _wake(self, count: int) -> None:
        while self._waiting and count > 0:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                count -= 1


class Width:
    """Places for *size* requests. Growing takes effect at once, shrinking as requests end."""

    def __init__(self, size: int, clock: Clock) -> None:
        self.size = size
        self.clock = clock
        self.intent_s = Smoothed()
        self.held_s = Smoothed()
        self.is_closed = False
        self.places = _Door(lambda: self.size)
        self.approach = _Door(lambda: self.size + self.ahead)

    @property
    def ahead(self) -> int:
        """How many may be getting ready without a place."""
        if not self.held_s.value:
            return 0
        return min(self.size, ceil(self.size * self.intent_s.value / self.held_s.value))

    def resize(self, size: int) -> None:
        """Let *size* requests be in flight."""
        self.size = size
        self.places.wake()
        self.approach.wake()

    def close(self) -> None:
        """Nothing is sent any more: who waits to send gets `Closed`, at once. Look-ups go on."""
        self.is_closed = True
        self.places.wake_all()
        self.approach.wake_all()

    def place(self) -> "Place":
        """For a look-up."""
        return Place(self)

    def berth(self) -> "Berth":
        """For a request that is to be sent."""
        return Berth(self)


class Place:
    """A context to enter; inside, `take` waits for the place, and leaving gives it back."""

    __slots__ = ("_taken_at", "_width")

    def __init__(self, width: Width) -> None:
        self._width = width
        self._taken_at: float | None = None

    async def __aenter__(self) -> Self:
        return self

    async def take(self) -> None:
        """Wait for a place, and have it."""
        await self._width.places.enter(self._is_shut)
        self._taken_at = self._width.clock.monotonic()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._taken_at is not None:
            self._width.held_s.add(self._width.clock.monotonic() - self._taken_at)
            self._width.places.leave()

    def _is_shut(self) -> bool:
        return False


class Berth(Place):
    """A place that an intent is needed for: entering waits until that may be made; then make it durable,
    and take the place. Entering and taking raise `Closed` once the width is closed."""

    __slots__ = ("_began",)

    def __init__(self, width: Width) -> None:
        super().__init__(width)
        self._began = 0.0

    async def __aenter__(self) -> Self:
        await self._width.approach.enter(self._is_shut)
        return self

    def begins(self) -> None:
        """The intent is being made durable."""
        self._began = self._width.clock.monotonic()

    async def take(self) -> None:
        """The intent is durable: wait for a place, and have it."""
        self._width.intent_s.add(self._width.clock.monotonic() - self._began)
        await super().take()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await super().__aexit__(kind, error, trace)
        self._width.approach.leave()

    def _is_shut(self) -> bool:
        return self._width.is_closed


class Smoothed:
    """A quantity as it was of late; 0 until there is a first measurement."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def add(self, measured: float) -> None:
        """Take in a measurement."""
        self.value += (measured - self.value) * (_NEWEST if self.value else 1.0)
