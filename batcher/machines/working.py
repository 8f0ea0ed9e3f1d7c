"""`batcher worker`, put together: the database, the ways, the worker, what hears invitations."""

import asyncio
import os
import random
import secrets
import socket

from msgspec import Struct

from batcher.clock import SystemClock
from batcher.journal.postgres.address import Address
from batcher.journal.postgres.keeper import PostgresKeeper
from batcher.journal.postgres.leases import LASTS_S, Leases
from batcher.journal.postgres.link import Patience
from batcher.logger import get_logger
from batcher.machines.connecting import reach
from batcher.machines.held_scope import HeldScope
from batcher.machines.invitations import Invitations
from batcher.machines.look import WorkerCard
from batcher.machines.machine import Machine
from batcher.machines.scope_run import ScopeEnd, run_scope
from batcher.machines.sweep import ScopeFilter, every_s
from batcher.machines.ways import Way, Ways
from batcher.machines.worker import Worker, WorkerEnding, WorkerTerms
from batcher.settings import Loaded
from batcher.wave.context import Boundary, unwatched

log = get_logger("batcher.machines")


class WorkerOptions(Struct, frozen=True, kw_only=True):
    """What a worker of this machine is told. *profiles* are names and settings, one at least; *lease_s* is how long a
    lease lasts, in seconds; *patience*, how long its database is waited for."""

    address: Address
    profiles: tuple[tuple[str | None, Loaded], ...]
    lanes: int = 4
    wanted: ScopeFilter = ScopeFilter()
    lease_s: float = LASTS_S
    patience: Patience = Patience()


def name_of_process() -> str:
    """What this process is known by in a database: no other has the same, not even a later one of the same number."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"


async def work(options: WorkerOptions, ending: WorkerEnding, *, watch: Boundary = unwatched) -> None:
    """Work until *ending* is told; *watch* is told each step of durability. Raises `UserError`, and defects."""
    clock, rng = SystemClock(), random.Random()
    name = name_of_process()
    async with Ways(options.profiles, clock=clock, rng=rng) as ways:
        keeper = await reach(
            options.address, ending.told, clock=clock, program=f"batcher/{name}", patience=options.patience
        )
        if keeper is None:
            return
        try:
            log.info("worker.ready", name=name, database=str(options.address), lanes=options.lanes)
            await _worker(options, keeper, ways, name, watch).run(ending)
        finally:
            await keeper.aclose()


def _worker(options: WorkerOptions, keeper: PostgresKeeper, ways: Ways, name: str, watch: Boundary) -> Worker:
    clock, rng = ways.clock, ways.rng
    settings = options.profiles[0][1].settings
    leases = Leases(keeper, name, clock.boot, lasts_s=options.lease_s)

    async def run(held: HeldScope, way: Way, hand_on: asyncio.Event) -> ScopeEnd:
        machine = Machine(keeper=keeper, leases=leases, connections=way.connections, clock=clock, rng=rng, watch=watch)
        return await run_scope(held, machine, hand_on)

    return Worker(
        keeper=keeper,
        leases=leases,
        card=WorkerCard(keeper.link, name=name, host=socket.gethostname(), pid=os.getpid(), lanes=options.lanes),
        ways=ways,
        run_scope=run,
        terms=WorkerTerms(
            lanes=options.lanes, wanted=options.wanted, every_s=every_s(options.lease_s), grace_s=settings.grace
        ),
        clock=clock,
        rng=rng,
        hearing=lambda heard: Invitations(options.address, program=f"batcher/{name}", clock=clock, heard=heard),
    )
