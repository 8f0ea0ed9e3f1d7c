"""How a plan goes into the database: while the next entries are read, and not at all where it is broken off."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from msgspec.structs import replace

from batcher.journal.postgres.keeper import PostgresKeeper
from batcher.life.result import Status
from tests.journal.made import OTHER, plan
from tests.journal.postgres.cluster import Cluster, needed, prepared
from tests.journal.postgres.test_link import wait_until
from tests.wave.made import SCOPE, entry

COPIES = "SELECT count(*) FROM pg_stat_progress_copy"
MANY = 3000  # entries: more than the way to the server holds


@pytest.fixture
def cluster() -> Cluster:
    return needed()


@pytest.fixture
def keeper(cluster: Cluster) -> Iterator[PostgresKeeper]:
    with closing(PostgresKeeper(prepared(cluster))) as keeper:
        yield keeper


def test_the_server_takes_entries_in_while_the_next_are_checked(cluster: Cluster, keeper: PostgresKeeper) -> None:
    """In one COPY, which ends where something else has to be written, and nobody waits for in between."""
    record = keeper.new_wave("tested")
    with record.planning() as writes:
        writes.add_scope(SCOPE)
        for part in range(3):
            writes.add_entries(entry(index) for index in range(part * MANY, (part + 1) * MANY))
        wait_until(lambda: cluster.ask("SELECT tuples_processed > 0 FROM pg_stat_progress_copy"))
        assert cluster.ask(COPIES) == 1
        writes.add_invalid(3 * MANY, 3 * MANY + 2, "bad", None, b'{"wave_entries":null}\n')
        writes.add_scope(OTHER)
        assert cluster.ask(COPIES) == 0
        writes.add_entries([replace(entry(3 * MANY + 1), scope=OTHER)])
        writes.finish({"digest": "sha256:0"})
    assert (record.entry_count(), record.scope_sizes()) == (3 * MANY + 2, {0: 3 * MANY, 1: 1})
    assert record.status_counts() == {Status.INVALID: 1}
    assert list(record.lines()) == [b'{"wave_entries":%d}\n' % (3 * MANY + 2)]
    assert record.entry(3 * MANY + 1) == replace(
        entry(3 * MANY + 1), scope=OTHER, shares_job=True, wave_entries=3 * MANY + 2
    )


def test_a_plan_that_is_broken_off_between_two_entries_leaves_nothing(cluster: Cluster, keeper: PostgresKeeper) -> None:
    record = keeper.new_wave("tested")

    def broken_off() -> None:
        with record.planning() as writes:
            writes.add_scope(SCOPE)
            writes.add_entries(map(entry, range(MANY)))
            raise ValueError("the manifest ends in the middle of a row")

    with pytest.raises(ValueError, match="in the middle of a row"):
        broken_off()
    wait_until(lambda: cluster.ask(COPIES) == 0)
    assert not record.is_planned()
    assert keeper.link.rows("SELECT count(*) FROM entries") == [(0,)]
    plan(record, 2)
    assert record.entry_count() == 2
