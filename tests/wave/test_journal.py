"""The journal: many share a sync, what it took is durable, what it could not take is said."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path

import pytest

from batcher.journal.ops import Happened, Noted, Op, Settled
from batcher.journal.port import JournalFailed, ThreadedJournal
from batcher.journal.sqlite.schema import FORMAT, NotAJournal, prepare
from batcher.journal.sqlite.store import Store
from batcher.life.events import Answered, Intended
from batcher.life.result import Status
from tests.wave.made import DATA, NOON, SCOPE, entry

INTENT = Intended(at=NOON, asked=frozenset({DATA}))


class Counted(Store):
    """A store that counts its commits, and fails while it is told to."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self.commits: list[int] = []
        self.full = False

    def commit(self, ops: Iterable[Op]) -> None:
        several = list(ops)
        self.commits.append(len(several))
        if self.full:
            raise sqlite3.OperationalError("database or disk is full")
        super().commit(several)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Counted.open(tmp_path / "journal")
    plan(store, 300)
    yield store
    store.close()


@pytest.fixture
async def journal(store: Counted) -> AsyncIterator[ThreadedJournal]:
    journal = ThreadedJournal(store, "the journal")
    yield journal
    await journal.aclose()


def plan(store: Store, entries: int) -> None:
    store.begin()
    store.add_scope(SCOPE)
    store.add_entries(entry(index) for index in range(entries))
    store.finish_plan({"digest": "sha256:0"})


async def test_hundreds_share_a_sync(journal: ThreadedJournal, store: Counted) -> None:
    await asyncio.gather(*(journal.record(Happened(index=index, event=INTENT)) for index in range(300)))
    assert sum(store.commits) == 300
    assert len(store.commits) < 30


async def test_a_read_sees_all_that_was_recorded_before(journal: ThreadedJournal) -> None:
    recorded = [asyncio.ensure_future(journal.record(Happened(index=7, event=INTENT))) for _ in range(3)]
    await asyncio.sleep(0)
    assert await journal.read(lambda store: store.events(7)) == [INTENT] * 3
    await asyncio.gather(*recorded)


async def test_what_is_handed_over_is_written_though_the_caller_is_cancelled(journal: ThreadedJournal) -> None:
    task = asyncio.ensure_future(journal.record(Happened(index=1, event=INTENT)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await journal.read(lambda store: store.events(1)) == [INTENT]


async def test_a_full_disk_is_said_and_nothing_of_the_group_is_half_there(
    journal: ThreadedJournal, store: Counted
) -> None:
    store.full = True
    with pytest.raises(JournalFailed, match="the journal: database or disk is full"):
        await journal.record(Happened(index=1, event=INTENT))
    store.full = False
    await journal.record(Happened(index=2, event=INTENT))
    assert await journal.read(lambda store: (store.events(1), store.events(2))) == ([], [INTENT])


async def test_what_cannot_be_written_at_all_is_a_defect_that_nobody_waits_for(journal: ThreadedJournal) -> None:
    """An op that no journal can hold ends in an error for those who asked, and the thread lives on."""
    unwritable = Answered(at=NOON, sent_at=NOON, halves={}, http_status=200, request_id="\udcff")
    with pytest.raises(UnicodeEncodeError, match="surrogates"):
        await asyncio.wait_for(journal.record(Happened(index=1, event=unwritable)), 5)
    await journal.record(Happened(index=2, event=INTENT))


async def test_a_commit_is_all_or_nothing(store: Counted) -> None:
    line = Settled(index=1, seq=0, status=Status.FAILED, line=b"{}\n")
    store.commit([line])
    with pytest.raises(sqlite3.IntegrityError):
        store.commit([Happened(index=2, event=INTENT), line])
    assert store.events(2) == []
    store.close()


async def test_a_closed_journal_takes_nothing(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "other")
    journal = ThreadedJournal(store, "the journal")
    await journal.aclose()
    with pytest.raises(JournalFailed, match="closed"):
        await journal.record(Noted(name="a", value=1))


async def test_what_was_recorded_is_there_for_the_next_process(tmp_path: Path, store: Counted) -> None:
    store.commit([Happened(index=3, event=INTENT), Settled(index=4, seq=0, status=Status.CREATED, line=b"{}\n")])
    store.close()
    again = Store.open(tmp_path / "journal")
    assert [item.index for item, _ in again.open_entries(0, -1, 500)] == [3]
    assert 3 not in [item.index for item in again.planned(0, -1, 500)]
    assert again.status_counts() == {Status.CREATED: 1}
    assert again.next_seq() == 1
    again.close()


def test_another_format_is_refused_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    Store.open(path).close()
    with sqlite3.connect(path) as database:
        database.execute(f"PRAGMA user_version = {FORMAT + 1}")
    database.close()
    with pytest.raises(NotAJournal, match=f"format {FORMAT + 1}, and this batcher reads format {FORMAT}"):
        Store.open(path)


@pytest.mark.parametrize("nth", range(1, 6))
def test_a_death_while_it_is_made_leaves_an_empty_database(tmp_path: Path, nth: int) -> None:
    """Half a schema would be neither a journal nor none."""
    path = tmp_path / "journal"
    tables = 0

    def deny(action: int, *_: object) -> int:
        nonlocal tables
        tables += action == sqlite3.SQLITE_CREATE_TABLE
        return sqlite3.SQLITE_DENY if tables == nth else sqlite3.SQLITE_OK

    database = sqlite3.connect(path, isolation_level=None)
    database.set_authorizer(deny)
    with pytest.raises(sqlite3.DatabaseError):
        prepare(database, path)
    database.close()
    store = Store.open(path)
    assert not store.is_planned()
    store.close()


@pytest.mark.parametrize("content", [b"key,job_id\n" * 100, b"\0" * 4096])
def test_what_is_no_journal_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal"
    path.write_bytes(content)
    with pytest.raises(NotAJournal, match="not a batcher journal"):
        Store.open(path)
    assert path.read_bytes() == content


def test_another_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE t (a)")
    database.close()
    with pytest.raises(NotAJournal, match="not a batcher journal"):
        Store.open(path)


def test_a_wave_that_is_done_is_taken_up_from_indexes(store: Counted) -> None:
    """No row is read for what each entry came to: a million of them would take many seconds."""
    store.commit([Settled(index=n, seq=n, status=Status.CREATED, line=b"{}\n") for n in range(300)])
    asked: list[str] = []
    store._db.set_trace_callback(asked.append)
    assert store.status_counts() == {Status.CREATED: 300}
    assert store.with_status([Status.UNSETTLED]) == []
    assert store.open_entries(SCOPE.number, -1, 9) == []
    assert store.planned(SCOPE.number, after=-1, limit=9) == []
    store._db.set_trace_callback(None)
    for query in asked:
        steps = [row[-1] for row in store._db.execute(f"EXPLAIN QUERY PLAN {query}")]
        assert all("COVERING INDEX" in step for step in steps), (query, steps)
