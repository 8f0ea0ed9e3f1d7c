"""The worker that `batcher run` has for its own wave in a shared database, for as long as it is there."""

import asyncio
import os
import random
import socket
from collections.abc import Callable, Iterator

from batcher.clock import Clock
from batcher.journal.postgres.keeper import PostgresKeeper
from batcher.journal.postgres.leases import Leases
from batcher.machines.held_scope import HeldScope
from batcher.machines.look import WorkerCard
from batcher.machines.machine import Machine
from batcher.machines.scope_run import ScopeEnd, run_scope
from batcher.machines.sweep import Named, every_s
from batcher.machines.wave_part import WavePart
from batcher.machines.ways import Way, Ways
from batcher.machines.worker import Worker, WorkerEnding, WorkerTerms
from batcher.wave.context import Boundary


class OwnWorker:
    """The worker of this process that others know as *name*, for the *wave* with that id alone, which has so many
    *scopes*. It works from `start` to `aclose`, which hands on what it has. *on_end* is told when a scope was run.

    *keeper* is its own, and let go of with it.
    """

    def __init__(
        self,
        keeper: PostgresKeeper,
        name: str,
        wave: str,
        scopes: int,
        ways: Ways,
        *,
        clock: Clock,
        rng: random.Random,
        watch: Boundary,
        lease_s: float,
        on_end: Callable[[], None],
    ) -> None:
        self._keeper = keeper
        self._clock, self._rng, self._watch = clock, rng, watch
        self._on_end = on_end
        self._ending = WorkerEnding()
        self._machines: list[Machine] = []
        self._task: asyncio.Task[None] | None = None
        self.unrecorded: list[str] = []  # what the cloud told and the journal could not take
        lanes = max(1, scopes)
        self._leases = Leases(keeper, name, clock.boot, lasts_s=lease_s)
        self._worker = Worker(
            keeper=keeper,
            leases=self._leases,
            card=WorkerCard(keeper.link, name=name, host=socket.gethostname(), pid=os.getpid(), lanes=lanes),
            ways=ways,
            run_scope=self._run,
            terms=WorkerTerms(lanes=lanes, wave=wave, every_s=every_s(lease_s)),
            clock=clock,
            rng=rng,
        )

    async def _run(self, held: HeldScope, way: Way, hand_on: asyncio.Event) -> ScopeEnd:
        machine = Machine(
            keeper=self._keeper,
            leases=self._leases,
            connections=way.connections,
            clock=self._clock,
            rng=self._rng,
            watch=self._watch,
        )
        self._machines.append(machine)
        try:
            end = await run_scope(held, machine, hand_on)
        finally:
            self._machines.remove(machine)
            self._on_end()
        self.unrecorded += end.unrecorded
        return end

    def start(self) -> None:
        """Work from now on."""
        self._task = asyncio.create_task(self._worker.run(self._ending), name="worker")
        self._task.add_done_callback(lambda _: self._on_end())

    def check(self) -> None:
        """See that the worker is at work. Raises the defect by which it ended."""
        if self._task is not None and self._task.done():
            self._task.result()

    def tell(self) -> None:
        """Have the worker end in order; told again, at once."""
        self._ending.tell()

    def leave(self) -> None:
        """Have the worker leave at once: what is in flight is looked up by whoever has the scope next."""
        if self._task is not None:
            self._task.cancel()

    async def aclose(self) -> None:
        """Have the worker hand on what it has, and wait for that; cancelled, it leaves at once.

        Raises the defect by which it ended.
        """
        task, self._task = self._task, None
        try:
            if task is not None:
                if not self._ending.told.is_set():
                    self._ending.tell()
                try:
                    await asyncio.wait({task})
                except asyncio.CancelledError:
                    task.cancel()
                    await asyncio.wait({task})
                    raise
                if not task.cancelled():
                    task.result()
        finally:
            await self._keeper.aclose()

    @property
    def cannot(self) -> dict[Named, str]:
        """The scopes that it cannot take, each with why."""
        return self._worker.cannot

    @property
    def is_idle(self) -> bool:
        """Whether the worker runs no scope."""
        return not self._machines

    def parts_of(self, wave: int) -> Iterator[WavePart]:
        """The parts that it runs of the wave with that number."""
        for machine in self._machines:
            yield from (part for part in machine.parts if part.work.number == wave)
