"""Several machines on one virtual clock that share a journal: each runs the scopes it has a lease on, and any may fail.

A machine is frozen for longer than its lease lasts, loses it, is killed, is told to hand on, is cut off from the
database; commits are delayed, repeated, and fail though they were done. The cloud does what it does in other worlds.
"""

import asyncio
import random
from collections import Counter
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass

from batcher.journal.postgres.leases import LASTS_S
from batcher.life.entry import PlannedEntry, Scope
from batcher.manifest import Entry
from tests.worlds.cloud import Read, Sent, Traffic, WorldCloud
from tests.worlds.fleet_machine import At, Blow, FleetMachine, Shared
from tests.worlds.fleet_parts import FleetSpec
from tests.worlds.fleet_spec import draw_fleet
from tests.worlds.freezing import run_freezing
from tests.worlds.shared_database import SharedDatabase
from tests.worlds.shared_orders import Order
from tests.worlds.shared_verdicts import Decided
from tests.worlds.spec import ENDPOINT

_TURNS = 100_000
_PATIENCE_S = 2 * 86400.0


@dataclass(frozen=True, slots=True)
class FleetHistory:
    """All that happened, for the judge."""

    spec: FleetSpec
    sent: list[Sent]
    reads: list[Read]
    database: SharedDatabase
    is_settled: bool
    suffered: Counter[str]
    ends: Counter[str]
    defects: list[BaseException]
    said: list[str]

    def seen(self) -> Counter[str]:
        """What happened, counted."""
        records = self.database.records.values()
        seen = Counter({f"fleet: {name}": count for name, count in (self.suffered + self.ends).items()})
        for record in records:
            seen.update({f"{status.value} by fleets": count for status, count in record.status_counts().items()})
        seen["requests of fleets"] = len(self.sent)
        seen["scopes taken"] = len(self.database.takes)
        seen["refused by the fence"] = self.database.refused
        seen["commits repeated"] = self.database.repeated
        seen["commits of several"] = self.database.shared
        seen["commits torn"] = self.database.torn
        seen["refused by orders"] = self.database.forbidden
        seen["worlds of fleets with orders"] = bool(self.spec.orders)
        seen["look-ups of fleets"] = len(self.reads)
        seen["worlds of fleets with verdicts"] = bool(self.database.followed)
        seen["verdicts of fleets"] = sum(isinstance(one, Decided) for one in self.database.log)
        seen["verdicts refused by the fence"] = self.database.verdicts_refused
        seen["verdicts that were there"] = self.database.verdicts_known
        seen["late answers"] = sum(len(record.late) for record in records)
        return seen


