"""What a process has once, for all the scopes that it runs of a database that machines share."""

import random

from msgspec import Struct

from batcher.channel.connections import Connections
from batcher.clock import Clock
from batcher.journal.postgres.keeper import PostgresKeeper
from batcher.journal.postgres.leases import Leases
from batcher.wave.context import Boundary, unwatched


class Machine(Struct, frozen=True, kw_only=True):
    """*connections* are not private: the limits of a scope hold over all waves in it. *watch* is told each step of
    durability by name."""

    keeper: PostgresKeeper
    leases: Leases
    connections: Connections
    clock: Clock
    rng: random.Random
    watch: Boundary = unwatched
