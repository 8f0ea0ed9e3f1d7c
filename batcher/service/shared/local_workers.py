"""The workers that a service runs itself, beside those of other machines: each as `batcher worker` is."""

import asyncio
from collections.abc import Sequence

from batcher.clock import Clock
from batcher.errors import UserError
from batcher.journal.postgres.address import Address
from batcher.logger import get_logger
from batcher.machines.worker import WorkerEnding
from batcher.machines.working import WorkerOptions, work
from batcher.service.given import ServedProfiles

log = get_logger("batcher.service")

_AGAIN_S = 30.0


class LocalWorkers:
    """*count* workers in this process, over the database at *address*, with the service's own profiles."""

    def __init__(self, count: int, service: ServedProfiles, address: Address, clock: Clock) -> None:
        self._count = count
        self._service = service
        self._address = address
        self._clock = clock
        self._tasks: list[asyncio.Task[None]] = []
        self._endings: list[WorkerEnding] = []

    def begin(self) -> None:
        """Have them work. Raises `SettingsError`."""
        names: Sequence[str | None] = self._service.profiles or (None,)
        profiles = tuple((name, self._service.load(name, {})) for name in names)
        for number in range(self._count):
            ending = WorkerEnding()
            options = WorkerOptions(address=self._address, profiles=profiles)
            self._endings.append(ending)
            self._tasks.append(asyncio.create_task(self._work(options, ending), name=f"worker-{number}"))

    async def _work(self, options: WorkerOptions, ending: WorkerEnding) -> None:
        while not ending.told.is_set():
            try:
                await work(options, ending)
            except UserError as error:
                log.error("service.worker_refused", error=error.message)
            except Exception as error:  # a defect: the API goes on, and so does the next worker
                log.error("service.worker_failed", exc_info=error)
            else:
                return
            pause = asyncio.create_task(self._clock.sleep(_AGAIN_S))
            told = asyncio.create_task(ending.told.wait())
            await asyncio.wait({pause, told}, return_when=asyncio.FIRST_COMPLETED)
            pause.cancel()
            told.cancel()

    def hurry(self) -> None:
        """Leave at once: what is in flight is looked up by whoever takes the scope next."""
        for ending in self._endings:
            ending.tell()
            ending.tell()

    async def end(self, grace_s: float) -> None:
        """Have them hand their scopes on, within *grace_s*."""
        for ending in self._endings:
            if not ending.told.is_set():
                ending.tell()
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=grace_s)
        if late:
            self.hurry()
            _, late = await asyncio.wait(late, timeout=_LEAVES_S)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)


_LEAVES_S = 3.0
