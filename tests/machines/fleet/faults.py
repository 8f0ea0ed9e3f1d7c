"""What happens to a fleet: each fault is done to one worker, or to the database, and is over when it returns."""

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.machines.fleet.fleet import Fleet, Member, until

POINTS = ("intent queued", "intent durable", "answer received", "outcome durable")


@dataclass(frozen=True)
class Suffered:
    """One fault: its *kind*, when it began and was over, by the cloud's clock, and to whom (None: to all)."""

    kind: str
    began: float
    over: float
    worker: str | None = None
    held: tuple[str, ...] = ()  # projects that the worker had


Fault = Callable[["Faults", Member], Awaitable[object]]


class Faults:
    """Does faults to *fleet*."""

    def __init__(self, fleet: Fleet, rng: random.Random, *, away_s: float) -> None:
        self.fleet = fleet
        self.rng = rng
        self.away_s = away_s
        self.suffered: list[Suffered] = []
        self._struck: set[str] = set()  # workers to whom something is being done
        self._of_all = asyncio.Lock()  # to the database, or to all workers, one thing at a time

    async def do(self, kind: str) -> Suffered:
        """Do one of that *kind*, to a worker to whom nothing is being done."""
        if kind in _OF_ALL:
            async with self._of_all:
                return await self._do(kind, self.fleet.members[0], None)
        while not (free := [one for one in self.fleet.members if one.name not in self._struck]):  # noqa: ASYNC110
            await asyncio.sleep(0.5)
        alive = [member for member in free if member.state in ("R", "S", "D")]
        busy = set(self.fleet.owners().values())
        at_work = [member for member in alive if member.name in busy] or alive or free
        member = self.rng.choice(at_work)
        self._struck.add(member.name)
        try:
            return await self._do(kind, member, member.name)
        finally:
            self._struck.discard(member.name)

    async def _do(self, kind: str, member: Member, worker: str | None) -> Suffered:
        held = tuple(project for project, name in self.fleet.owners().items() if name == worker)
        began = self.fleet.cloud.now
        struck = await KINDS[kind](self, member) is not False
        suffered = Suffered(kind if struck else f"{kind} (missed)", began, self.fleet.cloud.now, worker, held)
        self.suffered.append(suffered)
        return suffered

    @property
    def longer_than_a_lease_s(self) -> float:
        return self.fleet.shape.lease_s + self.rng.uniform(1.0, 4.0)


async def _kill(_: Faults, member: Member) -> None:
    member.send(signal.SIGKILL)


async def _kill_at(faults: Faults, member: Member) -> bool:
    member.order(at=faults.rng.choice(POINTS), nth=faults.rng.randint(1, 20), do="kill")
    process = member.process
    return await until(lambda: process is None or process.returncode is not None, 15.0)


async def _freeze(faults: Faults, member: Member) -> None:
    member.send(signal.SIGSTOP)
    await asyncio.sleep(faults.longer_than_a_lease_s)
    member.send(signal.SIGCONT)


async def _freeze_at(faults: Faults, member: Member) -> bool:
    member.order(at=faults.rng.choice(POINTS), nth=faults.rng.randint(1, 20), do="stop")
    struck = await until(lambda: member.state == "T", 15.0)
    if struck:
        await asyncio.sleep(faults.longer_than_a_lease_s)
    member.order(at="never", nth=1, do="stop")
    member.send(signal.SIGCONT)
    return struck


async def _cut(faults: Faults, member: Member) -> None:
    member.wire.cut()
    await asyncio.sleep(faults.rng.uniform(0.1, 1.0) if faults.rng.random() < 0.3 else faults.longer_than_a_lease_s)
    member.wire.mend()


async def _stall(faults: Faults, member: Member) -> None:
    member.wire.stall()
    await asyncio.sleep(faults.longer_than_a_lease_s)
    member.wire.mend()


async def _restart(faults: Faults, _: Member) -> None:
    await asyncio.to_thread(faults.fleet.cluster.stop, "immediate")
    await asyncio.to_thread(faults.fleet.cluster.start)


async def _away(faults: Faults, _: Member) -> None:
    await asyncio.to_thread(faults.fleet.cluster.stop, "immediate")
    await asyncio.sleep(faults.away_s)
    await asyncio.to_thread(faults.fleet.cluster.start)


async def _all_killed(faults: Faults, _: Member) -> None:
    for member in faults.fleet.members:
        member.send(signal.SIGKILL)


async def _clock(faults: Faults, member: Member) -> None:
    member.order(clock_ahead_s=faults.rng.choice([-3600, -60, -5, 5, 60, 3600, 0]))
    await asyncio.sleep(1.0)


async def _pooler(faults: Faults, _: Member) -> None:
    if (pooler := faults.fleet.pooler) is not None:
        await asyncio.to_thread(pooler.kill)
        await asyncio.sleep(faults.rng.uniform(0.1, 3.0))
        pooler.start()


async def _term(faults: Faults, member: Member) -> bool:
    process = member.process
    if process is None or member.state not in ("R", "S", "D"):
        return False
    faults.fleet.told_to_end.add(process.pid)
    member.send(signal.SIGTERM)
    return await until(lambda: process.returncode is not None, 20.0)


_OF_ALL = frozenset({"pg-restart", "pg-away", "all-killed", "pooler"})
KINDS: dict[str, Fault] = {
    "kill": _kill,
    "kill-at": _kill_at,
    "freeze": _freeze,
    "freeze-at": _freeze_at,
    "cut": _cut,
    "stall": _stall,
    "pg-restart": _restart,
    "pg-away": _away,
    "all-killed": _all_killed,
    "clock": _clock,
    "pooler": _pooler,
    "term": _term,
}
