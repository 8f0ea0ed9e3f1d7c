"""Whoever has a scope follows what was created there: each verdict once, also over a death, by the pace of look-ups."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Any

import orjson
import pytest

from batcher.journal.postgres.address import Address
from batcher.journal.postgres.leases import Lease
from batcher.journal.postgres.orders import order_wave
from batcher.journal.postgres.verdicts import want_verdicts
from batcher.life.result import Status
from batcher.machines.look import look_around
from batcher.machines.scope_run import ScopeEndKind
from batcher.simulator.config import CloudConfig
from batcher.simulator.jobs import READY, JobRule
from batcher.simulator.ledger import Effect, RequestSeen
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from tests.journal.postgres.cluster import needed, prepared
from tests.machines.made import PostgresMachine, SuspendedClock, creates, machine, made, planned, run
from tests.machines.test_scope_run import until

RULES = (JobRule(pattern="job-1*", ends="FAILED"), JobRule(pattern="job-9?", exists=False))


@pytest.fixture
def address() -> Address:
    return prepared(needed())


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """In which a comparison takes a third of a second."""
    async with cloud() as serving:
        yield serving


def cloud(**more: Any) -> Simulator:
    config: dict[str, Any] = {"speed": 1000.0, "jobs": RULES} | more
    return Simulator(ServiceConfig(latency_s=(0.0, 0.01), cloud=CloudConfig(**config)))


def wanted(one: PostgresMachine, wave: str, simulator: Simulator, jobs: Iterable[int], **more: Any) -> None:
    """A wave of that id of which verdicts are wanted."""
    planned(one.keeper, wave, simulator, jobs, **{"poll": 0.05} | more)
    want_verdicts(one.keeper.link, one.keeper.wave(wave).number)


def verdicts(one: PostgresMachine, wave: str) -> list[dict[str, Any]]:
    kept = one.keeper.verdicts(one.keeper.wave(wave).number)
    return [orjson.loads(line) for _, line in kept.numbered_lines(-1, 10_000)]


def unix(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()


def looks(simulator: Simulator) -> list[RequestSeen]:
    return [e for e in simulator.ledger if isinstance(e, RequestSeen) and e.call == "query-compare-result"]


async def test_what_it_creates_is_followed_to_its_verdicts(address: Address, simulator: Simulator) -> None:
    async with machine(address, "one", simulator) as one:
        wanted(one, "a", simulator, [0, 1, 10, 2, 90])
        end = await run(one, simulator)
        assert end.kind is ScopeEndKind.DONE, end
        found = verdicts(one, "a")
        assert {line["index"]: line["verdict"] for line in found} == {
            0: "consistent", 1: "failed", 2: "failed", 3: "consistent", 4: "unknown",
        }  # fmt: skip
        assert all(line["final"] for line in found)
        assert look_around(one.keeper.link).work == []


async def test_without_anybody_who_wants_to_know_nothing_is_looked_at(address: Address, simulator: Simulator) -> None:
    async with machine(address, "one", simulator) as one:
        planned(one.keeper, "a", simulator, range(5))
        assert (await run(one, simulator)).kind is ScopeEndKind.DONE
        assert verdicts(one, "a") == []
        assert len(looks(simulator)) < 5  # for the cloud's clock
        want_verdicts(one.keeper.link, one.keeper.wave("a").number)
        (work,) = look_around(one.keeper.link).work
        assert work.is_free
        assert (await run(one, simulator)).kind is ScopeEndKind.DONE
        assert len(verdicts(one, "a")) == 5
        assert len(creates(simulator)) == 5


async def test_they_may_be_wanted_while_the_scope_is_run(address: Address, simulator: Simulator) -> None:
    async with machine(address, "one", simulator) as one:
        planned(one.keeper, "a", simulator, range(40), rate="10/s", poll=0.05)
        running = asyncio.create_task(run(one, simulator))
        await until(lambda: len(creates(simulator)) > 5)
        want_verdicts(one.keeper.link, one.keeper.wave("a").number)
        await until(lambda: verdicts(one, "a"))
        assert len(creates(simulator)) < 40
        assert (await running).kind is ScopeEndKind.DONE
        assert sorted(line["index"] for line in verdicts(one, "a")) == [*range(40)]


async def test_where_one_dies_another_goes_on_from_what_is_there(address: Address) -> None:
    """No verdict is lost, none is there twice, and what has one is not looked at again."""
    async with cloud(speed=30.0) as simulator:
        async with machine(address, "dead", simulator, lasts_s=5.0) as one:
            wanted(one, "a", simulator, range(30))
            running = asyncio.create_task(run(one, simulator))
            await until(lambda: len(verdicts(one, "a")) > 5)
            running.cancel()  # at once: nothing is written any more
            await asyncio.wait({running})
            decided = {line["job_id"] for line in verdicts(one, "a")}
            before = len(looks(simulator))
        assert len(decided) < 30
        async with machine(address, "two", simulator) as two:
            assert (await run(two, simulator)).kind is ScopeEndKind.DONE
            found = verdicts(two, "a")
            assert sorted(line["index"] for line in found) == [*range(30)]
            again = {look.job_id for look in looks(simulator)[before:]} & decided
            assert again == set()
            assert len(made(simulator)) == 30


async def test_told_to_hand_on_it_keeps_what_it_knows(address: Address) -> None:
    async with cloud(speed=30.0) as simulator, machine(address, "one", simulator) as one:
        wanted(one, "a", simulator, range(20))
        hand_on = asyncio.Event()
        running = asyncio.create_task(run(one, simulator, hand_on))
        await until(lambda: len(verdicts(one, "a")) > 3)
        hand_on.set()
        assert (await running).kind is ScopeEndKind.HANDED_ON
        (work,) = look_around(one.keeper.link).work
        assert work.is_free
        kept = len(verdicts(one, "a"))
        assert 3 < kept < 20
        assert (await run(one, simulator)).kind is ScopeEndKind.DONE
        assert len(verdicts(one, "a")) == 20


async def test_a_stop_ends_the_following_and_a_pause_does_not(address: Address) -> None:
    async with cloud(speed=30.0) as simulator, machine(address, "one", simulator) as one:
        wanted(one, "a", simulator, range(30))
        number = one.keeper.wave("a").number
        running = asyncio.create_task(run(one, simulator))
        await until(lambda: len(creates(simulator)) == 30)
        order_wave(one.keeper.link, number, paused="by hand")
        before = len(verdicts(one, "a"))
        await until(lambda: len(verdicts(one, "a")) > before + 2)
        order_wave(one.keeper.link, number, stop="by hand")
        end = await running
        assert end.kind is ScopeEndKind.DONE, end
        assert len(verdicts(one, "a")) < 30
        assert look_around(one.keeper.link).work == []
        order_wave(one.keeper.link, number, stop=None, paused=None)
        assert (await run(one, simulator)).kind is ScopeEndKind.DONE
        assert len(verdicts(one, "a")) == 30


async def test_the_pace_of_look_ups_holds_over_a_take_over(address: Address) -> None:
    """And over two waves in the scope."""
    async with cloud(speed=200.0) as simulator:
        async with machine(address, "dead", simulator, read_rate="10/s") as one:
            wanted(one, "a", simulator, range(20), read_rate="10/s")
            wanted(one, "b", simulator, range(50, 70), read_rate="10/s")
            running = asyncio.create_task(run(one, simulator))
            await until(lambda: len(looks(simulator)) > 20)
            running.cancel()
            await asyncio.wait({running})
        async with machine(address, "two", simulator, read_rate="10/s") as two:
            assert (await run(two, simulator)).kind is ScopeEndKind.DONE
            assert (len(verdicts(two, "a")), len(verdicts(two, "b"))) == (20, 20)
        at = [look.at for look in looks(simulator)]
        most = max(sum(0 <= other - first < 1.0 for other in at) for first in at)
        assert most <= 13  # without the silence, or by two who look, it is 20; on busy cores some are stamped late


async def test_as_many_comparisons_run_as_are_allowed(address: Address) -> None:
    """Over a take-over as well: what the one before created counts until it has ended."""
    async with cloud(speed=60.0, runs_s={"object_comparison": 120.0}) as simulator:
        async with machine(address, "dead", simulator) as one:
            wanted(one, "a", simulator, range(20, 29), max_running=2)
            running = asyncio.create_task(run(one, simulator))
            await until(lambda: len(made(simulator)) == 3)
            running.cancel()
            await asyncio.wait({running})
        async with machine(address, "two", simulator) as two:
            assert (await run(two, simulator)).kind is ScopeEndKind.DONE
            ended = {line["job_id"]: line["object_level_compare_result"]["ended_at"] for line in verdicts(two, "a")}
        assert len(ended) == 9
        effects = [e for e in simulator.ledger if isinstance(e, Effect) and e.created]
        for effect in effects:
            still = sum(before.at <= effect.at < unix(ended[before.job_id]) for before in effects)
            assert still <= 2, effect.job_id


async def test_a_job_that_is_not_ready_holds_its_entry(address: Address) -> None:
    """And nobody needs to want verdicts for that."""
    late = JobRule(pattern="job-3", status="FULL_TRANSFER_STARTED", becomes=((2.0, READY),))
    never = JobRule(pattern="job-4", status="FULL_TRANSFER_STARTED")
    async with cloud(jobs=(late, never)) as simulator, machine(address, "one", simulator) as one:
        planned(one.keeper, "a", simulator, range(6), wait_ready=4.0, poll=0.02)
        assert (await run(one, simulator)).kind is ScopeEndKind.DONE
        assert one.keeper.wave("a").status_counts() == {Status.CREATED: 5, Status.FAILED: 1}
        assert "job-4" not in {request.job_id for request in creates(simulator)}


async def test_who_may_not_look_says_so_and_leaves_it_to_others(address: Address) -> None:
    """What was created is created; nobody is let in who waits for the end of what cannot be seen."""
    barred = frozenset({"query-compare-result"})
    async with cloud(denied=barred) as simulator, machine(address, "one", simulator) as one:
        wanted(one, "a", simulator, range(3))
        end = await run(one, simulator)
        assert end.kind is ScopeEndKind.HALTED, end
        assert one.keeper.wave("a").status_counts() == {Status.CREATED: 3}
        wanted(one, "b", simulator, range(5, 9), max_running=1)
        async with asyncio.timeout(90):
            end = await run(one, simulator)
        assert end.kind is ScopeEndKind.HALTED, end
        assert one.keeper.wave("b").status_counts() == {Status.CREATED: 1}
        assert verdicts(one, "a") == []


async def test_who_was_suspended_looks_at_nothing_until_it_has_the_scope_again(
    address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By then another may look there, with all of the pace. It asks for its lease at once, not at the next renewal."""
    clock = SuspendedClock()
    async with cloud(speed=60.0) as simulator, machine(address, "one", simulator, clock=clock, lasts_s=60.0) as one:
        may_renew, renew = asyncio.Event(), one.leases.renew

        async def held_up(lease: Lease) -> Lease:
            await may_renew.wait()
            return await renew(lease)

        monkeypatch.setattr(one.leases, "renew", held_up)
        wanted(one, "a", simulator, range(12))
        running = asyncio.create_task(run(one, simulator))
        await until(lambda: len(creates(simulator)) == 12 and len(looks(simulator)) > 12)
        clock.suspended_s += 120.0
        await asyncio.sleep(0.5)
        before = len(looks(simulator))
        await asyncio.sleep(1.5)
        assert len(looks(simulator)) == before
        may_renew.set()
        assert (await running).kind is ScopeEndKind.DONE
        assert len(looks(simulator)) > before
        assert len(verdicts(one, "a")) == 12
