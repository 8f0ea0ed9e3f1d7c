"""Kills, freezes and cuts off the workers of a real fleet, and its database, and judges what became of the waves.

    scripts/kill-fleet --faults 300
    scripts/kill-fleet --faults 20 --kinds freeze-at,stall
    scripts/kill-fleet --faults 20 --mutate send-check

Three workers in processes of their own, each with its own way to one PostgreSQL server (the last through a PgBouncer
that keeps sessions, where that is installed), run waves of 6 scopes with 300 entries each in a simulated cloud, which
loses a tenth of its answers after the effect. Meanwhile a fault comes every few seconds, of each kind as often as of
any other:

    kill        SIGKILL of a worker; it is started again a second later
    kill-at     the same at a point that a wave passes: intent queued, intent durable, answer received, outcome durable
    freeze      SIGSTOP for longer than a lease, then SIGCONT
    freeze-at   the same at such a point
    cut         its way to the database is cut, and nobody gets through for a while
    stall       nothing comes through on its way, and nothing is reset, for longer than a lease
    pg-restart  immediate stop and start of PostgreSQL
    pg-away     PostgreSQL is away for --away seconds
    all-killed  SIGKILL of all workers at once
    clock       a worker's wall clock is set, up to an hour either way
    pooler      the PgBouncer is killed, and started again
    term        SIGTERM: it hands its scopes on

The judge: no comparison is made twice, none is lost, no request comes by an older epoch of a lease after one by a
newer, nothing is recorded so either, and the limit is kept in every second, by the moments at which the system of the
cloud got each request (the simulator itself may come to it later). What a worker had that was killed, while nothing
else happened, stands still for no longer than a lease and five seconds. With --mutate the fence (what is written by a
lost lease is refused) or the check (is the lease still running, right before the bytes leave) is taken out: that run
has to fail.

Exits 1 where a promise was broken; with --mutate, where none was.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections import Counter
from contextlib import suppress
from math import inf
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from batcher.clock import SystemClock
from tests.journal.postgres.cluster import Cluster, binaries
from tests.machines.fleet.cloud import FleetCloud
from tests.machines.fleet.faults import KINDS, Faults, Suffered
from tests.machines.fleet.fleet import BOUNCER, Fleet, Shape, until
from tests.machines.fleet.judge import Standstill, broken, most_in_a_second, standstills, too_long

_OF_MUTATIONS = {"fence": ("freeze-at", "freeze", "stall"), "send-check": ("freeze-at",)}
_END_S = 400.0  # for what is left when the last fault is over
_SHOWN = 20
_TRIES = 3  # to do a fault; of a kind that is counted each is to be done really
_ALONE = 0.3  # of the kills: nothing else happens meanwhile, so that it can be seen for how long its scopes stand still


def asked() -> argparse.Namespace:
    """The arguments. Ends the process where they are wrong."""
    parser = argparse.ArgumentParser(
        prog="scripts/kill-fleet", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faults", type=int, default=300, help="how many (default: 300)")
    parser.add_argument("--kinds", metavar="KIND,…", help="only these")
    parser.add_argument("--mutate", choices=sorted(_OF_MUTATIONS), help="take out what must not be missing")
    parser.add_argument("--away", type=float, default=60.0, help="seconds that PostgreSQL is away (default: 60)")
    parser.add_argument("--every", type=float, default=4.0, help="seconds between faults, on average (default: 4)")
    parser.add_argument("--limit", type=int, default=10, help="of the cloud, a second in each scope (default: 10)")
    parser.add_argument("--minutes", type=float, default=inf, help="begin none later than this")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", metavar="DIR", help="folder that is kept, with logs and requests")
    given = parser.parse_args()
    kinds = given.kinds.split(",") if given.kinds else list(_OF_MUTATIONS.get(given.mutate, KINDS))
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        parser.error(f"--kinds: there is no {', '.join(unknown)}; there are {', '.join(KINDS)}")
    if binaries() is None:
        parser.error("there is no PostgreSQL here: install Debian's package postgresql")
    if BOUNCER is None and "pooler" in kinds:
        print("pgbouncer is not installed (Debian's package pgbouncer): no pooler stands between")
        kinds.remove("pooler")
    given.kinds = kinds
    return given


async def suffer(fleet: Fleet, given: argparse.Namespace) -> Faults:
    """Do the faults, each kind as often as any other, in a random order, two at a time."""
    rng = random.Random(given.seed)
    faults = Faults(fleet, rng, away_s=given.away)
    order = [given.kinds[number % len(given.kinds)] for number in range(given.faults)]
    rng.shuffle(order)
    ends_at = SystemClock.monotonic() + 60 * given.minutes
    async with asyncio.TaskGroup() as group:
        under_way: set[asyncio.Task[Suffered]] = set()
        for number, kind in enumerate(order, 1):
            if SystemClock.monotonic() > ends_at:
                break
            alone = kind.startswith("kill") and rng.random() < _ALONE
            while len(under_way) > (0 if alone else 1):
                await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                under_way = {task for task in under_way if not task.done()}
            quiet_s = 4.5 * fleet.shape.lease_s if alone else rng.uniform(0.2, 2 * given.every - 0.2)
            await asyncio.sleep(quiet_s)
            task = group.create_task(_one(fleet, faults, number, kind))
            under_way.add(task)
            if alone:
                await _gone_on(fleet, await task)
                await asyncio.sleep(2 * fleet.shape.lease_s + 6.0)
    return faults


async def _gone_on(fleet: Fleet, killed: Suffered) -> None:
    """Wait until each scope of the worker that was killed is gone on with: the next fault is none of its business."""

    def is_so() -> bool:
        since = {one.project_id for one in fleet.cloud.sent[-5000:] if one.at > killed.over}
        return since.issuperset(killed.held)

    await until(is_so, 60.0)


async def _one(fleet: Fleet, faults: Faults, number: int, kind: str) -> Suffered:
    for _ in range(_TRIES):  # nothing may pass the point that is waited for, and a worker may be dead already
        one = await faults.do(kind)
        if one.kind == kind:
            break
    left = await fleet.left()
    print(
        f"{number:4} {kind:10} {one.worker or '':3} {one.over - one.began:5.1f} s   "
        f"{len(fleet.cloud.sent):,} sent, {fleet.waves} waves, {left if left < 10**8 else '?'} left",
        flush=True,
    )
    return one


async def settle(fleet: Fleet) -> bool:
    """Wait until all waves are done; whether they were in time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_END_S):
            while await fleet.left():  # noqa: ASYNC110 - the database tells nobody
                await asyncio.sleep(1.0)
            return True
    return False


