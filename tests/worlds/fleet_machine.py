"""One machine of a world's fleet: it sweeps, takes scopes and runs them, until it is killed or told to hand on."""

import asyncio
import random
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass, field

from batcher.channel.connections import Connections
from batcher.channel.governor import limit_of
from batcher.channel.passes import Pass
from batcher.drs.auth.sources import CredentialSources
from batcher.drs.cloud import Credential
from batcher.journal.errors import JournalFailed
from batcher.life.entry import Scope
from batcher.machines.held_scope import HeldScope
from batcher.machines.machine import Machine
from batcher.machines.scope_run import ScopeEnd, ScopeEndKind, run_scope
from batcher.settings import RunSettings
from tests.worlds.cloud import Traffic, WorldCloud
from tests.worlds.freezing import Gate
from tests.worlds.process import Process
from tests.worlds.scope import ProcessCloud
from tests.worlds.shared_database import SharedDatabase
from tests.worlds.shared_link import SharedLink, SharedMemoryLeases
from tests.worlds.shared_orders import Named
from tests.worlds.spec import Life

_SWEEP_S = 3.0


At = int | tuple[str, int]
"""A step of a machine: the how manieth, or the how manieth of that name."""


@dataclass(frozen=True, slots=True)
class Blow:
    """What happens to a machine at one of its steps: `freeze`, `suspend`, `kill`, `hand on` or `cut` (its way to the
    database)."""

    kind: str
    lasts_s: float = 0.0


@dataclass(slots=True)
class Shared:
    """What all machines of a world have to do with."""

    cloud: WorldCloud
    database: SharedDatabase
    traffic: Traffic
    settings: RunSettings
    lease_s: float
    grace_s: float
    is_over: bool = False  # nothing is left to do: whoever looks around need not hurry
    suffered: list[str] = field(default_factory=list)
    ends: list[ScopeEnd] = field(default_factory=list)
    defects: list[BaseException] = field(default_factory=list)


class MachineProcess(Process):
    """The process of a machine, which suffers *blows*, by step."""

    def __init__(self, world: Shared, blows: dict[At, Blow], name: str, rng: random.Random) -> None:
        super().__init__(Life(), rng.uniform(-5000.0, 900.0), rng.choice((0.0, 0.0, -7200.0, 30.0)), world.cloud.say)
        self._world = world
        self._name = name
        self.blows = blows
        self._named: Counter[str] = Counter()
        self.gate = Gate()
        self._slept_s = 0.0  # for which it was suspended
        self.hand_on = asyncio.Event()
        self.link: SharedLink | None = None

    def step(self, what: str) -> bool:
        """See `Process.step`."""
        if self.dead:
            return False
        self.steps += 1
        self._named[what] += 1
        blow = self.blows.pop((what, self._named[what]), None) or self.blows.pop(self.steps, None)
        if blow is not None and not self.gate.is_shut:
            self.say(f"{self._name}: {blow.kind} {blow.lasts_s:g} s at step {self.steps}: {what}")
            self._world.suffered.append(blow.kind)
            self._suffer(blow)
        return not self.dead

    async def is_stopped_short(self) -> bool:
        """See `Process.is_stopped_short`."""
        self._named["leaves"] += 1
        blow = self.blows.pop(("leaves", self._named["leaves"]), None)
        if blow is None:
            return False
        self.say(f"{self._name}: {blow.kind} {blow.lasts_s:g} s before the bytes leave that were let leave")
        self._world.suffered.append(f"{blow.kind} before the bytes")
        self._suffer(blow)
        await asyncio.sleep(0)
        return True

    def _suffer(self, blow: Blow) -> None:
        match blow.kind:
            case "freeze" | "suspend":
                self.gate.shut()
                slept_s = blow.lasts_s if blow.kind == "suspend" else 0.0
                Context().run(self._loop.call_later, blow.lasts_s, self._thaw, slept_s)
            case "kill":
                self.gate.shut()
                self.dead = True
                self.death.set()
            case "hand on":
                self.hand_on.set()
            case _:
                assert self.link is not None
                self.link.away_until = self._loop.time() + blow.lasts_s

    def _thaw(self, slept_s: float) -> None:
        if not self.dead:
            self.say(f"{self._name}: goes on")
            self._slept_s += slept_s
            if slept_s:
                self._tell_sleep()
            self.gate.open(slept_s)

    def _tell_sleep(self) -> None:
        self.timebase = f"{self.timebase.partition('+')[0]}+{self._slept_s:.0f}"

    def monotonic(self) -> float:
        """Its monotonic clock, which stands still while it is suspended."""
        return super().monotonic() - self._slept_s

    def boot(self) -> float:
        """The clock that goes on."""
        return super().monotonic()


