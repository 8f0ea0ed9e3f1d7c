"""A database that fails over to a standby while a worker runs: two real servers, and the cloud's ledger judges."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from batcher.journal.errors import LaneLost
from batcher.journal.ops import Happened
from batcher.journal.place import WavePlace
from batcher.journal.postgres.address import Address
from batcher.journal.postgres.keeper import PostgresKeeper
from batcher.journal.postgres.leases import Leases
from batcher.life.result import Status
from batcher.simulator.ledger import doubles
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from tests.journal.made import INTENT, plan
from tests.journal.postgres.cluster import Cluster, needed, prepared
from tests.machines.made import creates, planned
from tests.machines.test_worker import TOKEN, until, worker
from tests.wave.made import SCOPE

ENTRIES = 60


@pytest.fixture
def primary() -> Iterator[Cluster]:
    needed()
    with ExitStack() as stack:
        made = Cluster.make()
        stack.callback(made.remove)
        yield made


@pytest.fixture
def standby(primary: Cluster) -> Iterator[Cluster]:
    made = primary.standby()
    yield made
    made.remove()


def both(primary: Cluster, standby: Cluster, schema: str) -> Address:
    """The address of whichever of the two takes writes."""
    hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
    return Address(f"postgresql://batcher@{hosts}/postgres?target_session_attrs=read-write", schema)


@pytest.mark.slow
async def test_what_an_asynchronous_standby_forgot_is_looked_up_and_nothing_is_made_twice(
    primary: Cluster, standby: Cluster
) -> None:
    address = both(primary, standby, prepared(primary).schema)
    keeper = PostgresKeeper(address)
    async with (
        Simulator(ServiceConfig()) as simulator,
        worker(str(WavePlace(address)), "--lease", "5", **TOKEN) as process,
    ):
        planned(keeper, "night-3", simulator, range(ENTRIES), rate="10/s")
        await until(lambda: sum(keeper.wave("night-3").status_counts().values()) >= 10)
        standby.stop("fast")  # from here on it hears of nothing
        heard = len(creates(simulator))
        await until(lambda: len(creates(simulator)) >= heard + 15)
        primary.stop("immediate")
        standby.start()
        standby.promote()
        await process.until("database.failed_over")
        await until(lambda: sum(keeper.wave("night-3").status_counts().values()) == ENTRIES)
        (told,) = process.named("database.failed_over")
        assert told["waves"] == ["night-3"]
        assert not doubles(simulator.ledger)
        counts = keeper.wave("night-3").status_counts()
        assert counts[Status.UNSETTLED] >= 10  # made, and forgotten: a person says what became of them
        assert counts[Status.CREATED] + counts[Status.UNSETTLED] == ENTRIES
        process.tell(signal.SIGTERM)
        assert await process.ended() == 0
    keeper.close()


@pytest.mark.slow
async def test_a_synchronous_standby_has_forgotten_nothing(primary: Cluster, standby: Cluster) -> None:
    primary.set("synchronous_standby_names", "standby")
    address = both(primary, standby, prepared(primary).schema)
    keeper = PostgresKeeper(address)
    async with (
        Simulator(ServiceConfig()) as simulator,
        worker(str(WavePlace(address)), "--lease", "5", **TOKEN),
    ):
        planned(keeper, "night-3", simulator, range(ENTRIES), rate="10/s")
        await until(lambda: sum(keeper.wave("night-3").status_counts().values()) >= 20)
        primary.stop("immediate")
        standby.promote()
        await until(lambda: sum(keeper.wave("night-3").status_counts().values()) == ENTRIES)
        assert keeper.wave("night-3").facts()["look_first"] is True
        assert not doubles(simulator.ledger)
        assert keeper.wave("night-3").status_counts() == {Status.CREATED: ENTRIES}
    keeper.close()


async def test_whoever_had_a_scope_before_has_it_no_more_even_with_an_epoch_that_was_forgotten(
    primary: Cluster, standby: Cluster
) -> None:
    """The standby knows the holder before last; the last one's epoch comes round again unless it is leapt over."""
    address = both(primary, standby, prepared(primary).schema)
    one, two = PostgresKeeper(address), PostgresKeeper(address)
    plan(one.new_wave("tested"), 3)
    first, second = (Leases(keeper, name, lambda: 0.0) for keeper, name in ((one, "one"), (two, "two")))
    lease = await first.take(SCOPE.endpoint, SCOPE.project_id)
    assert lease is not None
    await until(lambda: standby.caught_up(primary))
    assert standby.ask(f'SELECT epoch FROM "{address.schema}".scopes') == lease.epoch  # noqa: S608
    standby.stop("fast")
    await first.give_back(lease)
    forgotten = await second.take(SCOPE.endpoint, SCOPE.project_id)
    assert forgotten is not None
    primary.stop("immediate")
    standby.start()
    standby.promote()
    for keeper, old in ((one, lease), (two, forgotten)):
        with pytest.raises(LaneLost):
            await keeper.journal("tested").of(SCOPE, old.epoch).record(Happened(index=0, event=INTENT))
    again = await first.take(SCOPE.endpoint, SCOPE.project_id)
    assert again is not None
    assert again.epoch > forgotten.epoch
    assert one.wave("tested").facts()["look_first"] is True
    await one.aclose()
    await two.aclose()


async def test_a_wave_that_was_planned_before_its_cluster_was_noted_is_only_noted() -> None:
    address = prepared(needed())
    keeper = PostgresKeeper(address)
    plan(keeper.new_wave("tested"), 3)
    (before,) = keeper.link.row("SELECT cluster FROM waves") or ()
    assert before == keeper.link.cluster
    keeper.link.do(lambda c: c.execute("UPDATE waves SET cluster = NULL"))
    leases = Leases(keeper, "one", lambda: 0.0)
    assert await leases.take(SCOPE.endpoint, SCOPE.project_id) is not None
    assert keeper.link.row("SELECT cluster FROM waves") == (before,)
    assert "look_first" not in keeper.wave("tested").facts()
    await keeper.aclose()
