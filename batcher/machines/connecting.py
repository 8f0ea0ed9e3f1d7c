"""Connecting to the database, for a process that is there for as long as anybody wants: one that is away is waited for.

What will not pass by itself (a role that does not exist, a password that is wrong, tables of another version) is told.
"""

import asyncio
from uuid import UUID

from batcher.clock import Clock
from batcher.journal.errors import JournalAway, JournalFailed, NotAJournal, unusable
from batcher.journal.postgres.address import Address
from batcher.journal.postgres.keeper import PostgresKeeper
from batcher.journal.postgres.link import Patience
from batcher.logger import get_logger

log = get_logger("batcher.machines")

_PAUSE_S = 1.0
_SAID_AGAIN_S = 300.0


async def reach(
    address: Address,
    ending: asyncio.Event,
    *,
    clock: Clock,
    program: str,
    identity: UUID | None = None,
    patience: Patience = Patience(),  # noqa: B008 - a value that never changes
) -> PostgresKeeper | None:
    """The keeper of the database at *address*, waited for; None: *ending* was set before it was there.

    Raises `UserError` where it answers, and says no.
    """
    began = said_at = None
    while not ending.is_set():
        try:
            keeper = await asyncio.to_thread(
                PostgresKeeper, address, patience=patience, identity=identity, program=program
            )
        except (NotAJournal, JournalFailed) as error:
            if not isinstance(error, JournalAway):
                raise unusable(error) from error
            now = clock.monotonic()
            began = now if began is None else began
            if said_at is None or now - said_at >= _SAID_AGAIN_S:
                log.warning("database.away", reason=error.reason)
                said_at = now
        else:
            if began is not None:
                log.info("database.back", away_s=round(clock.monotonic() - began, 1))
            return keeper
        await _pause(ending, clock)
    return None


async def _pause(ending: asyncio.Event, clock: Clock) -> None:
    pause, told = asyncio.create_task(clock.sleep(_PAUSE_S)), asyncio.create_task(ending.wait())
    try:
        await asyncio.wait({pause, told}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        pause.cancel()
        told.cancel()
