"""Verdicts in a database that machines share: once each, by the lease on their scope, and no longer than the result."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from batcher.journal.errors import LaneLost
from batcher.journal.ops import Happened, Settled
from batcher.journal.postgres.keeper import PostgresKeeper
from batcher.journal.postgres.leases import Lease, Leases
from batcher.journal.postgres.orders import order_wave
from batcher.journal.postgres.verdicts import FoundVerdict, KeptVerdict, PostgresVerdicts, note_settled, want_verdicts
from batcher.journal.postgres.work import waves_in
from batcher.life.result import Status
from tests.journal.made import AGAIN, INTENT, OTHER
from tests.journal.postgres.cluster import Cluster, needed, prepared
from tests.wave.made import SCOPE, entry

ENTRIES = 6


@pytest.fixture
def cluster() -> Cluster:
    return needed()


class Shared:
    """A planned wave of two scopes, of whose entries the last is in the second, and another one that is invalid."""

    def __init__(self, keeper: PostgresKeeper) -> None:
        self.keeper = keeper
        self.record = record = keeper.new_wave("tested")
        with record.planning() as writes:
            writes.add_scope(SCOPE)
            writes.add_scope(OTHER)
            writes.add_entries([*map(entry, range(ENTRIES - 1)), replace(entry(ENTRIES - 1), scope=OTHER)])
            writes.add_invalid(ENTRIES, ENTRIES + 2, "wrong", None, b"invalid\n")
            writes.finish({"digest": "sha256:0"})
        place = record.place_of(SCOPE)
        assert place is not None
        self.place = place
        self.verdicts = PostgresVerdicts(keeper.link, record.number, record.name)

    async def taken(self, owner: str = "one") -> Lease:
        lease = await Leases(self.keeper, owner, lambda: 0.0).take(SCOPE.endpoint, SCOPE.project_id)
        assert lease is not None
        return lease

    async def settle(self, lease: Lease, *indexes: int) -> None:
        lane = self.keeper.journal("tested").of(SCOPE, lease.epoch)
        for index in indexes:
            await lane.record(Happened(index=index, event=INTENT), created(index))

    async def settle_other(self) -> None:
        """The entry in the second scope."""
        lease = await Leases(self.keeper, "one", lambda: 0.0).take(OTHER.endpoint, OTHER.project_id)
        assert lease is not None
        await self.keeper.journal("tested").of(OTHER, lease.epoch).record(created(ENTRIES - 1))

    def decided(self) -> dict[int, int]:
        """How many have a verdict, by the scope's number in the wave."""
        rows = self.keeper.link.rows("SELECT number, decided FROM wave_scopes WHERE wave = %s", (self.record.number,))
        return dict(rows)

    def counts(self) -> dict[str, int]:
        row = self.keeper.link.row("SELECT verdicts FROM waves WHERE number = %s", (self.record.number,))
        assert row is not None
        return {name: count for name, count in row[0].items() if count}

    def is_work(self) -> bool:
        return any(one.follows for one in waves_in(self.keeper.link, SCOPE.endpoint, SCOPE.project_id))


@pytest.fixture
async def shared(cluster: Cluster) -> AsyncIterator[Shared]:
    keeper = PostgresKeeper(prepared(cluster))
    yield Shared(keeper)
    await keeper.aclose()


def created(index: int) -> Settled:
    return Settled(index=index, status=Status.CREATED, line=b"result %d\n" % index)


def verdict(index: int, said: str = "consistent") -> KeptVerdict:
    return KeptVerdict(index, said, b"verdict %d\n" % index)


async def test_they_are_told_in_the_order_in_which_they_became_durable(shared: Shared) -> None:
    lease = await shared.taken()
    await shared.settle(lease, 0, 1, 2)
    assert [line for _, line in shared.verdicts.undecided(shared.place, -1, 10)] == [
        b"result 0\n",
        b"result 1\n",
        b"result 2\n",
    ]
    shared.verdicts.record([verdict(2), verdict(0, "inconsistent")], shared.place, lease.epoch)
    shared.verdicts.record([verdict(1)], shared.place, lease.epoch)
    assert shared.verdicts.numbered_lines(-1, 10) == [(0, b"verdict 2\n"), (1, b"verdict 0\n"), (2, b"verdict 1\n")]
    assert shared.verdicts.numbered_lines(0, 1) == [(1, b"verdict 0\n")]
    assert shared.verdicts.undecided(shared.place, -1, 10) == []
    assert shared.decided() == {0: 3, 1: 0}
    assert shared.counts() == {"consistent": 2, "inconsistent": 1}


