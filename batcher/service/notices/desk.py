"""Where the service's notifications come together: noted in the transaction that they tell of, then taken out."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

from batcher.clock import Clock
from batcher.drs.cloud import Transport
from batcher.notify.standard import body_of, new_id
from batcher.service.kept.register import WaveRow
from batcher.service.notices import outbox
from batcher.service.notices.courier import Courier, OutboxDatabase
from batcher.service.notices.occasions import data_of, occasions, sentence
from batcher.service.notices.targets import Target


class Desk:
    """Tells *targets* of what happens to waves."""

    def __init__(self, targets: Sequence[Target], clock: Clock) -> None:
        self.targets = targets
        self._clock = clock
        self._courier: Courier | None = None

    def note(self, db: sqlite3.Connection, before: WaveRow | None, after: WaveRow) -> None:
        """Put what is to be told of this change into the outbox, in the transaction that makes it."""
        for event in occasions(before, after):
            now = self._clock.now()
            outbox.put(
                db,
                self.targets,
                id=new_id(),
                event=event,
                text=sentence(event, after),
                body=body_of(event, data_of(after), now),
                now=now,
            )

    def wake(self) -> None:
        """Something may have been noted, and is on disk."""
        if self._courier is not None:
            self._courier.wake()

    @asynccontextmanager
    async def open(self, database: OutboxDatabase, transport: Transport) -> AsyncIterator[None]:
        """Deliver while the context lasts; what is not delivered by then is, after the next start."""
        self._courier = Courier(database, self.targets, transport, self._clock)
        task = asyncio.create_task(self._courier.run(), name="courier")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def counts(self, database: OutboxDatabase) -> Mapping[tuple[str, str], int]:
        """How many messages there are, by target and state."""
        return await database.read(outbox.counts)
