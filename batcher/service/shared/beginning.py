"""A service over a database, put together: the database is waited for, and looked at before anybody is served."""

import asyncio
from contextlib import AsyncExitStack

from batcher.clock import Clock
from batcher.journal.errors import JournalFailed
from batcher.journal.postgres.address import Address
from batcher.logger import get_logger
from batcher.machines.connecting import reach
from batcher.machines.working import name_of_process
from batcher.service.given import ServedProfiles
from batcher.service.meters import Meters
from batcher.service.notices.desk import Desk
from batcher.service.shared.backend import SharedBackend
from batcher.service.shared.database import SharedServiceDatabase
from batcher.service.shared.mirror import mirror_folder

log = get_logger("batcher.service")


async def shared_backend(
    address: Address,
    service: ServedProfiles,
    stack: AsyncExitStack,
    ending: asyncio.Event,
    clock: Clock,
    meters: Meters,
    desk: Desk,
    *,
    workers: int,
) -> SharedBackend | None:
    """The backend over the database at *address*, which is waited for; None: *ending* was set before it was there.
    *desk* tells others of what happens.

    What it takes is let go of with *stack*. Raises `UserError` where the database says no.
    """
    name = name_of_process()
    while (keeper := await reach(address, ending, clock=clock, program=f"batcher/{name} (begins)")) is not None:
        await asyncio.to_thread(keeper.close)
        try:
            database = await asyncio.to_thread(SharedServiceDatabase, address, clock, name=name)
        except JournalFailed:  # it went away in between
            continue
        data = stack.enter_context(mirror_folder(address))
        return SharedBackend(database, data, service, clock, meters, desk, name=name, workers=workers)
    return None
