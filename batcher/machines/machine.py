"""What a process has once, for all the scopes that it runs of a database that machines share."""

import random
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct, field

from batcher.channel.connections import Connections
from batcher.clock import Clock
from batcher.journal.port import SharedJournal
from batcher.journal.postgres.orders import Orders
from batcher.journal.postgres.work import WaveWork
from batcher.machines.held_scope import ScopeLeases
from batcher.machines.kept_verdicts import VerdictKeeper
from batcher.wave.context import Boundary, unwatched

if TYPE_CHECKING:
    from batcher.machines.wave_part import WavePart


class SharedKeeper(VerdictKeeper, Protocol):
    """What a run of a scope asks of whoever keeps the database that machines share.

    All are awaited, as the database may be away, and raise `JournalFailed`.
    """

    async def journal_of(self, wave: str) -> SharedJournal:
        """The record of the *wave* with that id. Raises `JournalAbsent`."""
        ...

    async def work_in(self, endpoint: str, project_id: str) -> list[WaveWork]:
        """The planned waves that have something left to do in that scope, the most urgent first."""
        ...

    async def orders(self, wave: int, place: int | None) -> Orders:
        """The orders for the wave with that number, in the scope that the database numbers *place*."""
        ...


class Machine(Struct, frozen=True, kw_only=True):
    """*connections* are not private: the limits of a scope hold over all waves in it. *watch* is told each step of
    durability by name. *parts* are those of waves that are run at this moment."""

    keeper: SharedKeeper
    leases: ScopeLeases
    connections: Connections
    clock: Clock
    rng: random.Random
    watch: Boundary = unwatched
    parts: "list[WavePart]" = field(default_factory=list)
