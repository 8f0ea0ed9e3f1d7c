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

    async def do(self, kind: str) -> Suffered:
        """Do one of that *kind*."""
        fleet = self.fleet
        alive = [member for member in fleet.members if member.state in ("R", "S", "D")]
        busy = set(fleet.owners().values())
        at_work = [member for member in alive if member.name in busy] or alive or fleet.members
        member = self.rng.choice(at_work)
        held = tuple(project for project, worker in fleet.owners().items() if worker == member.name)
        began = fleet.cloud.now
        done_to_all = await KINDS[kind](self, member)
        suffered = Suffered(kind, began, fleet.cloud.now, None if done_to_all else member.name, held)
        self.suffered.append(suffered)
        return suffered

    @property
    def longer_than_a_lease_s(self) -> float:
        return self.fleet.shape.lease_s + self.rng.uniform(1.0, 4.0)


async def _kill(_: Faults, member: Member) -> None:
    member.send(signal.SIGKILL)


async def _kill_at(faults: Faults, member: Member) -> None:
    member.order(at=faults.rng.choice(POINTS), nth=faults.rng.randint(1, 20), do="kill")
    process = member.process
    await until(lambda: process is None or process.returncode is not None, 15.0)


async def _freeze(faults: Faults, member: Member) -> None:
    member.send(signal.SIGSTOP)
    await asyncio.sleep(faults.longer_than_a_lease_s)
    member.send(signal.SIGCONT)


async def _freeze_at(faults: Faults, member: Member) -> None:
    member.order(at=faults.rng.choice(POINTS), nth=faults.rng.randint(1, 20), do="stop")
    if await until(lambda: member.state == "T", 15.0):
        await asyncio.sleep(faults.longer_than_a_lease_s)
    member.order(at="never", nth=1, do="stop")
    member.send(signal.SIGCONT)


async def _cut(faults: Faults, member: Member) -> None:
    member.wire.cut()
    await asyncio.sleep(faults.rng.uniform(0.1, 1.0) if faults.rng.random() < 0.3 else faults.longer_than_a_lease_s)
    member.wire.mend()


async def _stall(faults: Faults, member: Member) -> None:
    member.wire.stall()
    await asyncio.sleep(faults.longer_than_a_lease_s)
    member.wire.mend()


async def _restart(faults: Faults, _: Member) -> bool:
    await asyncio.to_thread(faults.fleet.cluster.stop, "immediate")
    await asyncio.to_thread(faults.fleet.cluster.start)
    return True


async def _away(faults: Faults, _: Member) -> bool:
    await asyncio.to_thread(faults.fleet.cluster.stop, "immediate")
    await asyncio.sleep(faults.away_s)
    await asyncio.to_thread(faults.fleet.cluster.start)
    return True


async def _all_killed(faults: Faults, _: Member) -> bool:
    for member in faults.fleet.members:
        member.send(signal.SIGKILL)
    return True


async def _clock(faults: Faults, member: Member) -> None:
    member.order(clock_ahead_s=faults.rng.choice([-3600, -60, -5, 5, 60, 3600, 0]))
    await asyncio.sleep(1.0)


async def _pooler(faults: Faults, _: Member) -> bool:
    if (pooler := faults.fleet.pooler) is not None:
        await asyncio.to_thread(pooler.kill)
        await asyncio.sleep(faults.rng.uniform(0.1, 3.0))
        pooler.start()
    return True


async def _term(faults: Faults, member: Member) -> None:
    process = member.process
    if process is None or member.state not in ("R", "S", "D"):
        return
    faults.fleet.told_to_end.add(process.pid)
    member.send(signal.SIGTERM)
    await until(lambda: process.returncode is not None, 20.0)


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