async def test_what_comes_twice_is_there_once(shared: Shared) -> None:
    """A statement whose answer was lost is done again, and a verdict that is there stays as it was."""
    lease = await shared.taken()
    await shared.settle(lease, 0, 1)
    shared.verdicts.record([verdict(0)], shared.place, lease.epoch)
    shared.verdicts.record([verdict(1), verdict(0, "failed")], shared.place, lease.epoch)
    assert shared.verdicts.numbered_lines(-1, 10) == [(0, b"verdict 0\n"), (1, b"verdict 1\n")]
    assert shared.counts() == {"consistent": 2}
    assert shared.decided()[0] == 2


async def test_who_has_lost_the_scope_writes_none(shared: Shared) -> None:
    lease = await shared.taken()
    await shared.settle(lease, 0)
    await Leases(shared.keeper, "one", lambda: 0.0).give_back(lease)
    with pytest.raises(LaneLost):
        shared.verdicts.record([verdict(0)], shared.place, lease.epoch)
    assert shared.verdicts.numbered_lines(-1, 10) == []
    again = await shared.taken("another")
    shared.verdicts.record([verdict(0)], shared.place, again.epoch)
    assert len(shared.verdicts.numbered_lines(-1, 10)) == 1


async def test_none_is_kept_of_what_has_no_result_or_is_elsewhere(shared: Shared) -> None:
    """Not even by who has the lease: verdicts of another scope are for its own holder."""
    lease = await shared.taken()
    await shared.settle(lease, 0)
    shared.verdicts.record([verdict(0), verdict(1), verdict(ENTRIES - 1), verdict(ENTRIES)], shared.place, lease.epoch)
    assert [line for _, line in shared.verdicts.numbered_lines(-1, 10)] == [b"verdict 0\n"]


async def test_those_of_entries_in_no_scope_are_nobodys(shared: Shared) -> None:
    lease = await shared.taken()
    await shared.settle(lease, 0)
    assert [line for _, line in shared.verdicts.undecided(None, -1, 10)] == [b"invalid\n"]
    shared.verdicts.record([verdict(ENTRIES, "unknown"), verdict(0)])
    assert [line for _, line in shared.verdicts.numbered_lines(-1, 10)] == [b"verdict 6\n"]
    assert shared.verdicts.undecided(None, -1, 10) == []


async def test_a_result_that_is_taken_back_takes_its_verdict_along(shared: Shared) -> None:
    lease = await shared.taken()
    await shared.settle(lease, 0, 1)
    shared.verdicts.record([verdict(0, "failed"), verdict(1)], shared.place, lease.epoch)
    await Leases(shared.keeper, "one", lambda: 0.0).give_back(lease)
    shared.record.commit([Happened(index=0, event=AGAIN)])
    assert shared.verdicts.numbered_lines(-1, 10) == [(1, b"verdict 1\n")]
    assert (shared.decided()[0], shared.counts()) == (1, {"consistent": 1})
    lease = await shared.taken()
    await shared.settle(lease, 0)
    shared.verdicts.record([verdict(0)], shared.place, lease.epoch)
    assert shared.verdicts.numbered_lines(1, 10) == [(2, b"verdict 0\n")]  # behind what a reader has seen


