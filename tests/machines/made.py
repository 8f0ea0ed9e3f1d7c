"""Machines in one process: each with a keeper of its own on one database, a way of its own to one simulated cloud."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from msgspec.structs import replace

from batcher.channel.connections import Connections
from batcher.clock import SystemClock
from batcher.drs.auth.sources import CredentialSources
from batcher.journal.postgres.address import Address
from batcher.journal.postgres.keeper import PostgresKeeper
from batcher.journal.postgres.leases import Leases
from batcher.journal.postgres.link import Patience
from batcher.life.entry import Scope
from batcher.machines.held_scope import HeldScope
from batcher.machines.machine import Machine
from batcher.machines.scope_run import ScopeEnd, run_scope
from batcher.settings import RunSettings
from batcher.simulator.ledger import Effect, RequestSeen
from batcher.simulator.server import Simulator
from batcher.wave.context import Boundary, unwatched
from tests.journal.made import plan
from tests.wave.made import entry

PROJECT = "project-a"


class PostgresMachine(Machine, frozen=True, kw_only=True):
    """A machine of which tests see more: that its database is PostgreSQL."""

    keeper: PostgresKeeper
    leases: Leases


class SuspendedClock(SystemClock):
    """The clock of a machine that is suspended at times, for a test's purposes: only its boot clock tells."""

    suspended_s = 0.0

    def boot(self) -> float:
        """Seconds since its start, suspended or not."""
        return super().boot() + self.suspended_s


def settings(simulator: Simulator, **more: Any) -> RunSettings:
    """Of a wave, in haste."""
    return RunSettings(
        **{"endpoint": simulator.url, "project_id": PROJECT, "landing_time": 0.5, "rate": "100/s", "concurrency": 8}
        | more
    )


def planned(keeper: PostgresKeeper, wave: str, simulator: Simulator, jobs: Iterable[int], **more: Any) -> None:
    """A wave of that id, with an entry for each of *jobs*."""
    scope = Scope(0, simulator.url, PROJECT)
    entries = [replace(entry(index, job=f"job-{job}", halves="object"), scope=scope) for index, job in enumerate(jobs)]
    said = settings(simulator, **more).model_dump(mode="json", exclude={"proxy", "digest", "restart", "retry_failed"})
    facts = {"digest": "sha256:0", "begun_at": "2026-09-21T12:00:00+00:00", "settings": said}
    plan(keeper.new_wave(wave), entries, [scope], facts)


@asynccontextmanager
async def machine(
    address: Address,
    name: str,
    simulator: Simulator,
    *,
    lasts_s: float = 5.0,
    clock: SystemClock | None = None,
    patience: Patience = Patience(),  # noqa: B008 - a value that never changes
    watch: Boundary = unwatched,
    **more: Any,
) -> AsyncIterator[PostgresMachine]:
    """One of that name."""
    own, rng = clock or SystemClock(), random.Random(name)
    keeper = PostgresKeeper(address, patience=patience, program=f"batcher/{name}")
    try:
        way = Connections(
            settings(simulator, **more),
            sources=CredentialSources(environ={"BATCHER_TOKEN": "simulated-token"}),
            clock=own,
            rng=rng,
        )
        async with way:
            yield PostgresMachine(
                keeper=keeper,
                leases=Leases(keeper, name, own.boot, lasts_s=lasts_s),
                connections=way,
                clock=own,
                rng=rng,
                watch=watch,
            )
    finally:
        await keeper.aclose()


async def take(one: Machine, simulator: Simulator) -> HeldScope | None:
    """Try to have the scope."""
    return await HeldScope.take(one.leases, simulator.url, PROJECT, one.clock)


async def taken(one: Machine, simulator: Simulator, within_s: float = 90.0) -> HeldScope:
    """Have the scope, as soon as it is free."""
    async with asyncio.timeout(within_s):
        while (held := await take(one, simulator)) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return held


async def run(one: Machine, simulator: Simulator, hand_on: asyncio.Event | None = None) -> ScopeEnd:
    """Have the scope and run it to its end."""
    return await run_scope(await taken(one, simulator), one, hand_on or asyncio.Event())


def creates(simulator: Simulator) -> list[RequestSeen]:
    """The create requests that the cloud saw."""
    return [e for e in simulator.ledger if isinstance(e, RequestSeen) and e.call == "create-compare-task"]


def made(simulator: Simulator) -> list[str]:
    """The job of each comparison that came to be."""
    return [event.job_id for event in simulator.ledger if isinstance(event, Effect) for _ in event.created]
