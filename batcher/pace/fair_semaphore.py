"""A semaphore that is fair among parties: who is next in line, where several want what is scarce.

What holds here:

- A free place is given to the party of the highest priority, among equals to the oldest, and within a party to who has
  waited longest. Nobody gets in before them, not even in the moment in which a place falls free.
- Nobody starves. Every `EVERY`-th place goes to who has waited longest of all, whatever the priorities. When somebody
  joins, k others have waited longer, and nobody who comes later ever will have; each `EVERY`-th place takes one of
  those k, or the newcomer, out of the line. So it has its place after at most `EVERY` * (k + 1) are given.
- A party that is closed or held waits nowhere: all who wait for it are sent away at once, by `PartyClosed` or
  `PartyPaused`.
- A place that was given to somebody who was cancelled in that moment goes to the next.
"""

import asyncio
from collections import deque
from itertools import count

from batcher.errors import BatcherError

EVERY = 4  # places: one of so many goes to who has waited longest


class PartyClosed(BatcherError):
    """Nothing leaves any more, or not for this party."""


class PartyPaused(BatcherError):
    """Nothing leaves for this party for now: take back what is prepared, and come again when it is not held."""


class Party:
    """Those who stand in line together. *priority*: the higher, the sooner; *age*: the lower, the older."""

    __slots__ = ("_closing", "_opened", "_waiting", "age", "closed", "held", "priority")

    def __init__(self, *, priority: int = 0, age: float = 0.0) -> None:
        self.priority = priority
        self.age = age
        self.closed = False
        self.held: str | None = None  # why, until further notice
        self._waiting: dict[asyncio.Future[None], None] = {}  # in the order in which they came
        self._opened: list[asyncio.Future[None]] = []
        self._closing: list[asyncio.Future[None]] = []

    def check(self) -> None:
        """Raises `PartyClosed` or `PartyPaused`."""
        if self.closed:
            raise PartyClosed
        if self.held is not None:
            raise PartyPaused

    @property
    def free(self) -> bool:
        """Whether `check` would pass."""
        return not self.closed and self.held is None

    def close(self) -> None:
        """Nothing leaves for it any more."""
        self.closed = True
        self._send_away(PartyClosed)
        _let_on(self._opened)
        _let_on(self._closing)

    def hold(self, reason: str | None) -> None:
        """Nothing leaves for it until this is called with None."""
        self.held = reason
        if reason is None:
            _let_on(self._opened)
        else:
            self._send_away(PartyPaused)

    async def until_free(self) -> None:
        """Wait until it is not held. Raises `PartyClosed`."""
        while self.held is not None and not self.closed:
            turn = asyncio.get_running_loop().create_future()
            self._opened.append(turn)
            await turn
        if self.closed:
            raise PartyClosed

    async def until_closed(self, seconds: float) -> None:
        """Wait until it is closed, *seconds* at most."""
        if self.closed:
            return
        turn = asyncio.get_running_loop().create_future()
        self._closing.append(turn)
        try:
            async with asyncio.timeout(seconds):
                await turn
        except TimeoutError:
            self._closing.remove(turn)

    def _send_away(self, why: type[Exception]) -> None:
        waiting, self._waiting = self._waiting, {}
        for turn in waiting:
            if not turn.done():
                turn.set_exception(why())


def _let_on(waiting: list[asyncio.Future[None]]) -> None:
    for turn in waiting:
        if not turn.done():
            turn.set_result(None)
    waiting.clear()


class FairSemaphore:
    """Places for *size* at once; see the module. Growing takes effect at once, shrinking as places are left."""

    __slots__ = ("_given", "_inside", "_order", "_queues", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._inside = 0
        self._queues: dict[Party, deque[tuple[int, asyncio.Future[None]]]] = {}
        self._order = count()
        self._given = 0

    async def enter(self, party: Party) -> None:
        """Wait for a place, and have it. Raises `PartyClosed` and `PartyPaused`."""
        party.check()
        if self._inside < self.size and not self._queues:
            self._inside += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._queues.setdefault(party, deque()).append((next(self._order), turn))
        party._waiting[turn] = None
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.leave()  # it was given a place, for which there is someone else
            raise
        finally:
            party._waiting.pop(turn, None)

    def leave(self) -> None:
        """Give a place back."""
        self._inside -= 1
        self._admit()

    def resize(self, size: int) -> None:
        """So many places from now on."""
        self.size = size
        self._admit()

    def _admit(self) -> None:
        while self._inside < self.size and (party := self._next()) is not None:
            queue = self._queues[party]
            _, turn = queue.popleft()
            if not queue:
                del self._queues[party]
            self._inside += 1
            self._given += 1
            turn.set_result(None)

    def _next(self) -> Party | None:
        """Whose turn it is; those who left the line do not count."""
        if not self._queues:
            return None
        if len(self._queues) == 1:
            party, queue = next(iter(self._queues.items()))
            if not queue[0][1].done():
                return party
        for party, queue in list(self._queues.items()):
            while queue and queue[0][1].done():
                queue.popleft()
            if not queue:
                del self._queues[party]
        if len(self._queues) < 2:
            return next(iter(self._queues), None)
        if self._given % EVERY == EVERY - 1:
            return min(self._queues, key=lambda party: self._queues[party][0][0])
        return min(self._queues, key=lambda party: (-party.priority, party.age, self._queues[party][0][0]))
