"""What a process has once, for all the scopes that it runs of a database that machines share."""

import random
from typing import TYPE_CHECKING

from msgspec import Struct, field

from batcher.channel.connections import Connections
from batcher.clock import Clock
from batcher.journal.postgres.keeper import PostgresKeeper
from batcher.journal.postgres.leases import Leases
from batcher.wave.context import Boundary, unwatched

if TYPE_CHECKING:
    from batcher.machines.wave_part import WavePart


class Machine(Struct, frozen=True, kw_only=True):
    """*connections* are not private: the limits of a scope hold over all waves in it. *watch* is told each step of
    durability by name. *parts* are those of waves that are run at this moment."""

    keeper: PostgresKeeper
    leases: Leases
    connections: Connections
    clock: Clock
    rng: random.Random
    watch: Boundary = unwatched
    parts: "list[WavePart]" = field(default_factory=list)
