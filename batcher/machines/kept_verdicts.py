"""Verdicts on their way into the database that machines share: by the lease on their scope, many at a time where they
come so."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Protocol

from msgspec import Struct

from batcher.clock import Clock
from batcher.follow.new_verdict import NewVerdict
from batcher.journal.errors import JournalFailed, LaneLost
from batcher.journal.port import MOST_BYTES
from batcher.journal.postgres.verdicts import KeptVerdict
from batcher.life.entry import Scope
from batcher.machines.held_scope import HeldScope

_GATHER_S = 0.1  # those are written together that come so close upon each other
_MOST = 200  # in a statement: while it runs whoever takes the scope over has to wait


class FollowedPart(Struct, frozen=True):
    """The part of the *wave* with that number that lies in *scope*, which the database numbers *place*."""

    wave: int
    scope: Scope
    place: int


class VerdictKeeper(Protocol):
    """Whoever keeps the verdicts of a database that machines share. Raises `JournalFailed`."""

    async def record_verdicts(self, wave: int, verdicts: Sequence[KeptVerdict], place: int, epoch: int) -> None:
        """Make *verdicts* on entries of the wave with that number durable, by the lease with that *epoch* on the scope
        with the number *place*; one that is there stays as it is. Raises `LaneLost`."""
        ...

    async def undecided(self, wave: int, place: int, after: int, limit: int) -> list[tuple[int, bytes]]:
        """The next result lines there without a verdict, behind number *after*, each with its number."""
        ...


class KeptVerdicts:
    """The verdicts on *part*, whose scope is *held*, as a `VerdictSink`. *on_failure* is told that none can be written
    any more; what was not written is found again by whoever has the scope next."""

    def __init__(
        self,
        keeper: VerdictKeeper,
        held: HeldScope,
        part: FollowedPart,
        clock: Clock,
        on_failure: Callable[[JournalFailed], None],
    ) -> None:
        self._keeper, self._held, self._part, self._clock = keeper, held, part, clock
        self._on_failure = on_failure
        self._pending: list[KeptVerdict] = []
        self._changed = asyncio.Event()
        self._complete = False

    def write(self, *lines: NewVerdict) -> None:
        """Have *lines* written soon."""
        self._pending += [KeptVerdict(line.index, line.verdict.value, line.to_line()) for line in lines]
        self._changed.set()

    def complete(self) -> None:
        """No more come: `run` ends with the last."""
        self._complete = True
        self._changed.set()

    async def run(self) -> None:
        """Write them until there are no more, the scope is lost, or the database fails."""
        part = self._part
        while not (self._complete and not self._pending):
            if not self._pending:
                await self._changed.wait()
                self._changed.clear()
                continue
            if not self._complete:
                await self._clock.sleep(_GATHER_S)
            batch = self._next()
            try:
                await self._keeper.record_verdicts(part.wave, batch, part.place, self._held.epoch)
            except LaneLost:
                self._held.lose()
                return
            except JournalFailed as error:
                self._on_failure(error)
                return
            del self._pending[: len(batch)]

    def _next(self) -> list[KeptVerdict]:
        sizes = accumulate(len(one.line) for one in self._pending[:_MOST])
        return self._pending[: max(1, sum(size <= MOST_BYTES for size in sizes))]
