"""A scope that is held by a lease, and run: by one machine after the other, and never by two at once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from batcher.drs.outcome import ErrorKind, Fate, Half, Made, Trouble
from batcher.journal.errors import LaneLost
from batcher.journal.ops import Happened
from batcher.journal.port import Record
from batcher.journal.postgres.address import Address
from batcher.journal.postgres.keeper import PostgresKeeper
from batcher.journal.postgres.leases import Lease
from batcher.journal.postgres.link import Patience
from batcher.journal.postgres.orders import order_scope, order_wave
from batcher.life.events import Answered, Intended, Retracted, decode
from batcher.life.result import Status
from batcher.machines import wave_part
from batcher.machines.look import look_around
from batcher.machines.scope_run import ScopeEndKind, run_scope
from batcher.machines.wave_part import WavePart
from batcher.simulator.ledger import RequestSeen
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from tests.journal.postgres.cluster import Cluster, needed, prepared
from tests.journal.postgres.wire import Wire
from tests.machines.made import (
    PROJECT,
    PostgresMachine,
    SuspendedClock,
    creates,
    machine,
    made,
    planned,
    run,
    take,
    taken,
)


@pytest.fixture
def address() -> Address:
    return prepared(needed())


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(ServiceConfig(latency_s=(0.0, 0.01))) as serving:
        yield serving


def counts(one: PostgresMachine, wave: str) -> dict[Status, int]:
    return one.keeper.wave(wave).status_counts()


async def until(is_so: Callable[[], Any]) -> None:
    """Until *is_so*; the test's own patience ends it otherwise."""
    async with asyncio.timeout(90):
        while not is_so():  # noqa: ASYNC110 - it is the other side that changes
            await asyncio.sleep(0.01)


async def test_a_scope_is_run_with_all_its_waves(address: Address, simulator: Simulator) -> None:
    async with machine(address, "one", simulator) as one:
        planned(one.keeper, "a", simulator, range(20))
        planned(one.keeper, "b", simulator, range(10, 30))
        end = await run(one, simulator)
        assert end.kind is ScopeEndKind.DONE
        assert counts(one, "a") == counts(one, "b") == {Status.CREATED: 20}
        assert len(made(simulator)) == len(creates(simulator)) == 40
        assert look_around(one.keeper.link).work == []
        assert await take(one, simulator) is not None  # it was given back


async def test_a_wave_that_is_planned_meanwhile_joins(address: Address, simulator: Simulator) -> None:
    async with machine(address, "one", simulator) as one:
        planned(one.keeper, "a", simulator, range(60), rate="20/s")
        running = asyncio.create_task(run(one, simulator))
        await until(lambda: creates(simulator))
        planned(one.keeper, "b", simulator, range(100, 110))
        assert (await running).kind is ScopeEndKind.DONE
        assert counts(one, "b") == {Status.CREATED: 10}
        assert counts(one, "a") == {Status.CREATED: 60}


async def test_handed_on_it_is_free_at_once_and_nothing_is_lost(address: Address, simulator: Simulator) -> None:
    async with machine(address, "one", simulator) as one, machine(address, "two", simulator) as two:
        planned(one.keeper, "a", simulator, range(100), rate="50/s")
        hand_on = asyncio.Event()
        running = asyncio.create_task(run(one, simulator, hand_on))
        await until(lambda: len(creates(simulator)) > 20)
        hand_on.set()
        assert (await running).kind is ScopeEndKind.HANDED_ON
        sent = len(creates(simulator))
        assert sent < 100
        held = await take(two, simulator)
        assert held is not None
        assert (await run_scope(held, two, asyncio.Event())).kind is ScopeEndKind.DONE
        assert counts(one, "a") == {Status.CREATED: 100}
        assert len(made(simulator)) == 100


@pytest.mark.slow
async def test_a_scope_that_was_taken_over_is_not_sent_to_any_more(address: Address, simulator: Simulator) -> None:
    """Its holder is told by the next thing it records: nothing more leaves, and what is answered is kept."""
    async with machine(address, "one", simulator) as one, machine(address, "two", simulator) as two:
        planned(one.keeper, "a", simulator, range(100), rate="50/s")
        running = asyncio.create_task(run(one, simulator))
        await until(lambda: len(creates(simulator)) > 20)
        two.keeper.link.do(lambda c: c.execute("UPDATE scopes SET lease_until = clock_timestamp() - interval '2 s'"))
        held = await taken(two, simulator)
        sent = len(creates(simulator))
        assert (await running).kind is ScopeEndKind.LOST
        assert len(creates(simulator)) <= sent + 8  # what had its intent, and was on its way
        assert (await run_scope(held, two, asyncio.Event())).kind is ScopeEndKind.DONE
        assert counts(two, "a") == {Status.CREATED: 100}
        assert sorted(made(simulator)) == sorted(f"job-{n}" for n in range(100))