async def test_one_that_was_found_without_a_lease_is_on_the_result_that_it_names(shared: Shared) -> None:
    """Not on one that took its place meanwhile; and what is there stays, whoever found it."""
    lease = await shared.taken()
    await shared.settle(lease, 0, 1, 2)
    await shared.settle_other()
    shared.verdicts.record([verdict(1)], shared.place, lease.epoch)
    there = shared.verdicts.undecided_of([0, 1, 2, 4, ENTRIES - 1])
    assert there == {
        0: (there[0][0], b"result 0\n"),
        2: (there[2][0], b"result 2\n"),
        ENTRIES - 1: (there[ENTRIES - 1][0], b"result 5\n"),
    }
    await Leases(shared.keeper, "one", lambda: 0.0).give_back(lease)
    shared.record.commit([Happened(index=0, event=AGAIN)])
    await shared.settle(await shared.taken(), 0)
    found = [
        FoundVerdict(seq, verdict(index, said))
        for index, (seq, _), said in (
            (0, there[0], "failed"),
            (2, there[2], "inconsistent"),
            (ENTRIES - 1, there[ENTRIES - 1], "consistent"),
        )
    ]
    assert shared.verdicts.record_found([*found, FoundVerdict(1, verdict(1, "failed"))]) == 2
    assert shared.counts() == {"consistent": 2, "inconsistent": 1}
    assert shared.decided() == {0: 2, 1: 1}
    assert shared.verdicts.record_found(found) == 0
    assert [line for _, line in shared.verdicts.numbered_lines(-1, 10)] == [
        b"verdict 1\n", b"verdict 2\n", b"verdict 5\n",
    ]  # fmt: skip
    (anew,) = shared.verdicts.undecided_of([0, 1, 2]).values()
    assert shared.verdicts.record_found([FoundVerdict(anew[0], verdict(0))]) == 1
    assert shared.decided() == {0: 3, 1: 1}


async def test_they_are_looked_for_in_a_part_of_a_large_wave_after_the_other(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batcher.journal.postgres.verdicts._PART", 1)
    lease = await shared.taken()
    await shared.settle(lease, 0, 1, 2, 3, 4)
    shared.verdicts.record([verdict(index) for index in range(4)], shared.place, lease.epoch)
    assert [line for _, line in shared.verdicts.undecided(shared.place, -1, 10)] == [b"result 4\n"]
    looking = asyncio.create_task(shared.keeper.undecided(shared.record.number, shared.place, -1, 10))
    await asyncio.sleep(0)
    await shared.keeper.orders(shared.record.number, shared.place)  # it comes between
    assert not looking.done()
    assert [line for _, line in await looking] == [b"result 4\n"]
    assert await shared.keeper.undecided(shared.record.number, shared.place, 5, 10) == []


async def test_what_is_wanted_and_not_there_is_work(shared: Shared) -> None:
    """Also after the deadline, once all is settled; not after a stop, nor after the time for it is over."""
    lease = await shared.taken()
    await shared.settle(lease, 0, 1, 2, 3)
    assert not shared.is_work()  # nobody wants to know
    want_verdicts(shared.keeper.link, shared.record.number)
    assert shared.is_work()
    order_wave(shared.keeper.link, shared.record.number, paused="by hand")
    assert shared.is_work()
    order_wave(shared.keeper.link, shared.record.number, paused=None, deadline_in_s=-1.0)
    assert not shared.is_work()  # the wave ended before its time
    order_wave(shared.keeper.link, shared.record.number, deadline_in_s=None)
    await shared.settle(lease, 4)
    await shared.settle_other()
    order_wave(shared.keeper.link, shared.record.number, deadline_in_s=-1.0)
    assert shared.is_work()
    order_wave(shared.keeper.link, shared.record.number, stop="by hand")
    assert not shared.is_work()
    order_wave(shared.keeper.link, shared.record.number, stop=None)
    shared.verdicts.record([verdict(index) for index in range(5)], shared.place, lease.epoch)
    assert not shared.is_work()
    assert any(one.follows for one in waves_in(shared.keeper.link, OTHER.endpoint, OTHER.project_id))


async def test_the_time_for_them_counts_from_when_all_is_settled(shared: Shared) -> None:
    lease = await shared.taken()
    await shared.settle(lease, *range(ENTRIES - 1))
    note_settled(shared.keeper.link, shared.record.number)  # nobody wants any: nothing counts
    want_verdicts(shared.keeper.link, shared.record.number, watch_timeout_s=0.000001)
    note_settled(shared.keeper.link, shared.record.number)
    assert shared.is_work()  # an entry of the other scope has no result yet
    await shared.settle_other()
    want_verdicts(shared.keeper.link, shared.record.number, watch_timeout_s=3600.0)
    assert shared.is_work()
    note_settled(shared.keeper.link, shared.record.number)
    assert shared.is_work()
    want_verdicts(shared.keeper.link, shared.record.number, watch_timeout_s=0.000001)
    assert shared.is_work()
    note_settled(shared.keeper.link, shared.record.number)
    assert not shared.is_work()
    note_settled(shared.keeper.link, shared.record.number)  # it does not begin anew
    assert not shared.is_work()
