"""A journal's log: lost with a copy it is missed, and whoever only looks leaves both files as they are."""

import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

import pytest

from batcher.journal.beside import journal_file_of, reading
from batcher.journal.errors import JournalUnusable, NotAJournal
from batcher.journal.files import WaveFiles, log_of
from batcher.journal.ops import Noted
from batcher.journal.sqlite import log as journal_log
from batcher.journal.sqlite.keeper import SqliteKeeper
from batcher.journal.sqlite.log import LogMissing, has_log

NOBODY = 65534


def begun(journal: Path) -> SqliteKeeper:
    """A wave of no entries in *journal*, in use."""
    keeper = SqliteKeeper(journal)
    with keeper.wave().planning() as plan:
        plan.finish({"manifest": "wave.csv"})
    keeper.wave().commit([Noted(name="told", value="last")])
    return keeper


def in_child(act: Callable[[], object], *, user: int | None = None) -> str:
    """What *act* gives, in a process of its own that dies without letting go of anything; as *user* where given."""
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        _act(act, user, write)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


def _act(act: Callable[[], object], user: int | None, write: int) -> NoReturn:
    try:
        if user is not None:
            os.setgroups([])
            os.setgid(user)
            os.setuid(user)
        said = str(act())
    except BaseException as error:  # noqa: BLE001 - it is told to the parent
        said = f"{type(error).__name__}: {error}"
    os.write(write, said.encode())
    os._exit(0)


def killed(journal: Path) -> None:
    """A wave in *journal* whose process was killed."""
    in_child(lambda: begun(journal))
    assert has_log(journal)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users can reach, which pytest's own are not."""
    with TemporaryDirectory(prefix="batcher-test-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


def told(journal: Path) -> object:
    with reading(journal) as record:
        return record.facts()["told"]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}


def test_a_wave_that_ended_needs_no_log(tmp_path: Path) -> None:
    journal = tmp_path / "r.jsonl.journal"
    begun(journal).close()
    assert [path.name for path in tmp_path.iterdir()] == [journal.name]
    assert told(journal) == "last"
    SqliteKeeper(journal).close()
    assert told(journal) == "last"
    assert [path.name for path in tmp_path.iterdir()] == [journal.name]


@pytest.mark.parametrize("checkpointed", [False, True])
def test_a_killed_wave_without_its_log_is_told_what_is_missing(tmp_path: Path, checkpointed: bool) -> None:
    journal = tmp_path / "r.jsonl.journal"

    def begin() -> None:
        keeper = begun(journal)
        if checkpointed:
            keeper.file.database.connection.execute("PRAGMA wal_checkpoint").fetchall()

    in_child(begin)
    log_of(journal).unlink()
    with pytest.raises(JournalUnusable, match=r"r\.jsonl\.journal-wal, which has what was recorded last, is missing"):
        told(journal)
    with pytest.raises(LogMissing) as refused:
        SqliteKeeper(journal)
    assert "--restart" not in str(refused.value)
    with pytest.raises(LogMissing):
        SqliteKeeper(journal)  # trying made no log of its own that would then be believed


def test_so_is_one_that_went_on_and_was_killed_then(tmp_path: Path) -> None:
    journal = tmp_path / "r.jsonl.journal"
    begun(journal).close()
    in_child(lambda: SqliteKeeper(journal))
    log_of(journal).unlink()
    with pytest.raises(LogMissing):
        SqliteKeeper(journal)


def test_a_journal_file_of_before_there_were_marks_is_missed_where_its_log_had_everything(tmp_path: Path) -> None:
    journal = tmp_path / "old.journal"
    with closing(sqlite3.connect(journal)) as db:
        db.execute("PRAGMA journal_mode = WAL")
    with pytest.raises(LogMissing):
        SqliteKeeper(journal)


def test_whoever_looks_at_a_killed_wave_leaves_it_as_it_is(tmp_path: Path) -> None:
    journal = tmp_path / "r.jsonl.journal"
    killed(journal)
    before = contents(tmp_path)
    assert told(journal) == "last"
    assert contents(tmp_path) == before
    keeper = SqliteKeeper(journal)
    assert keeper.wave().facts()["told"] == "last"
    keeper.close()
    assert [path.name for path in tmp_path.iterdir()] == [journal.name]