@pytest.mark.parametrize("reconcile", ["window", "off"])
async def test_an_answer_that_came_too_late_is_taken_for_what_it_is(
    address: Address, simulator: Simulator, reconcile: str
) -> None:
    """Whoever had lost the scope was told an id. The cloud's list does not show it, or may not be asked for; nothing is
    sent again, and nothing left to a person."""
    asked = frozenset({Half.OBJECT})
    async with machine(address, "one", simulator) as one, machine(address, "two", simulator) as two:
        planned(one.keeper, "a", simulator, range(3), reconcile=reconcile)
        before = await taken(one, simulator)
        lane = one.keeper.journal("a").of(one.keeper.wave("a").scopes()[0], before.epoch)
        clock = one.clock
        intent = Intended(
            at=clock.now(), asked=asked, timebase=clock.timebase, monotonic=clock.monotonic(), lease=before.epoch
        )
        await lane.record(Happened(index=1, event=intent))
        two.keeper.link.do(lambda c: c.execute("UPDATE scopes SET lease_until = clock_timestamp() - interval '2 s'"))
        held = await taken(two, simulator)
        answer = Answered(
            at=clock.now(), sent_at=clock.now(), halves={Half.OBJECT: Made("made-then")}, http_status=200,
            request_id="r",
        )  # fmt: skip
        with pytest.raises(LaneLost):
            await lane.record(Happened(index=1, event=answer))
        assert (await run_scope(held, two, asyncio.Event())).kind is ScopeEndKind.DONE
        assert counts(two, "a") == {Status.CREATED: 3}
        assert sorted(made(simulator)) == ["job-0", "job-2"]
        result = two.keeper.wave("a").result_of(1)
        assert result is not None
        assert b"made-then" in result[2]


