"""Orders in a database that machines share: what they forbid is not intended any more, on whichever machine."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from batcher.errors import UserError
from batcher.journal.errors import IntentRefused, LaneLost
from batcher.journal.ops import Happened, Settled
from batcher.journal.port import Record
from batcher.journal.postgres import schema
from batcher.journal.postgres.address import Address
from batcher.journal.postgres.keeper import PostgresJournal, PostgresKeeper
from batcher.journal.postgres.leases import Leases
from batcher.journal.postgres.link import DatabaseLink, Patience
from batcher.journal.postgres.migrations import migrate, pending, version_of
from batcher.journal.postgres.orders import Orders, hold_until_ordered, order_scope, order_wave, orders_of
from batcher.life.result import Status
from tests.journal.made import ANSWER, GROUPS, INTENT, plan
from tests.journal.postgres.cluster import Cluster, needed, prepared
from tests.wave.made import SCOPE

ENTRIES = 6


@pytest.fixture
def cluster() -> Cluster:
    return needed()


class Shared:
    """A planned wave, and the lane of its scope by a lease."""

    def __init__(self, keeper: PostgresKeeper) -> None:
        self.keeper = keeper
        self.record = keeper.new_wave("tested")
        plan(self.record, ENTRIES)
        self.place = self.record.place_of(SCOPE)

    async def lane(self) -> PostgresJournal:
        leases = Leases(self.keeper, "one", lambda: 0.0)
        lease = await leases.take(SCOPE.endpoint, SCOPE.project_id)
        assert lease is not None
        return self.keeper.journal("tested").of(SCOPE, lease.epoch)

    def order(self, **changes: Any) -> None:
        order_wave(self.keeper.link, self.record.number, **changes)

    def orders(self) -> Orders:
        return orders_of(self.keeper.link, self.record.number, self.place)


@pytest.fixture
async def shared(cluster: Cluster) -> AsyncIterator[Shared]:
    keeper = PostgresKeeper(prepared(cluster))
    yield Shared(keeper)
    await keeper.aclose()


def failed(index: int) -> Settled:
    return Settled(index=index, status=Status.FAILED, line=b"%d\n" % index)


FORBIDDING: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("stopped", {"stop": "by hand"}, {"stop": None}),
    ("paused", {"paused": "by hand"}, {"paused": None}),
    ("deadline", {"deadline_in_s": -0.001}, {"deadline_in_s": 3600.0}),
    ("max_failures", {"max_failures": 1}, {"max_failures": 2}),
    ("max_failures", {"max_failures": 0}, {"max_failures": None}),
]


@pytest.mark.parametrize(("why", "order", "back"), FORBIDDING)
async def test_what_an_order_forbids_is_not_intended(
    shared: Shared, why: str, order: dict[str, Any], back: dict[str, Any]
) -> None:
    """And what was intended before is answered and settled as ever."""
    lane = await shared.lane()
    await lane.record(Happened(index=0, event=INTENT))
    await lane.record(Happened(index=1, event=INTENT))
    await lane.record(Happened(index=0, event=ANSWER), failed(0))
    shared.order(**order)
    assert shared.orders().forbids == why
    told = await asyncio.gather(
        lane.record(Happened(index=2, event=INTENT)),
        lane.record(Happened(index=1, event=ANSWER), Settled(index=1, status=Status.CREATED, line=b"1\n")),
        return_exceptions=True,
    )
    assert isinstance(told[0], IntentRefused)
    assert told[0].why == why
    assert shared.record.events(2) == []
    assert shared.record.events(1) == [INTENT, ANSWER]
    shared.order(**back)
    assert shared.orders().forbids is None
    await lane.record(Happened(index=2, event=INTENT))
    assert shared.record.events(2) == [INTENT]


async def test_a_scope_that_is_paused_is_so_for_all_its_waves(shared: Shared) -> None:
    lane = await shared.lane()
    order_scope(shared.keeper.link, SCOPE.endpoint, SCOPE.project_id, paused="maintenance")
    with pytest.raises(IntentRefused, match="scope paused"):
        await lane.record(Happened(index=0, event=INTENT))
    assert shared.orders().scope_paused == "maintenance"
    order_scope(shared.keeper.link, SCOPE.endpoint, SCOPE.project_id, paused=None, rate="2/s")
    await lane.record(Happened(index=0, event=INTENT))
    assert (shared.orders().scope_paused, shared.orders().scope_rate) == (None, "2/s")
    with pytest.raises(UserError, match=r"no wave in .* has project nowhere"):
        order_scope(shared.keeper.link, SCOPE.endpoint, "nowhere", paused="x")


async def test_whoever_records_is_told_that_the_orders_changed(shared: Shared) -> None:
    lane = await shared.lane()
    assert lane.orders_version == 0
    await lane.record(Happened(index=0, event=INTENT))
    first = lane.orders_version
    assert first == shared.orders().version
    shared.order(rate="3/s", concurrency=2, read_rate="1/s", priority=7)
    await lane.record(Happened(index=1, event=INTENT))
    orders = shared.orders()
    assert lane.orders_version == orders.version == first + 1
    assert (orders.rate, orders.read_rate, orders.concurrency, orders.priority) == ("3/s", "1/s", 2, 7)
    order_scope(shared.keeper.link, SCOPE.endpoint, SCOPE.project_id, rate="1/s")
    await lane.record(Happened(index=2, event=INTENT))
    assert lane.orders_version == first + 2


async def test_a_lost_lease_is_told_before_an_order(shared: Shared) -> None:
    lane = await shared.lane()
    await shared.lane()  # with a new epoch
    shared.order(stop="by hand")
    with pytest.raises(LaneLost):
        await lane.record(Happened(index=0, event=INTENT))


async def test_a_stop_waits_for_what_is_being_intended(cluster: Cluster, shared: Shared) -> None:
    """Once it has returned, no intent comes any more that did not see it."""
    lane = await shared.lane()
    link, loop = shared.keeper.link, asyncio.get_running_loop()
    other = PostgresKeeper(link.address)
    await loop.run_in_executor(None, link.do, lambda c: c.execute("BEGIN"))
    await lane.record(Happened(index=0, event=INTENT))  # written, and not committed
    stopping = loop.run_in_executor(None, lambda: order_wave(other.link, shared.record.number, stop="by hand"))
    while not cluster.ask("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"):
        assert not stopping.done()
        await asyncio.sleep(0.01)
    await loop.run_in_executor(None, link.do, lambda c: c.execute("COMMIT"))
    await stopping
    other.close()
    with pytest.raises(IntentRefused, match="stopped"):
        await lane.record(Happened(index=1, event=INTENT))


async def test_what_each_scope_has_settled_is_counted_as_it_is(shared: Shared) -> None:
    """Also where results are taken back."""
    lane = await shared.lane()
    for group in GROUPS[:4]:
        await lane.record(*group)
    assert await lane.ask(Record.settled_counts) == {0: 2}
    for group in GROUPS[4:]:
        await lane.record(*group)
    assert await lane.ask(Record.settled_counts) == {0: 2}
    assert await lane.ask(Record.scope_sizes) == {0: ENTRIES}


def test_a_database_of_version_1_is_brought_to_this_one(cluster: Cluster) -> None:
    """With what it has: waves, results, and how many each scope has settled."""
    address = Address(cluster.url(), prepared(cluster).schema + "v1")
    link = DatabaseLink(address, Patience())
    link.connection.execute(f'CREATE SCHEMA "{address.schema}"')
    link.connection.execute(schema.MIGRATIONS[0](link.address.schema))
    link.connection.execute(
        "INSERT INTO meta VALUES ('version', '1'); "
        "INSERT INTO scopes (endpoint, project_id) VALUES ('https://drs', 'p'), ('https://drs', 'q'); "
        "INSERT INTO waves (id, planned, entries, next_seq, counts) VALUES ('old', true, 3, 1, '{\"created\": 1}'); "
        "INSERT INTO facts VALUES (1, 'digest', '\"sha256:0\"'), (1, 'entries', '3'); "
        "INSERT INTO wave_scopes VALUES (1, 0, 1), (1, 1, 2); "
        "INSERT INTO entries SELECT 1, i, i + 1, 'k' || i, 1 + i / 2, 'job', NULL, NULL, '{}' "
        "FROM generate_series(0, 2) i; "
        "INSERT INTO results VALUES (1, 0, 1, 'created', 'line')"
    )
    assert pending(link) == [f"bring the tables from version {n} to {n + 1}" for n in range(1, schema.VERSION)]
    migrate(link)
    assert version_of(link) == schema.VERSION
    link.close()
    keeper = PostgresKeeper(address)
    record = keeper.wave("old")
    assert (record.scope_sizes(), record.settled_counts()) == ({0: 2, 1: 1}, {0: 1})
    assert orders_of(keeper.link, record.number).forbids is None
    order_wave(keeper.link, record.number, stop="by hand")
    with pytest.raises(IntentRefused, match="stopped"):
        record.commit([Happened(index=0, event=INTENT)])
    assert record.events(0) == []
    keeper.close()


def test_who_comes_too_late_to_plan_a_wave_does_not_stop_it(cluster: Cluster) -> None:
    """Of two that hand the same wave in at the same moment one plans it, and its orders hold."""
    first = PostgresKeeper(prepared(cluster))
    second = PostgresKeeper(Address(cluster.url(), first.link.address.schema))
    try:
        record = first.new_wave("tested")

        def awaited() -> bool:
            orders = orders_of(first.link, record.number)
            assert orders.stop is None
            return orders.are_awaited

        hold_until_ordered(first.link, record.number)
        assert awaited()
        with record.planning() as writes:
            writes.add_scope(SCOPE)
            order_wave(first.link, record.number, stop=None)
            hold_until_ordered(second.link, record.number)  # does not wait for the plan, either
            assert not awaited()
            writes.finish({"digest": "sha256:0"})
        hold_until_ordered(second.link, record.number)
        assert not awaited()
    finally:
        first.close()
        second.close()