def test_a_wave_that_ends_while_somebody_looks_has_its_log_folded_in_by_who_looked(tmp_path: Path) -> None:
    journal = tmp_path / "r.jsonl.journal"
    running = begun(journal)
    with reading(journal) as record:
        assert record.facts()["told"] == "last"
        running.wave().commit([Noted(name="told", value="more")])
        running.close()
        assert record.facts()["told"] == "more"
    assert [path.name for path in tmp_path.iterdir()] == [journal.name]
    assert told(journal) == "more"


def test_a_log_that_cannot_be_folded_in_stays_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = tmp_path / "r.jsonl.journal"
    keeper = begun(journal)

    def full(db: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(journal_log, "unmark", full)
    keeper.close()
    assert has_log(journal)
    monkeypatch.undo()
    SqliteKeeper(journal).close()
    assert told(journal) == "last"


def test_a_wave_that_begins_while_somebody_looks_voids_what_was_read(tmp_path: Path) -> None:
    journal = tmp_path / "r.jsonl.journal"
    begun(journal).close()
    with pytest.raises(JournalUnusable, match="was written while it was read"), reading(journal):
        SqliteKeeper(journal).close()


@pytest.mark.skipif(os.geteuid() != 0, reason="another user's files take root to make")
@pytest.mark.parametrize("state", ["ended", "killed", "killed, no -shm", "running"])
@pytest.mark.parametrize("mode", [0o644, 0o444])
def test_another_user_reads_it_without_writing(folder: Path, state: str, mode: int) -> None:
    journal = folder / "r.jsonl.journal"
    running = None
    if state == "running":
        running = begun(journal)
    elif state == "ended":
        begun(journal).close()
    else:
        killed(journal)
    if state == "killed, no -shm":
        journal.with_name(f"{journal.name}-shm").unlink()
    for path in folder.iterdir():
        path.chmod(mode)
    before = contents(folder)
    assert in_child(lambda: told(journal), user=NOBODY) == "last"
    assert contents(folder) == before
    if running is not None:
        running.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="another user's files take root to make")
def test_what_another_user_may_not_read_is_told(folder: Path) -> None:
    journal = folder / "r.jsonl.journal"
    begun(journal).close()
    journal.chmod(stat.S_IRUSR | stat.S_IWUSR)
    said = in_child(lambda: told(journal), user=NOBODY)
    assert said.startswith(f"JournalUnusable: the journal {journal} may not be read (Permission denied): it belongs to")


@pytest.mark.parametrize(
    ("left", "why"),
    [
        (b"", "is empty"),
        (b"no database at all" * 100, "is not a batcher journal"),
        (None, "only its log, r.jsonl.journal-wal, is there"),
    ],
)
def test_what_is_no_journal_is_told(tmp_path: Path, left: bytes | None, why: str) -> None:
    results = tmp_path / "r.jsonl"
    results.touch()
    journal = WaveFiles.of(results).journal
    killed(journal)
    journal.unlink()
    if left is not None:
        journal.write_bytes(left)
        log_of(journal).unlink()
    with pytest.raises(JournalUnusable, match=why):
        told(journal_file_of(results))


def test_a_link_to_a_journal_that_is_gone_is_told(tmp_path: Path) -> None:
    results = tmp_path / "r.jsonl"
    results.touch()
    WaveFiles.of(results).journal.symlink_to(tmp_path / "gone")
    with pytest.raises(JournalUnusable, match="a link that leads nowhere"):
        journal_file_of(results)


def test_a_damaged_one_is_told(tmp_path: Path) -> None:
    journal = tmp_path / "r.jsonl.journal"
    begun(journal).close()
    body = bytearray(journal.read_bytes())
    body[4096:] = bytes(len(body) - 4096)
    journal.write_bytes(body)
    with pytest.raises(JournalUnusable, match="cannot be read: database disk image is malformed"):
        told(journal)


def test_one_of_another_format_is_told(tmp_path: Path) -> None:
    journal = tmp_path / "r.jsonl.journal"
    begun(journal).close()
    with closing(sqlite3.connect(journal)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(JournalUnusable, match="format 99"):
        told(journal)


def test_a_copy_that_finds_no_room_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = tmp_path / "r.jsonl.journal"
    killed(journal)
    look = journal_log.ReadOnlyOpening(journal)
    monkeypatch.setattr(shutil, "copyfile", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(NotAJournal, match="temporary files"):
        look._copied()
    look.close()
