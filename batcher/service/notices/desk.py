"""Where the service's notifications come together: noted in the transaction that they tell of, then taken out."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from batcher.clock import Clock
from batcher.drs.cloud import Transport
from batcher.notify.standard import body_of, new_id
from batcher.service.kept.register import WaveRow
from batcher.service.notices.courier import Courier, Outbox
from batcher.service.notices.occasions import data_of, occasions, sentence
from batcher.service.notices.outbox import Notice
from batcher.service.notices.targets import Target


class Desk:
    """Tells *targets* of what happens to waves."""

    def __init__(self, targets: Sequence[Target], clock: Clock) -> None:
        self.targets = targets
        self._clock = clock
        self._courier: Courier | None = None

    def notices(self, before: WaveRow | None, after: WaveRow) -> list[Notice]:
        """What is to be told of this change; see `Teller`."""
        now = self._clock.now()
        return [
            Notice(
                id=new_id(),
                event=event,
                text=sentence(event, after),
                body=body_of(event, data_of(after), now),
                made_at=now,
            )
            for event in occasions(before, after)
        ]

    def wake(self) -> None:
        """Something may have been noted, and is on disk."""
        if self._courier is not None:
            self._courier.wake()

    @asynccontextmanager
    async def open(self, box: Outbox, transport: Transport) -> AsyncIterator[None]:
        """Deliver while the context lasts; what is not delivered by then is, after the next start."""
        self._courier = Courier(box, self.targets, transport, self._clock)
        task = asyncio.create_task(self._courier.run(), name="courier")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
