"""The journal in SQLite: many share a sync, a full disk is said, and what is no journal is refused."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from batcher.journal.errors import JournalFailed, NotAJournal
from batcher.journal.ops import Happened, Op, Receipt, Settled
from batcher.journal.port import Record
from batcher.journal.sqlite import keeper as keepers
from batcher.journal.sqlite.file import WrittenFile
from batcher.journal.sqlite.keeper import SqliteJournal, SqliteKeeper, WrittenRecord
from batcher.journal.sqlite.schema import PACKED, prepare
from batcher.life.result import Status
from tests.journal.made import INTENT, plan
from tests.wave.made import SCOPE


@pytest.fixture
async def keeper(tmp_path: Path) -> AsyncIterator[SqliteKeeper]:
    keeper = SqliteKeeper(tmp_path / "journal")
    plan(keeper.wave(), 300)
    yield keeper
    await keeper.aclose()


@pytest.fixture
async def journal(keeper: SqliteKeeper) -> SqliteJournal:
    return keeper.journal()


async def test_hundreds_share_a_sync(journal: SqliteJournal, monkeypatch: pytest.MonkeyPatch) -> None:
    commits: list[int] = []
    whole = keepers.commit

    def commit(file: WrittenFile, groups: Sequence[tuple[WrittenRecord, Sequence[Op]]]) -> list[Receipt | None]:
        commits.append(len(groups))
        return whole(file, groups)

    monkeypatch.setattr(keepers, "commit", commit)
    await asyncio.gather(*(journal.record(Happened(index=index, event=INTENT)) for index in range(300)))
    assert sum(commits) == 300
    assert len(commits) < 30


async def test_a_full_disk_is_said_and_nothing_of_the_group_is_half_there(
    journal: SqliteJournal, keeper: SqliteKeeper
) -> None:
    db = keeper.file.database.connection
    (pages,) = db.execute("PRAGMA page_count").fetchone()
    db.execute(f"PRAGMA max_page_count = {pages}")
    told = [journal.record(*(Happened(index=index, event=INTENT) for _ in range(200))) for index in range(2)]
    failed = await asyncio.gather(*told, return_exceptions=True)
    assert [type(one) for one in failed] == [JournalFailed] * 2
    assert str(failed[0]) == (
        f"cannot write the journal {keeper.wave().name}: database or disk is full. "
        "Make room, and run the same command again"
    )
    db.execute("PRAGMA max_page_count = 1000000")
    await journal.record(Happened(index=2, event=INTENT))
    assert [await journal.ask(Record.events, index) for index in range(3)] == [[], [], [INTENT]]


@pytest.mark.parametrize(("synced", "level"), [(True, 2), (False, 0)])
def test_a_commit_is_synced_unless_it_is_a_rehearsals(tmp_path: Path, synced: bool, level: int) -> None:
    keeper = SqliteKeeper(tmp_path / "journal", synced=synced)
    assert keeper.file.database.row("PRAGMA synchronous") == (level,)
    keeper.close()


@pytest.mark.parametrize("many", [False, True])
def test_a_journal_of_one_and_a_database_of_many_are_not_taken_for_each_other(tmp_path: Path, many: bool) -> None:
    SqliteKeeper(tmp_path / "journal", many=many).close()
    with pytest.raises(NotAJournal, match="a database of many waves" if many else "the journal of one wave"):
        SqliteKeeper(tmp_path / "journal", many=not many)


def test_another_format_is_refused_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    SqliteKeeper(path).close()
    with sqlite3.connect(path) as database:
        database.execute(f"PRAGMA user_version = {PACKED + 1}")
    database.close()
    with pytest.raises(NotAJournal, match=f"format {PACKED + 1}, and this batcher reads formats up to {PACKED}"):
        SqliteKeeper(path)


@pytest.mark.parametrize("nth", range(1, 11))
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
    keeper = SqliteKeeper(path)
    assert not keeper.wave().is_planned()
    keeper.close()


@pytest.mark.parametrize("content", [b"key,job_id\n" * 100, b"\0" * 4096])
def test_what_is_no_journal_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal"
    path.write_bytes(content)
    with pytest.raises(NotAJournal, match="not a batcher journal"):
        SqliteKeeper(path)
    assert path.read_bytes() == content


def test_another_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE t (a)")
    database.close()
    with pytest.raises(NotAJournal, match="not a batcher journal"):
        SqliteKeeper(path)


async def test_a_wave_that_is_done_is_taken_up_from_indexes(keeper: SqliteKeeper) -> None:
    """No row is read for what each entry came to: a million of them would take many seconds."""
    record = keeper.wave()
    record.commit([Settled(index=n, status=Status.CREATED, line=b"{}\n") for n in range(300)])
    asked: list[str] = []
    db = keeper.file.database.connection
    db.set_trace_callback(asked.append)
    assert record.status_counts() == {Status.CREATED: 300}
    assert record.with_status([Status.UNSETTLED]) == []
    assert record.open_entries(SCOPE.number, -1, 9) == []
    assert record.planned(SCOPE.number, after=-1, limit=9) == []
    db.set_trace_callback(None)
    for query in asked:
        steps = [row[-1] for row in db.execute(f"EXPLAIN QUERY PLAN {query}")]
        sound = ("SEARCH meta", "SCAN plan_invalid")  # which has nothing but invalid entries
        assert all("COVERING INDEX" in step or step.startswith(sound) for step in steps), (query, steps)
