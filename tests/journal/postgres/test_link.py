"""What happens between us and the database: stalls, cuts, crashes, standbys, and servers that cannot be trusted."""

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial

import psycopg
import pytest

from batcher.clock import SystemClock
from batcher.journal.errors import IntentRefused, JournalFailed, LaneLost, NotAJournal, WaveRefused
from batcher.journal.ops import Happened, Op, Receipt, Settled
from batcher.journal.port import Journal
from batcher.journal.postgres.address import Address
from batcher.journal.postgres.keeper import PostgresKeeper
from batcher.journal.postgres.leases import Leases
from batcher.journal.postgres.link import DatabaseLink, Patience
from batcher.journal.postgres.migrations import migrate, pending
from batcher.journal.postgres.orders import order_wave
from batcher.life.policy import Policy
from batcher.life.result import Status
from batcher.wave.collector import NoLines
from batcher.wave.context import Context
from batcher.wave.status import WaveCounts
from batcher.wave.stop import Stopping
from tests.journal.made import ANSWER, INTENT, plan
from tests.journal.postgres.cluster import Cluster, needed, prepared
from tests.journal.postgres.wire import Wire
from tests.wave.made import SCOPE

ENTRIES = 40
SOON = Patience(answer_s=60.0)
AT_ONCE = Patience(answer_s=60.0, grace_s=0.0)


@pytest.fixture
def cluster() -> Cluster:
    return needed()


@pytest.fixture
def wire(cluster: Cluster) -> Iterator[Wire]:
    wire = Wire(cluster.port)
    yield wire
    wire.close()


@pytest.fixture
def opened(cluster: Cluster, wire: Wire) -> Iterator[Callable[[Patience], PostgresKeeper]]:
    """Opens keepers of one schema, with a planned wave, by way of the wire."""
    address = prepared(cluster, port=wire.port)
    keepers: list[PostgresKeeper] = []
    direct = PostgresKeeper(Address(cluster.url(), address.schema))
    plan(direct.new_wave("tested"), ENTRIES)

    def open_(patience: Patience) -> PostgresKeeper:
        keepers.append(PostgresKeeper(address, patience=patience))
        keepers[-1].wave("tested").events(0)
        return keepers[-1]

    yield open_
    for keeper in (direct, *keepers):
        keeper.close()


def stall(wire: Wire, way: str, keeper: PostgresKeeper) -> None:
    """Stall the wire that *way*, and have *keeper* wait for the answer to its next statement for a moment alone.

    It waits for whatever it does next as its patience has it: a busy machine takes longer for that than for nothing.
    """
    wire.stall(way)
    keeper.link.connection.answer_s = 0.5