class WorldWay(Connections):
    """The way of a machine, which leads to the world's cloud."""

    def __init__(self, world: Shared, process: MachineProcess, number: int, rng: random.Random) -> None:
        super().__init__(
            world.settings,
            sources=CredentialSources(environ={}),
            clock=process,
            rng=rng,
            of_waves=("rate", "read_rate", "concurrency"),  # as a worker's are
        )
        self._world = world
        self._process = process
        self._number = number
        self._rng = rng

    async def credentials(self, scopes: Collection[Scope], *, of: int) -> Mapping[Named, Credential]:
        """None is needed."""
        return {}

    async def enter(  # type: ignore[override]
        self,
        scopes: Collection[Scope],
        settings: RunSettings,
        credentials: Mapping[Named, Credential],
        *,
        wave: str,
        age: float,
        concurrency: int,
    ) -> dict[Scope, Pass]:
        """See `Connections.enter`."""
        world = self._world
        return {
            scope: self.channels.to(scope.endpoint, scope.project_id).enter(
                ProcessCloud(
                    world.cloud,
                    world.traffic,
                    self._process,
                    scope.project_id,
                    self._number,
                    random.Random(self._rng.random()),
                ),
                wave=wave,
                age=age,
                rate=limit_of(settings.pace),
                read_rate=limit_of(settings.read_pace),
                concurrency=concurrency,
            )
            for scope in scopes
        }


class FleetMachine:
    """See the module."""

    def __init__(
        self, world: Shared, number: int, blows: dict[At, Blow], rng: random.Random, *, lanes: int, fails: float
    ) -> None:
        name = f"machine {number}"
        self._world = world
        self._rng = rng
        self._lanes = lanes
        self.process = process = MachineProcess(world, blows, name, rng)
        self.link = process.link = SharedLink(
            world.database, process, random.Random(rng.random()), name, fails, world.grace_s
        )
        self._leases = SharedMemoryLeases(self.link, world.lease_s)
        self._machine = Machine(
            keeper=self.link,
            leases=self._leases,
            connections=WorldWay(world, process, number, random.Random(rng.random())),
            clock=process,
            rng=random.Random(rng.random()),
            watch=process.passes,
        )
        self._running: dict[Named, asyncio.Task[ScopeEnd]] = {}
        self.task = process.gate.start(self._run, name)

    async def _run(self) -> None:
        handing_on = self.process.hand_on
        while not (handing_on.is_set() and not self._running):
            if not handing_on.is_set():
                with suppress(JournalFailed):  # it is asked again
                    await self._sweep()
            await asyncio.sleep((20 if self._world.is_over else 1) * _SWEEP_S * self._rng.uniform(0.8, 1.2))
            self._clear()

    async def _sweep(self) -> None:
        database = self._world.database
        for named in await self.link.do(database.waiting):
            if named in self._running or len(self._running) >= self._lanes or self.process.hand_on.is_set():
                continue
            held = await HeldScope.take(self._leases, *named, self.process)
            if held is not None:
                self.process.epochs[named[1]] = held.epoch
                running = run_scope(held, self._machine, self.process.hand_on)
                self._running[named] = asyncio.create_task(running, name=f"{named[1]} by {held.epoch}")

    def _clear(self) -> None:
        for named, task in [*self._running.items()]:
            if task.done():
                del self._running[named]
                if (error := task.exception()) is not None:
                    self._world.defects.append(error)
                else:
                    self._world.ends.append(end := task.result())
                    if end.kind is ScopeEndKind.HALTED:  # the operator gives it another credential, and starts it anew
                        self.process.hand_on.set()

    def everything(self) -> list[asyncio.Task[object]]:
        """Its tasks, to be ended with the world."""
        serving = [] if self.link.serving is None else [self.link.serving]
        return [self.task, *self._running.values(), *serving]
