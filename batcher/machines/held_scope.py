"""A scope of the cloud that this process holds by a lease: kept while it works there, and asked before each request.

Invariants:
- The lease is renewed four times in its length, by the thread that writes the journals: where that is stuck, it runs
  out.
- `check` says no unless the lease runs by a clock that counts suspension, and unless the intent is young. It is asked
  right before the bytes leave, and so a process that was frozen sends nothing once another may have the scope. Nor does
  it look anything up there, so that the pace of look-ups is kept over machines: `check_lease`.
- A lease that ran out is not lost: while nobody has taken the scope it is renewed, and the lane goes on. It is lost
  once somebody has taken it, which whoever records or renews is told.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from batcher.clock import Clock
from batcher.drs.cloud import HeldBack
from batcher.journal.errors import JournalFailed, LaneLost
from batcher.journal.postgres.leases import Lease
from batcher.logger import get_logger, scope_name

log = get_logger("batcher.machines")

LEAVE_S = 10.0
"""A request leaves at most so long after its intent was made, or not at all: less than a lease lasts."""

_RENEWALS = 4  # in the length of a lease


class ScopeLeases(Protocol):
    """The leases of one process on scopes; see `batcher.journal.postgres.leases.Leases`, which keeps them."""

    @property
    def lasts_s(self) -> float:
        """How long a lease lasts unless it is renewed, in seconds."""
        ...

    async def take(self, endpoint: str, project_id: str) -> Lease | None:
        """Take the scope where it is free, with a new epoch; None: it is not. Raises `JournalFailed`."""
        ...

    async def renew(self, lease: Lease) -> Lease:
        """The same lease from now on. Raises `LaneLost` where somebody has the scope, `JournalFailed`."""
        ...

    async def give_back(self, lease: Lease) -> None:
        """Let others have the scope from now on. Raises `JournalFailed`."""
        ...


class HeldScope:
    """The scope at *endpoint* with *project_id*, held with *epoch*; see `take`.

    *free_for_s* is for how long nobody had had it when it was taken, by the database's clock; None: nobody ever had.
    *taken_at* is when that was, monotonic.
    """

    def __init__(self, leases: ScopeLeases, lease: Lease, clock: Clock) -> None:
        self.endpoint, self.project_id = lease.endpoint, lease.project_id
        self.epoch = lease.epoch
        self.free_for_s = lease.free_for_s
        self.taken_at = clock.monotonic()
        self.name = scope_name(lease.endpoint, lease.project_id)
        self._leases = leases
        self._lease = lease
        self._clock = clock
        self._hurry = asyncio.Event()
        self._observers: list[Callable[[], None]] = []
        self.is_lost = False

    @classmethod
    async def take(cls, leases: ScopeLeases, endpoint: str, project_id: str, clock: Clock) -> "HeldScope | None":
        """Take the scope; None: somebody has it, or no wave of the database knows it. Raises `JournalFailed`."""
        lease = await leases.take(endpoint, project_id)
        return None if lease is None else cls(leases, lease, clock)

    @property
    def silent_for_s(self) -> float | None:
        """For how long nobody can have sent anything here but this process, in seconds; None: nobody ever did."""
        if self.free_for_s is None:
            return None
        return self.free_for_s + self._clock.monotonic() - self.taken_at

    @property
    def runs(self) -> bool:
        """Whether the lease may be relied on now."""
        return not self.is_lost and self._lease.runs_at(self._clock.boot())

    def check(self, intended_at: float) -> None:
        """Whether a request may leave now whose intent was made at *intended_at*, by the boot clock.

        Raises `HeldBack` where it may not.
        """
        self.check_lease()
        if self._clock.boot() - intended_at > LEAVE_S:
            raise HeldBack("it was intended too long ago")

    def check_lease(self) -> None:
        """Whether anything may leave now. Raises `HeldBack` where it may not."""
        if not self.runs:
            self._hurry.set()
            raise HeldBack("the lease on its scope is not to be relied on")

    def on_lost(self, observer: Callable[[], None]) -> None:
        """Call *observer* once the scope is somebody else's; now, where it is so."""
        self._observers.append(observer)
        if self.is_lost:
            observer()

    def lose(self) -> None:
        """The scope is somebody else's: whoever was told so says it here."""
        if not self.is_lost:
            log.warning("lease.lost", epoch=self.epoch)
            self.give_up()

    def give_up(self) -> None:
        """Send nothing more by the lease, which runs out by itself."""
        if not self.is_lost:
            self.is_lost = True
            for observer in tuple(self._observers):
                observer()

    async def keep(self) -> None:
        """Renew the lease until it is lost, or this is cancelled. A database that is away is waited for."""
        while not self.is_lost:
            self._hurry.clear()
            waiting = asyncio.ensure_future(self._hurry.wait())
            pause = asyncio.ensure_future(self._clock.sleep(self._leases.lasts_s / _RENEWALS))
            try:
                await asyncio.wait({waiting, pause}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()
                pause.cancel()
            await self._renew()

    async def _renew(self) -> None:
        try:
            self._lease = await self._leases.renew(self._lease)
        except LaneLost:
            self.lose()
        except JournalFailed as error:
            log.warning("lease.not_renewed", reason=error.reason)
            await self._clock.sleep(1.0)

    async def give_back(self) -> None:
        """Let others have the scope at once; nothing where it is lost. Raises `JournalFailed`."""
        if not self.is_lost:
            self.is_lost = True
            await self._leases.give_back(self._lease)