async def test_a_late_answer_that_tells_nothing_does_not_take_the_look_ups_place(
    address: Address, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever had lost the scope got no answer in time: that leaves the doubt as it was, and would be found at each
    look-up. The list decides, and what is not there is sent again."""
    monkeypatch.setattr(wave_part, "LEAVE_S", 0.5)
    asked = frozenset({Half.OBJECT})
    async with machine(address, "one", simulator) as one, machine(address, "two", simulator) as two:
        planned(one.keeper, "a", simulator, range(3))
        before = await taken(one, simulator)
        lane = one.keeper.journal("a").of(one.keeper.wave("a").scopes()[0], before.epoch)
        clock = one.clock
        intent = Intended(
            at=clock.now(), asked=asked, timebase=clock.timebase, monotonic=clock.monotonic(), lease=before.epoch
        )
        await lane.record(Happened(index=1, event=intent))
        two.keeper.link.do(lambda c: c.execute("UPDATE scopes SET lease_until = clock_timestamp() - interval '2 s'"))
        held = await taken(two, simulator)
        silent = Trouble(fate=Fate.MAYBE, kind=ErrorKind.TIMEOUT, error_msg="no answer within 2 s")
        answer = Answered(
            at=clock.now(), sent_at=clock.now(), halves={Half.OBJECT: silent}, http_status=None, request_id=None
        )
        with pytest.raises(LaneLost):
            await lane.record(Happened(index=1, event=answer))
        async with asyncio.timeout(90):
            assert (await run_scope(held, two, asyncio.Event())).kind is ScopeEndKind.DONE
        assert counts(two, "a") == {Status.CREATED: 3}
        assert sorted(made(simulator)) == ["job-0", "job-1", "job-2"]


async def test_what_was_in_doubt_is_not_remembered_by_who_handed_it_on(address: Address, simulator: Simulator) -> None:
    """Whoever has the scope next finds out. Taken back, it is told by the database what is in doubt then."""
    async with machine(address, "one", simulator) as one:
        planned(one.keeper, "a", simulator, range(2), landing_time=600.0)
        before = await taken(one, simulator)
        lane = one.keeper.journal("a").of(one.keeper.wave("a").scopes()[0], before.epoch)
        intent = Intended(at=one.clock.now(), asked=frozenset({Half.OBJECT}), lease=before.epoch)
        await lane.record(Happened(index=1, event=intent))
        await before.give_back()
        hand_on = asyncio.Event()
        running = asyncio.create_task(run(one, simulator, hand_on))
        jobs = one.connections.channels.to(simulator.url, PROJECT).jobs
        await until(lambda: list(jobs.doubts("job-1", "")))
        hand_on.set()
        assert (await running).kind is ScopeEndKind.HANDED_ON
        assert list(jobs.doubts("job-1", "")) == []


async def test_orders_hold_for_who_runs_it(address: Address, simulator: Simulator) -> None:
    async with machine(address, "one", simulator) as one:
        planned(one.keeper, "a", simulator, range(100), rate="50/s")
        number = one.keeper.wave("a").number
        running = asyncio.create_task(run(one, simulator))
        await until(lambda: len(creates(simulator)) > 10)
        order_wave(one.keeper.link, number, paused="by hand")
        intended = await one.keeper.journal("a").ask(Record.sent_since, 0.0)
        await asyncio.sleep(0.5)
        seen = len(creates(simulator))
        assert {e.index for e, _ in await one.keeper.journal("a").ask(Record.sent_since, 0.0)} <= {
            e.index for e, _ in intended
        }
        await asyncio.sleep(0.5)
        assert len(creates(simulator)) == seen
        order_wave(one.keeper.link, number, paused=None, rate="off")
        await until(lambda: len(creates(simulator)) > seen)
        order_wave(one.keeper.link, number, stop="by hand")
        assert (await running).kind is ScopeEndKind.DONE
        assert look_around(one.keeper.link).work == []
        assert len(creates(simulator)) < 100


async def test_a_pace_that_is_ordered_holds_until_it_is_taken_back(address: Address, simulator: Simulator) -> None:
    def pace() -> str | None:
        statuses = [part.status() for part in one.parts]
        return statuses[0].scopes[0].rate_text if statuses and statuses[0] is not None else None

    async with machine(address, "one", simulator, rate="50/s") as one:
        planned(one.keeper, "a", simulator, range(1000), rate="20/s", concurrency=3)
        number, hand_on = one.keeper.wave("a").number, asyncio.Event()
        running = asyncio.create_task(run(one, simulator, hand_on))
        await until(lambda: pace() == "20/s")
        order_wave(one.keeper.link, number, rate="7/s", concurrency=1)
        await until(lambda: pace() == "7/s")
        order_scope(one.keeper.link, simulator.url, PROJECT, rate="2/s")
        await until(lambda: pace() == "2/s")
        order_scope(one.keeper.link, simulator.url, PROJECT, rate=None)
        await until(lambda: pace() == "7/s")
        order_wave(one.keeper.link, number, rate=None, concurrency=None)
        await until(lambda: pace() == "20/s")
        hand_on.set()
        assert (await running).kind is ScopeEndKind.HANDED_ON


async def test_a_wave_in_which_too_much_failed_is_not_begun(address: Address) -> None:
    async with Simulator(ServiceConfig(latency_s=(0.0, 0.0))) as simulator, machine(address, "one", simulator) as one:
        planned(one.keeper, "a", simulator, range(40), rate="20/s")
        order_wave(one.keeper.link, one.keeper.wave("a").number, max_failures=0)
        assert (await run(one, simulator)).kind is ScopeEndKind.DONE
        assert not [event for event in simulator.ledger if isinstance(event, RequestSeen)]


# --- what is asked right before a request leaves --------------------------------------------------------


def kinds(one: PostgresMachine, wave: str) -> Counter[str]:
    """How many events there are of each kind, and why requests were taken back."""
    number = one.keeper.wave(wave).number
    rows = one.keeper.link.rows("SELECT kind, body FROM events WHERE wave = %s", (number,))
    told = [decode(kind, body) for kind, body in rows]
    return Counter(event.why if isinstance(event, Retracted) else type(event).__name__ for event in told)


_TOO_LONG_AGO = "it was intended too long ago: the request did not leave"


@pytest.mark.parametrize(
    ("lasts_s", "why"),
    [
        (5.0, "the lease on its scope is not to be relied on: the request did not leave"),
        (60.0, _TOO_LONG_AGO),
    ],
)
async def test_what_was_intended_before_a_machine_slept_does_not_leave_after_it(
    address: Address, simulator: Simulator, lasts_s: float, why: str
) -> None:
    """Somebody else may have the scope by then. Where nobody has, the machine goes on with it."""
    clock = SuspendedClock()
    intents = 0

    def sleeps(boundary: str) -> None:
        nonlocal intents
        if boundary == "intent durable":
            intents += 1
            if intents == 5:
                clock.suspended_s += 20.0

    async with machine(address, "one", simulator, clock=clock, lasts_s=lasts_s, watch=sleeps) as one:
        planned(one.keeper, "a", simulator, range(20), rate="50/s")
        held = await taken(one, simulator)
        assert (await run_scope(held, one, asyncio.Event())).kind is ScopeEndKind.DONE
        assert counts(one, "a") == {Status.CREATED: 20}
        told = kinds(one, "a")
        # Whose lease is renewed before it is asked for is told the other: it was intended 20 s ago in any case.
        assert 0 < told[why] + (told[_TOO_LONG_AGO] if why != _TOO_LONG_AGO else 0) <= 8
        assert len(made(simulator)) == len(creates(simulator)) == 20


# --- a database that is away ----------------------------------------------------------------------------


async def restart(cluster: Cluster, wire: Wire, keeper: PostgresKeeper) -> None:
    await asyncio.to_thread(cluster.stop, "immediate")
    await asyncio.to_thread(cluster.start)


async def cut(cluster: Cluster, wire: Wire, keeper: PostgresKeeper) -> None:
    wire.cut()


async def stall(cluster: Cluster, wire: Wire, keeper: PostgresKeeper) -> None:
    stalled = keeper.link.connection
    wire.stall("down")
    stalled.answer_s = 0.5
    await until(lambda: stalled.closed)  # it was given up
    wire.go_on()


FAULTS = {"restart": restart, "cut": cut, "stall": stall}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_database_that_is_away_for_a_moment_costs_no_take_over(simulator: Simulator, fault: str) -> None:
    """Nothing is sent twice, nothing is lost, and whoever has the scope keeps it."""
    cluster = needed()
    wire = Wire(cluster.port)
    try:
        address = prepared(cluster, port=wire.port)
        async with machine(address, "one", simulator, lasts_s=5.0) as one:
            planned(one.keeper, "a", simulator, range(60), rate="40/s")
            held = await taken(one, simulator)
            running = asyncio.create_task(run_scope(held, one, asyncio.Event()))
            await until(lambda: len(creates(simulator)) > 10)
            await FAULTS[fault](cluster, wire, one.keeper)
            end = await running
            assert (end.kind, end.unrecorded) == (ScopeEndKind.DONE, ())
            assert counts(one, "a") == {Status.CREATED: 60}
            assert sorted(made(simulator)) == sorted(f"job-{n}" for n in range(60))
            (after,) = one.keeper.link.rows("SELECT epoch FROM scopes")
            assert after == (held.epoch + 1,)  # by giving it back
    finally:
        wire.close()


async def test_a_database_that_stays_away_ends_the_run_of_a_scope(simulator: Simulator) -> None:
    """What was answered meanwhile is told, and whoever takes the scope looks up what is in doubt."""
    cluster = needed()
    wire = Wire(cluster.port)
    try:
        address = prepared(cluster, port=wire.port)
        direct = Address(cluster.url(), address.schema)
        brief = Patience(answer_s=60.0, grace_s=1.0)
        async with machine(address, "one", simulator, patience=brief, grace=1.0) as one:
            planned(one.keeper, "a", simulator, range(40), rate="20/s", grace=1.0)
            running = asyncio.create_task(run(one, simulator))
            await until(lambda: len(creates(simulator)) > 10)
            wire.close()
            end = await running
            assert end.kind is ScopeEndKind.FAILED
            assert " the journal postgresql://" in str(end.said)
        async with machine(direct, "two", simulator) as two:
            assert (await run(two, simulator)).kind is ScopeEndKind.DONE
            assert counts(two, "a") == {Status.CREATED: 40}
            assert sorted(made(simulator)) == sorted(f"job-{n}" for n in range(40))
    finally:
        wire.close()


async def test_told_to_hand_on_while_a_wave_is_opened_it_sends_nothing_of_it(
    address: Address, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_on, opens = asyncio.Event(), WavePart.open

    async def told_meanwhile(part: WavePart, *args: Any) -> None:
        hand_on.set()
        await opens(part, *args)

    monkeypatch.setattr(WavePart, "open", told_meanwhile)
    async with machine(address, "one", simulator) as one:
        planned(one.keeper, "a", simulator, range(20))
        assert (await run(one, simulator, hand_on)).kind is ScopeEndKind.HANDED_ON
        assert creates(simulator) == []
        assert counts(one, "a") == {}


async def test_a_defect_in_keeping_the_lease_ends_the_run_at_once(
    address: Address, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is raised to whoever runs the scope; nothing leaves any more, and another goes on when the lease is over."""
    async with machine(address, "one", simulator) as one, machine(address, "two", simulator) as two:
        planned(one.keeper, "a", simulator, range(60), rate="10/s")

        async def renew(_: object) -> Lease:
            raise RuntimeError("broken")

        monkeypatch.setattr(one.leases, "renew", renew)
        with pytest.raises(RuntimeError, match="broken"):
            await run(one, simulator)
        sent = len(creates(simulator))
        assert 0 < sent < 60
        assert (await run(two, simulator)).kind is ScopeEndKind.DONE
        assert counts(two, "a") == {Status.CREATED: 60}
        assert len(creates(simulator)) == 60
