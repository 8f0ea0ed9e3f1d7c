"""Leases on scopes: which process of which machine may send for an endpoint and project, and until when.

Invariants:
- A scope has one holder. Each time it is taken its epoch grows, by which journals are bound (`SharedJournal.of`): what
  an earlier holder still writes is refused, whatever it believes.
- Whether a lease is over is told by the database's clock alone, the one that machines share. Its holder knows an end of
  its own, by a clock that goes on while the machine is suspended, counted from before it asked: never later than the
  database's, but for how far two clocks drift apart in that time.
- Taking, renewing and giving back go through the thread that writes the holder's journals: where that is stuck, the
  lease runs out, and somebody else goes on.
- A lease that has run out can still be renewed while nobody has taken the scope: a database that was away costs no
  take-over.
"""

from collections.abc import Callable
from typing import TypeVar

from msgspec import Struct

from batcher.journal.errors import LaneLost
from batcher.journal.postgres.failover import notice_failover
from batcher.journal.postgres.keeper import PostgresKeeper
from batcher.journal.postgres.link import Row

T = TypeVar("T")

LASTS_S = 15.0
"""How long a lease lasts unless it is renewed, in seconds."""

_DRIFT = 0.02  # of a lease's length, by which two clocks may come apart in it
_MARGIN_S = 1.0  # before its end, from which on it is not relied on


class Lease(Struct, frozen=True, kw_only=True):
    """The right to send for a scope, at *endpoint* with *project_id*.

    *epoch* is its number. *ends_at* is when it is not to be relied on any more, on the holder's boot clock.
    *free_for_s* is for how long nobody had had the scope, as seen by the database; None: nobody ever had.
    """

    endpoint: str
    project_id: str
    epoch: int
    ends_at: float
    free_for_s: float | None = None

    def runs_at(self, boot: float) -> bool:
        """Whether the lease may be relied on at that time of the boot clock; asked right before a request leaves."""
        return boot < self.ends_at


class Holding(Struct, frozen=True, kw_only=True):
    """Who has a scope: *owner*, None where nobody has; *left_s* is what is left of the lease, in seconds, negative
    where it has run out."""

    endpoint: str
    project_id: str
    epoch: int
    owner: str | None
    left_s: float | None


class Leases:
    """The leases of the process named *owner* on scopes of *keeper*'s database.

    *owner* is for people and tells processes apart: no two may have the same. *boot* is the machine's clock that counts
    on while it is suspended (CLOCK_BOOTTIME), in seconds.
    """

    def __init__(
        self, keeper: PostgresKeeper, owner: str, boot: Callable[[], float], *, lasts_s: float = LASTS_S
    ) -> None:
        """*lasts_s* is from 5 to 60."""
        self._keeper = keeper
        self.owner = owner
        self._boot = boot
        self.lasts_s = lasts_s

    async def take(self, endpoint: str, project_id: str) -> Lease | None:
        """Take the scope where it is free, with a new epoch; None: somebody has it, or no wave knows it.

        What its holder is writing at this moment is waited for. Raises `JournalFailed`.
        """
        await self._notice_failover()
        asked_at = self._boot()
        # Where it is ours already, an earlier try was done whose answer was lost: taking it again only costs an epoch.
        row = await self._asked(
            "UPDATE scopes SET epoch = epoch + 1, owner = %s, free_since = coalesce(lease_until, free_since), "
            "lease_until = clock_timestamp() + make_interval(secs => %s) "
            "WHERE endpoint = %s AND project_id = %s "
            "AND (lease_until IS NULL OR lease_until <= clock_timestamp() OR owner = %s) "
            "RETURNING epoch, extract(epoch FROM clock_timestamp() - free_since)::float8",
            (self.owner, self.lasts_s, endpoint, project_id, self.owner),
        )
        if row is None:
            return None
        epoch, free_for_s = row
        return Lease(
            endpoint=endpoint,
            project_id=project_id,
            epoch=epoch,
            ends_at=self._end(asked_at),
            free_for_s=None if free_for_s is None else max(free_for_s, 0.0),
        )

    async def renew(self, lease: Lease) -> Lease:
        """The same lease from now on. Raises `LaneLost` where somebody has taken the scope over, `JournalFailed`."""
        asked_at = self._boot()
        row = await self._asked(
            "UPDATE scopes SET owner = %s, lease_until = clock_timestamp() + make_interval(secs => %s) "
            "WHERE endpoint = %s AND project_id = %s AND epoch = %s RETURNING epoch",
            (self.owner, self.lasts_s, lease.endpoint, lease.project_id, lease.epoch),
        )
        if row is None:
            raise LaneLost(f"project {lease.project_id} at {lease.endpoint}: another process has taken it over")
        return Lease(
            endpoint=lease.endpoint,
            project_id=lease.project_id,
            epoch=lease.epoch,
            ends_at=self._end(asked_at),
            free_for_s=lease.free_for_s,
        )

    async def give_back(self, lease: Lease) -> None:
        """Let others have the scope from now on; nothing where somebody has it already. Raises `JournalFailed`.

        What is handed to this holder's journals from now on is refused.
        """
        await self._asked(
            "UPDATE scopes SET epoch = epoch + 1, owner = NULL, lease_until = NULL, free_since = clock_timestamp() "
            "WHERE endpoint = %s AND project_id = %s AND epoch = %s RETURNING epoch",
            (lease.endpoint, lease.project_id, lease.epoch),
        )

    def look(self) -> list[Holding]:
        """Who has which scope of the database. Raises `JournalFailed`."""
        rows = self._keeper.link.rows(
            "SELECT endpoint, project_id, epoch, owner, extract(epoch FROM lease_until - clock_timestamp())::float8 "
            "FROM scopes ORDER BY endpoint, project_id"
        )
        return [
            Holding(endpoint=endpoint, project_id=project_id, epoch=epoch, owner=owner, left_s=left_s)
            for endpoint, project_id, epoch, owner, left_s in rows
        ]

    async def _notice_failover(self) -> None:
        """Notice that the database goes on elsewhere than a wave was planned, before any of it is run."""
        link = self._keeper.link
        if (cluster := link.cluster) is not None:
            asked = self._keeper.group().ask(lambda: link.do(lambda c: notice_failover(c, cluster), writing=True))
            link.tell_failover(await asked)  # type: ignore[arg-type]

    async def _asked(self, sql: str, values: tuple[object, ...]) -> Row | None:
        """The row that answers *sql*, in the turn of what this process writes."""
        link = self._keeper.link
        answer = self._keeper.group().ask(lambda: link.do(lambda c: c.execute(sql, values).fetchone(), writing=True))
        return await answer  # type: ignore[return-value]

    def _end(self, asked_at: float) -> float:
        return asked_at + self.lasts_s * (1 - _DRIFT) - _MARGIN_S