async def run(given: argparse.Namespace, folder: Path) -> int:
    """One run; its exit code."""
    shape = Shape(limit=given.limit, mutate=given.mutate)
    cluster = await asyncio.to_thread(lambda: Cluster.make(max_connections="100"))
    began = SystemClock.monotonic()
    async with FleetCloud(shape.limit, given.seed) as cloud:
        fleet = Fleet(shape, folder, cluster, cloud)
        try:
            await fleet.start()
            await fleet.plan()
            tending, feeding = asyncio.create_task(fleet.tend()), asyncio.create_task(fleet.feed())
            try:
                faults = await suffer(fleet, given)
                feeding.cancel()
                await asyncio.wait({feeding})
                in_time = await settle(fleet)
            finally:
                for task in (tending, feeding):
                    task.cancel()
                await asyncio.wait({tending, feeding})
            for task in (tending, feeding):
                if not task.cancelled():
                    task.result()
            statuses: Counter[str] = Counter()
            wrong = list(broken(fleet, statuses))
            if not in_time:
                wrong.insert(0, f"{await fleet.left()} entries were left {_END_S:.0f} s after the last fault")
            stood = standstills(fleet, faults.suffered)
            wrong += too_long(fleet, stood)
            unsettled = await fleet.explained("unsettled") if statuses["unsettled"] else []
        finally:
            await fleet.stop()
    if given.keep:
        (folder / "sent.json").write_text(json.dumps([vars(one) for one in cloud.sent]))
        (folder / "faults.json").write_text(json.dumps([vars(one) for one in faults.suffered]))
        (folder / "unsettled.txt").write_text("".join(f"{told}\n\n" for told in unsettled))
    for told in unsettled[:_SHOWN]:
        print(f"\nleft to a person: {told}")
    tell(fleet, faults, statuses, stood, wrong, SystemClock.monotonic() - began)
    return (not wrong) if given.mutate else bool(wrong)


def tell(
    fleet: Fleet, faults: Faults, statuses: Counter[str], stood: list[Standstill], wrong: list[str], took_s: float
) -> None:
    """Print what became of it."""
    kinds = Counter(one.kind for one in faults.suffered)
    epochs = len({(one.project_id, one.epoch) for one in fleet.cloud.sent})
    print(
        f"\n{kinds.total()} faults in {took_s / 60:.0f} min: " + ", ".join(f"{n} {kind}" for kind, n in kinds.items())
    )
    print(f"{fleet.waves} waves, {len(fleet.cloud.sent):,} requests by {epochs} leases; results: " + ", ".join(
        f"{count:,} {status}" for status, count in sorted(statuses.items())))  # fmt: skip
    print(f"at most {most_in_a_second(fleet)} requests in a second, of {fleet.shape.limit}")
    if stood:
        lasted = sorted(one.lasted_s for one in stood)
        print(f"{len(stood)} scopes of workers killed alone stood still for {lasted[0]:.1f} to {lasted[-1]:.1f} s")
    for what in wrong[:_SHOWN]:
        print(f"BROKEN: {what}")
    print(f"{len(wrong)} promises broken")


def main() -> int:
    """Run as the arguments say."""
    given = asked()
    if given.keep:
        folder = Path(given.keep)
        folder.mkdir(parents=True, exist_ok=True)
        return int(asyncio.run(run(given, folder.resolve())))
    with tempfile.TemporaryDirectory() as folder_name:
        return int(asyncio.run(run(given, Path(folder_name))))


if __name__ == "__main__":
    sys.exit(main())