def in_thread(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """*work* in a thread, and what it gave or raised once that has ended."""
    told: list[object] = []

    def run() -> None:
        try:
            told.append(work())
        except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
            told.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, told


def wait_until(is_so: Callable[[], object]) -> None:
    """Until *is_so*; the test's own patience ends it otherwise."""
    gate, until = threading.Event(), time.monotonic() + 90.0
    while not is_so():
        assert time.monotonic() < until, "it did not come to that"
        gate.wait(0.01)


CREATED = Settled(index=0, status=Status.CREATED, line=b"0\n")


def test_an_answer_that_does_not_come_is_looked_for(wire: Wire, opened: Callable[[Patience], PostgresKeeper]) -> None:
    """The server has it, and its answer stalls: given up by the socket, tried again, and recorded once."""
    keeper = opened(SOON)
    record = keeper.wave("tested")
    stall(wire, "down", keeper)
    (receipt,) = record.commit([Happened(index=0, event=INTENT), CREATED])
    assert receipt is not None
    assert (receipt.seq, receipt.counts) == (0, {Status.CREATED: 1})
    assert record.events(0) == [INTENT]
    assert list(record.lines()) == [b"0\n"]


def test_what_stalled_on_its_way_comes_late_and_is_not_recorded_again(
    cluster: Cluster, wire: Wire, opened: Callable[[Patience], PostgresKeeper]
) -> None:
    keeper = opened(SOON)
    record = keeper.wave("tested")
    stall(wire, "up", keeper)
    record.commit([Happened(index=0, event=INTENT)])
    assert record.events(0) == [INTENT]
    wire.go_on()
    wait_until(lambda: cluster.ask("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'batcher'") <= 2)
    assert record.events(0) == [INTENT]


def test_what_was_given_up_does_not_come_after_what_was_written_later(
    cluster: Cluster, wire: Wire, opened: Callable[[Patience], PostgresKeeper]
) -> None:
    keeper = opened(AT_ONCE)
    record = keeper.wave("tested")
    stall(wire, "up", keeper)
    with pytest.raises(JournalFailed, match=r"cannot write the journal postgresql://.*: no answer within 0\.5 s"):
        record.commit([Happened(index=0, event=INTENT)])
    record.commit([Happened(index=1, event=INTENT)])
    wire.go_on()
    wait_until(lambda: cluster.ask("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'batcher'") <= 2)
    assert (record.events(0), record.events(1)) == ([], [INTENT])


@pytest.mark.parametrize("way", ["up", "down"])
@pytest.mark.parametrize("ops", [(Happened(index=0, event=ANSWER),), (Happened(index=0, event=ANSWER), CREATED)])
async def test_what_the_cloud_told_is_written_once_though_its_commit_failed(
    cluster: Cluster,
    wire: Wire,
    opened: Callable[[Patience], PostgresKeeper],
    ops: tuple[Op, ...],
    way: str,
) -> None:
    """The server has it, or gets it later, and nobody hears: it is looked for before it is written again."""
    keeper = opened(AT_ONCE)
    context = surroundings(keeper.journal("tested"))
    stall(wire, way, keeper)
    async with asyncio.timeout(90):
        receipt = await context.record_surely(lambda: "what was told", *ops)
    wire.go_on()
    wait_until(lambda: cluster.ask("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'batcher'") <= 2)
    await keeper.aclose()
    record = opened(SOON).wave("tested")
    assert record.events(0) == [ANSWER]
    assert list(record.lines()) == [b"0\n"] * (len(ops) - 1)
    assert receipt == (None if len(ops) == 1 else Receipt(0, Counter({Status.CREATED: 1})))
    assert context.stopping.why is not None


def surroundings(journal: Journal) -> Context:
    """Those of a wave that is run by this *journal* alone."""
    stopping = Stopping()
    return Context(
        policy=Policy(),
        clock=SystemClock(),
        rng=random.Random(1),
        journal=journal,
        collector=NoLines(stopping),
        counts=WaveCounts(SystemClock(), ENTRIES, {}),
        stopping=stopping,
        on_result=lambda _: None,
    )


async def test_what_was_refused_is_refused_again_when_its_commit_is_repeated(
    cluster: Cluster, wire: Wire, opened: Callable[[Patience], PostgresKeeper]
) -> None:
    """And no later one is: what a lane was told once, it is told for that commit and no other."""
    keeper = opened(SOON)
    direct = PostgresKeeper(Address(cluster.url(), keeper.link.address.schema))
    mine, theirs = (Leases(whose, name, lambda: 0.0) for whose, name in ((keeper, "one"), (direct, "two")))
    lease = await mine.take(SCOPE.endpoint, SCOPE.project_id)
    assert lease is not None
    lane = keeper.journal("tested").of(SCOPE, lease.epoch)
    direct.link.do(lambda c: c.execute("UPDATE scopes SET lease_until = clock_timestamp() - interval '2 s'"))
    later = await theirs.take(SCOPE.endpoint, SCOPE.project_id)
    assert later is not None
    stall(wire, "down", keeper)
    with pytest.raises(LaneLost, match="another process has taken its scope over"):
        await lane.record(Happened(index=0, event=INTENT))
    await theirs.give_back(later)
    again = await mine.take(SCOPE.endpoint, SCOPE.project_id)
    assert again is not None
    lane = keeper.journal("tested").of(SCOPE, again.epoch)
    stall(wire, "down", keeper)
    await lane.record(Happened(index=1, event=INTENT))
    order_wave(direct.link, direct.wave("tested").number, paused="by hand")
    stall(wire, "down", keeper)
    with pytest.raises(IntentRefused, match="paused"):
        await lane.record(Happened(index=2, event=INTENT))
    order_wave(direct.link, direct.wave("tested").number, paused=None)
    stall(wire, "down", keeper)
    await lane.record(Happened(index=3, event=INTENT))
    assert [direct.wave("tested").events(index) for index in range(4)] == [[], [INTENT], [], [INTENT]]
    direct.close()


async def test_nothing_is_lost_and_nothing_twice_while_the_wire_is_cut_and_the_server_crashes(
    cluster: Cluster, wire: Wire, opened: Callable[[Patience], PostgresKeeper]
) -> None:
    keeper = opened(Patience(answer_s=60.0))
    journal = keeper.journal("tested")

    async def settle(index: int) -> int:
        await journal.record(Happened(index=index, event=INTENT))
        receipt = await journal.record(Settled(index=index, status=Status.CREATED, line=b"%d\n" % index))
        assert receipt is not None
        return receipt.seq

    async def faults() -> None:
        for number in range(5):
            await asyncio.sleep(0.02)
            wire.cut()
            if number == 2:
                await asyncio.to_thread(cluster.stop, "immediate")
                await asyncio.to_thread(cluster.start)

    async def all_of_them() -> list[int]:
        seqs = []
        for index in range(ENTRIES):
            seqs.append(await settle(index))
            await asyncio.sleep(0.005)
        return seqs

    seqs, _ = await asyncio.gather(all_of_them(), faults())
    record = keeper.wave("tested")
    assert seqs == list(range(ENTRIES))
    assert [record.events(index) for index in range(ENTRIES)] == [[INTENT]] * ENTRIES
    assert list(record.lines()) == [b"%d\n" % index for index in range(ENTRIES)]
    await keeper.aclose()


def test_a_server_that_stays_away_is_a_failure_once_patience_ends(
    wire: Wire, opened: Callable[[Patience], PostgresKeeper]
) -> None:
    keeper = opened(Patience(answer_s=60.0, grace_s=0.3))
    wire.close()
    with pytest.raises(JournalFailed, match="cannot write the journal"):
        keeper.wave("tested").commit([Happened(index=0, event=INTENT)])
    with pytest.raises(JournalFailed, match="cannot read the journal"):
        keeper.wave("tested").events(0)


async def test_a_journal_that_closes_while_the_server_is_away_does_not_wait_for_it(
    wire: Wire, opened: Callable[[Patience], PostgresKeeper]
) -> None:
    keeper = opened(Patience(answer_s=60.0, grace_s=3600.0))
    recording = asyncio.ensure_future(keeper.journal("tested").record(Happened(index=0, event=INTENT)))
    wire.close()
    await asyncio.sleep(0.05)
    await keeper.aclose()
    (told,) = await asyncio.gather(recording, return_exceptions=True)
    assert told is None or isinstance(told, JournalFailed)


# --- standbys -------------------------------------------------------------------------------------------


@pytest.fixture
def standby_away(cluster: Cluster) -> Iterator[None]:
    """The server waits for a standby that is not there."""
    cluster.set("synchronous_standby_names", "nobody")
    wait_until(lambda: cluster.ask("SHOW synchronous_standby_names") == "nobody")
    yield
    _standby_back(cluster)


def _standby_back(cluster: Cluster) -> None:
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute("SET synchronous_commit = local")
        connection.execute("ALTER SYSTEM RESET synchronous_standby_names")
        connection.execute("SELECT pg_reload_conf()")


WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
CANCEL = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


def _is_gone(cluster: Cluster, process: int) -> bool:
    return not cluster.ask("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", process)


def test_a_cancelled_wait_for_a_standby_is_no_success(
    cluster: Cluster, opened: Callable[[Patience], PostgresKeeper], request: pytest.FixtureRequest
) -> None:
    """PostgreSQL answers it with success, and a warning."""
    record = opened(Patience(answer_s=30.0, grace_s=0.0)).wave("tested")
    request.getfixturevalue("standby_away")
    thread, told = in_thread(lambda: record.commit([Happened(index=0, event=INTENT)]))
    wait_until(lambda: cluster.ask(WAITING))
    cluster.ask(CANCEL)
    thread.join()
    assert isinstance(told[0], JournalFailed)
    assert "did not wait for its standby" in str(told[0])


def test_a_commit_whose_wait_for_a_standby_was_cancelled_waits_anew(
    cluster: Cluster, opened: Callable[[Patience], PostgresKeeper], request: pytest.FixtureRequest
) -> None:
    record = opened(Patience(answer_s=30.0)).wave("tested")
    request.getfixturevalue("standby_away")
    thread, told = in_thread(lambda: record.commit([Happened(index=0, event=INTENT), CREATED]))
    for _ in range(2):
        wait_until(lambda: cluster.ask(WAITING))
        assert told == []
        waiting = cluster.ask("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
        cluster.ask(CANCEL)
        wait_until(partial(_is_gone, cluster, waiting))
    _standby_back(cluster)
    thread.join()
    (receipts,) = told
    assert isinstance(receipts, list)
    assert isinstance(receipts[0], Receipt)
    assert (receipts[0].seq, record.events(0)) == (0, [INTENT])


# --- servers that cannot be trusted ---------------------------------------------------------------------


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
def test_a_server_that_does_not_sync_is_refused(cluster: Cluster, setting: str) -> None:
    address = prepared(cluster)
    cluster.set(setting, "off")
    try:
        wait_until(lambda: cluster.ask(f"SHOW {setting}") == "off")
        with pytest.raises(WaveRefused, match=f"its server has {setting} = off, .* set {setting} = on"):
            PostgresKeeper(address)
    finally:
        cluster.set(setting, None)
        wait_until(lambda: cluster.ask(f"SHOW {setting}") == "on")


def test_commits_are_synchronous_whatever_the_role_has(cluster: Cluster) -> None:
    address = prepared(cluster)
    cluster.ask("ALTER ROLE batcher SET synchronous_commit = off")
    try:
        assert cluster.ask("SHOW synchronous_commit") == "off"
        keeper = PostgresKeeper(address)
        assert keeper.link.row("SHOW synchronous_commit") == ("on",)
        keeper.close()
    finally:
        cluster.ask("ALTER ROLE batcher RESET synchronous_commit")


def test_a_database_of_another_encoding_is_refused(cluster: Cluster) -> None:
    cluster.ask("CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0")
    with pytest.raises(WaveRefused, match="its encoding is SQL_ASCII: make one with CREATE DATABASE"):
        PostgresKeeper(Address(cluster.url("ascii")))


def test_where_nobody_answers_the_way_out_is_told(wire: Wire, cluster: Cluster) -> None:
    wire.close()
    with pytest.raises(JournalFailed, match=r"cannot reach the database .* See that the server runs"):
        PostgresKeeper(Address(cluster.url(port=wire.port)))
    with pytest.raises(JournalFailed, match=r'database "nowhere" does not exist\. Make it with'):
        PostgresKeeper(Address(cluster.url("nowhere")))


# --- tables ---------------------------------------------------------------------------------------------


def test_a_database_has_to_be_prepared(cluster: Cluster) -> None:
    address = Address(cluster.url(), "unprepared")
    with pytest.raises(NotAJournal, match="no tables of batcher yet: batcher database prepare URL --apply"):
        PostgresKeeper(address)


def test_tables_of_another_version_are_refused(cluster: Cluster) -> None:
    address = prepared(cluster)
    for version, why in (("99", "use the version of batcher that prepared them"), ("0", "older than this batcher's")):
        link = DatabaseLink(address, AT_ONCE)
        link.do(lambda c, version=version: c.execute("UPDATE meta SET value = %s", (version,)))  # type: ignore[misc]
        link.close()
        with pytest.raises(NotAJournal, match=why):
            PostgresKeeper(address)


def test_who_prepares_it_at_the_same_moment_waits_and_finds_it_done(cluster: Cluster) -> None:
    address = Address(cluster.url(), "at_once")
    links = [DatabaseLink(address, Patience(answer_s=30)) for _ in range(4)]
    runs = [in_thread(partial(migrate, link)) for link in links]
    for thread, _ in runs:
        thread.join()
    assert [told for _, told in runs] == [[None]] * len(links)
    assert pending(links[0]) == []
    for link in links:
        link.close()


# --- addresses ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter22@db/fleet",
        "postgresql://db/fleet?user=me&password=hunter22",
        "postgresql://me@db/fleet?sslpassword=hunter22",
        "postgres://me:@db/fleet",
    ],
)
def test_a_password_in_an_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(WaveRefused, match=r"holds a password, .*/\.pgpass") as refused:
        Address.of(url)
    assert "hunter22" not in str(refused.value)


@pytest.mark.parametrize("url", ["db/fleet", "sqlite:///hunter22", "postgresql://db/fleet?hunter22"])
def test_what_is_no_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(WaveRefused, match="write postgresql://HOST/DATABASE") as refused:
        DatabaseLink(Address.of(url), AT_ONCE)
    assert "hunter22" not in str(refused.value)


def test_what_is_about_the_connection_alone_is_not_shown() -> None:
    said = str(Address.of("postgresql://me@db:5433/fleet?sslmode=verify-full&sslrootcert=/etc/ca.pem"))
    assert said == "postgresql://me@db:5433/fleet"
    assert str(Address.of("postgresql://?service=fleet")) == "postgresql://?service=fleet"
    with pytest.raises(WaveRefused, match="leave options= out"):
        Address.of("postgresql://db/fleet?options=-cfsync%3Doff")
