"""Leases on scopes: two keepers on one database, as two machines have them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from batcher.journal.errors import LaneLost
from batcher.journal.ops import Happened, Noted, Receipt, Settled
from batcher.journal.port import Record
from batcher.journal.postgres.keeper import PostgresKeeper
from batcher.journal.postgres.leases import Lease, Leases
from batcher.life.result import Status
from tests.journal.made import ANSWER, INTENT, OTHER, plan
from tests.journal.postgres.cluster import Cluster, needed, prepared
from tests.wave.made import SCOPE, entry

ENTRIES = 6


@dataclass
class Machine:
    """A keeper of a database and its leases, whose boot clock is told."""

    keeper: PostgresKeeper
    name: str
    boot: float = 1000.0

    def __post_init__(self) -> None:
        self.leases = Leases(self.keeper, self.name, lambda: self.boot)

    async def take(self) -> Lease | None:
        return await self.leases.take(SCOPE.endpoint, SCOPE.project_id)

    async def taken(self) -> Lease:
        lease = await self.take()
        assert lease is not None
        return lease


@pytest.fixture
def cluster() -> Cluster:
    return needed()


@pytest.fixture
async def two(cluster: Cluster) -> AsyncIterator[tuple[Machine, Machine]]:
    """Two machines, and a planned wave."""
    address = prepared(cluster)
    machines = [Machine(PostgresKeeper(address), name) for name in ("one", "two")]
    plan(machines[0].keeper.new_wave("tested"), ENTRIES)
    yield machines[0], machines[1]
    for machine in machines:
        await machine.keeper.aclose()


def run_out(machine: Machine) -> None:
    """The lease of the scope runs out, as if its time had passed."""
    machine.keeper.link.do(
        lambda c: c.execute("UPDATE scopes SET lease_until = clock_timestamp() - interval '2 s' WHERE owner <> ''")
    )


async def test_one_at_a_time_has_a_scope(two: tuple[Machine, Machine]) -> None:
    one, other = two
    lease = await one.taken()
    assert (lease.epoch, lease.free_for_s) == (1, None)
    assert await other.take() is None
    await one.leases.give_back(lease)
    after = await other.taken()
    assert after.epoch > lease.epoch
    assert after.free_for_s is not None
    assert 0 <= after.free_for_s < 60
    with pytest.raises(LaneLost, match="another process has taken it over"):
        await one.leases.renew(lease)


async def test_who_tries_to_take_it_at_the_same_moment_gets_it_once(two: tuple[Machine, Machine]) -> None:
    for _ in range(10):
        taken = await asyncio.gather(*(machine.take() for machine in two))
        (held,) = [(machine, lease) for machine, lease in zip(two, taken, strict=True) if lease is not None]
        await held[0].leases.give_back(held[1])


async def test_a_lease_that_ran_out_goes_on_while_nobody_took_it(two: tuple[Machine, Machine]) -> None:
    """So a database that was away costs no take-over."""
    one, other = two
    lease = await one.taken()
    run_out(one)
    one.boot += 60
    assert not lease.runs_at(one.boot)
    again = await one.leases.renew(lease)
    assert (again.epoch, again.runs_at(one.boot)) == (lease.epoch, True)
    assert await other.take() is None


async def test_its_holder_lets_it_end_before_the_database_does(two: tuple[Machine, Machine]) -> None:
    """Counted from before it asked, less what two clocks may come apart."""
    one, _ = two
    lease = await one.taken()
    assert lease.runs_at(one.boot)
    assert lease.ends_at < one.boot + 15 - 1
    assert not lease.runs_at(lease.ends_at)


async def test_what_a_process_writes_whose_scope_was_taken_over_is_refused(two: tuple[Machine, Machine]) -> None:
    one, other = two
    lease = await one.taken()
    lane = one.keeper.journal("tested").of(SCOPE, lease.epoch)
    await lane.record(Happened(index=0, event=INTENT))
    run_out(one)
    later = await other.taken()
    assert later.epoch == lease.epoch + 1
    assert later.free_for_s is not None
    with pytest.raises(LaneLost, match="another process has taken its scope over"):
        await lane.record(Happened(index=1, event=INTENT))
    with pytest.raises(LaneLost):
        await lane.record(Settled(index=0, status=Status.CREATED, line=b"0\n"), Noted(name="a", value=1))
    record = other.keeper.wave("tested")
    assert (record.events(1), record.next_seq(), "a" in record.facts()) == ([], 0, False)
    theirs = other.keeper.journal("tested").of(SCOPE, later.epoch)
    receipt = await theirs.record(Settled(index=0, status=Status.FAILED, line=b"f\n"))
    assert receipt == Receipt(0, Counter({Status.FAILED: 1}))


async def test_an_answer_to_it_is_kept_beside(two: tuple[Machine, Machine]) -> None:
    one, other = two
    lease = await one.taken()
    lane = one.keeper.journal("tested").of(SCOPE, lease.epoch)
    await lane.record(Happened(index=2, event=INTENT))
    run_out(one)
    await other.taken()
    with pytest.raises(LaneLost):
        await lane.record(Happened(index=2, event=ANSWER), Settled(index=2, status=Status.CREATED, line=b"2\n"))
    record = other.keeper.wave("tested")
    assert record.events(2) == [INTENT]
    assert record.late_answers(2, lease.epoch) == [ANSWER]
    assert record.late_answers(2, lease.epoch + 1) == record.late_answers(1, lease.epoch) == []
    assert record.result_of(2) is None


async def test_other_lanes_of_a_commit_are_written(two: tuple[Machine, Machine]) -> None:
    """One lane lost its scope, the others that share the commit did not."""
    one, other = two
    plan(
        one.keeper.new_wave("wide"),
        [entry(0), replace(entry(1), scope=OTHER)],
        [SCOPE, OTHER],
    )
    mine = await one.taken()
    beside = await one.leases.take(OTHER.endpoint, OTHER.project_id)
    assert beside is not None
    journal = one.keeper.journal("wide")
    lanes = [journal.of(SCOPE, mine.epoch), journal.of(OTHER, beside.epoch)]
    one.keeper.link.do(
        lambda c: c.execute(
            "UPDATE scopes SET lease_until = clock_timestamp() - interval '2 s' WHERE project_id = %s",
            (SCOPE.project_id,),
        )
    )
    await other.taken()
    told = await asyncio.gather(
        *(lane.record(Settled(index=n, status=Status.CREATED, line=b"%d\n" % n)) for n, lane in enumerate(lanes)),
        return_exceptions=True,
    )
    assert [type(one) for one in told] == [LaneLost, Receipt]
    assert await journal.ask(Record.lines_from, 0) == [b"1\n"]


async def test_what_nobody_has_a_lease_for_is_written_as_long_as_nobody_has_one(two: tuple[Machine, Machine]) -> None:
    """Not even one that ran out: its holder may come back to it."""
    one, other = two
    record = other.keeper.wave("tested")
    record.commit([Happened(index=0, event=INTENT)])
    lease = await one.taken()
    for _ in range(2):
        with pytest.raises(LaneLost, match="another process has a lease on what this is about"):
            record.commit([Noted(name="a", value=1)], [Happened(index=1, event=INTENT)])
        run_out(one)
    assert "a" not in record.facts()
    await one.leases.give_back(lease)
    record.commit([Noted(name="a", value=1)], [Happened(index=1, event=INTENT)])
    assert (record.facts()["a"], record.events(1)) == (1, [INTENT])


async def test_taking_a_scope_waits_for_what_is_being_written(cluster: Cluster, two: tuple[Machine, Machine]) -> None:
    """Between the look at the epoch and the commit nobody can take it: that is what FOR SHARE is for."""
    one, other = two
    lease = await one.taken()
    run_out(one)
    lane = one.keeper.journal("tested").of(SCOPE, lease.epoch)
    link = one.keeper.link
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, link.do, lambda c: c.execute("BEGIN"))
    recording = asyncio.ensure_future(lane.record(Happened(index=3, event=INTENT)))
    assert await recording is None  # written, and not committed
    taking = asyncio.ensure_future(other.take())
    while not cluster.ask("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
        assert not taking.done()
        await asyncio.sleep(0.01)
    assert not taking.done()
    await loop.run_in_executor(None, link.do, lambda c: c.execute("COMMIT"))
    assert await taking is not None
    assert other.keeper.wave("tested").events(3) == [INTENT]
    with pytest.raises(LaneLost):
        await lane.record(Happened(index=4, event=INTENT))


async def test_who_has_what_can_be_looked_at(two: tuple[Machine, Machine]) -> None:
    one, other = two
    (free,) = other.leases.look()
    assert (free.project_id, free.epoch, free.owner, free.left_s) == (SCOPE.project_id, 0, None, None)
    await one.taken()
    (held,) = other.leases.look()
    assert (held.owner, held.epoch) == ("one", 1)
    assert held.left_s is not None
    assert 0 < held.left_s <= 15


async def test_taking_again_after_an_answer_was_lost_costs_an_epoch(two: tuple[Machine, Machine]) -> None:
    one, _ = two
    first, again = await one.taken(), await one.taken()
    assert again.epoch == first.epoch + 1
    with pytest.raises(LaneLost):
        await one.keeper.journal("tested").of(SCOPE, first.epoch).record(Happened(index=0, event=INTENT))