class _Play:
    def __init__(self, spec: FleetSpec, *, trace: bool) -> None:
        self._spec = spec
        self._rng = random.Random(f"play {spec.base.seed}")
        self._loop = asyncio.get_running_loop()
        self.said: list[str] = []
        say = self._say if trace else _say_nothing
        self._world = Shared(
            cloud=WorldCloud(spec.base, random.Random(self._rng.random()), say),
            database=SharedDatabase(self._loop),
            traffic=Traffic(),
            settings=spec.settings,
            lease_s=LASTS_S,
            grace_s=spec.grace_s,
        )
        self._machines: list[FleetMachine] = []
        self._is_calm = False

    def _say(self, text: str) -> None:
        self.said.append(f"{self._loop.time() - 1000:10.3f}  {text}")

    async def play(self) -> FleetHistory:
        spec, world = self._spec, self._world
        for number, entries in enumerate(spec.waves):
            self._plan(number, entries)
        world.database.followed |= {order.wave for order in spec.orders if order.wave and order.is_for_verdicts}
        for order in spec.orders:
            if order.after_intents is None:
                self._loop.call_later(order.after_s, self._order, order)
        world.database.on_intent = self._intended
        self._loop.call_later(spec.calm_after_s, self._calm)
        places = [asyncio.create_task(self._place(blows)) for blows in spec.blows]
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE_S):
                    while not world.database.is_settled():  # noqa: ASYNC110
                        await asyncio.sleep(5.0)
            is_settled = world.is_over = world.database.is_settled()
            await asyncio.sleep(4 * spec.base.policy.landing_s)  # let everything land
        finally:
            await self._end(places)
        return FleetHistory(
            spec=spec,
            sent=world.traffic.sent,
            reads=world.traffic.reads,
            database=world.database,
            is_settled=is_settled,
            suffered=Counter(world.suffered),
            ends=Counter(end.kind.name for end in world.ends),
            defects=world.defects,
            said=self.said,
        )

    def _plan(self, number: int, entries: tuple[Entry, ...]) -> None:
        record = self._world.database.new_wave(f"wave-{number}")
        projects = sorted({entry.project_id for entry in entries})
        scopes = {project: Scope(nth, ENDPOINT, project) for nth, project in enumerate(projects)}
        said = self._spec.settings.model_dump(mode="json", exclude={"proxy", "digest", "restart", "retry_failed"})
        with record.planning() as plan:
            for scope in scopes.values():
                plan.add_scope(scope)
                self._world.database.know((scope.endpoint, scope.project_id))
            plan.add_entries(_planned(entry, scopes[entry.project_id]) for entry in entries)
            plan.finish({"digest": f"sha256:{number}", "begun_at": "2026-09-21T12:00:00+00:00", "settings": said})

    def _order(self, order: Order) -> None:
        self._world.cloud.say(f"the operator: {order.wave or ''}{order.scope or ''} {dict(order.changes)}")
        self._world.database.order(order)
        if order.then is not None:
            self._loop.call_later(order.then.after_s, self._order, order.then)

    def _intended(self, intents: int) -> None:
        for order in self._spec.orders:
            if order.after_intents == intents and not self._is_calm:
                Context().run(self._loop.call_soon, self._order, order)

    def _calm(self) -> None:
        """Nothing goes wrong any more."""
        self._say_calm()
        self._is_calm = True
        self._world.cloud.faults = self._world.cloud.faults.calm()
        for machine in self._machines:
            machine.link.fails = 0.0
            machine.process.blows.clear()
        for order in self._spec.orders:  # so much may never have been intended
            if order.after_intents is not None and order.is_for_verdicts:
                self._order(order)

    def _say_calm(self) -> None:
        self._world.cloud.say("--- from now on nothing goes wrong")

    async def _place(self, blows: tuple[dict[At, Blow], ...]) -> None:
        """One machine after the other in the same place."""
        nth = 0
        while True:
            calm = self._is_calm or nth >= len(blows)
            machine = FleetMachine(
                self._world,
                len(self._machines),
                {} if calm else dict(blows[nth]),
                random.Random(self._rng.random()),
                lanes=self._spec.lanes,
                fails=0.0 if self._is_calm else self._spec.fails,
            )
            self._machines.append(machine)
            death = asyncio.ensure_future(machine.process.death.wait())
            await asyncio.wait({death, machine.task}, return_when=asyncio.FIRST_COMPLETED)
            death.cancel()
            if machine.task.done() and not machine.task.cancelled() and (error := machine.task.exception()) is not None:
                self._world.defects.append(error)
            nth += 1
            await asyncio.sleep(self._spec.again_s)

    async def _end(self, places: list[asyncio.Task[None]]) -> None:
        for place in places:
            place.cancel()
        tasks: list[asyncio.Task[object]] = []
        for machine in self._machines:
            machine.process.dead = True
            machine.process.gate.open()
            tasks += machine.everything()
        for task in tasks:
            task.cancel()
        await asyncio.wait({*places, *tasks}, timeout=1000.0)


def _say_nothing(_: str) -> None:
    pass


def _planned(entry: Entry, scope: Scope) -> PlannedEntry:
    return PlannedEntry(
        index=entry.index,
        line=entry.line,
        key=entry.own_key or f"key-{entry.index}",
        scope=scope,
        job_id=entry.request.job_id,
        body=entry.body,
        x_language=entry.x_language,
        labels={},
    )


def play_fleet(seed: int, *, trace: bool = False) -> FleetHistory:
    """The world of *seed*, played to its end."""
    spec = draw_fleet(seed)

    async def main() -> FleetHistory:
        return await _Play(spec, trace=trace).play()

    return run_freezing(main, turns=_TURNS)
