"""The lock of a wave: a file of its own, on whatever file system, and with what older versions held."""

import errno
import fcntl
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from batcher.journal import filesystem
from batcher.journal.errors import NotAJournal, WaveRefused
from batcher.journal.files import lock_file_of
from batcher.journal.filesystem import file_system_of
from batcher.journal.sqlite.keeper import SqliteKeeper
from batcher.journal.sqlite.schema import prepare
from batcher.journal.sqlite.unfit import unfit
from batcher.journal.wave_lock import WaveLock, is_held


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "results.jsonl.journal"


class ByteLocks:
    """`flock` as NFS and SMB have it: a lock on all bytes of the file, which every other open file collides with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._held: dict[tuple[int, int], int] = {}
        self._real = fcntl.lockf
        monkeypatch.setattr(fcntl, "flock", self.flock)
        monkeypatch.setattr(fcntl, "lockf", self.lockf)

    def flock(self, fd: int, how: int) -> None:
        if how == fcntl.LOCK_UN:
            self._held = {file: holder for file, holder in self._held.items() if holder != fd}
            return
        self._refuse_others(fd)
        self._held[_file(fd)] = fd

    def lockf(self, fd: int, how: int, size: int = 0) -> None:
        self._refuse_others(fd)
        self._real(fd, how, size)

    def _refuse_others(self, fd: int) -> None:
        if self._held.get(_file(fd), fd) != fd:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def _file(fd: int) -> tuple[int, int]:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def test_who_only_asks_whether_a_wave_runs_keeps_nobody_out(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`batcher status --watch` asks every two seconds, and a run may start at that very moment."""
    WaveLock(journal).release()
    asking = os.open(lock_file_of(journal), os.O_RDONLY)
    fcntl.flock(asking, fcntl.LOCK_SH)  # as `is_held` does, for microseconds
    monkeypatch.setattr("batcher.locks.time.sleep", lambda _: fcntl.flock(asking, fcntl.LOCK_UN))
    lock = WaveLock(journal)
    assert is_held(journal)
    lock.release()
    assert not is_held(journal)
    os.close(asking)


def test_a_second_one_is_kept_out(journal: Path) -> None:
    lock = WaveLock(journal)
    with pytest.raises(WaveRefused, match=r"another batcher is running this wave.* another -o, and another --journal"):
        WaveLock(journal)
    lock.release()
    WaveLock(journal).release()


@pytest.mark.parametrize("taken", [lock_file_of, Path])
def test_where_none_can_be_written_the_way_out_is_told(journal: Path, taken: Callable[[Path], Path]) -> None:
    taken(journal).mkdir()
    with pytest.raises(
        WaveRefused, match=r"cannot open the journal.*: Is a directory\. A journal lies where it can be w"
    ):
        WaveLock(journal)


def test_the_journal_itself_is_free_where_flock_locks_bytes(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On NFS and SMB a lock of ours on the journal would keep SQLite out of it."""
    locks = ByteLocks(monkeypatch)
    lock = WaveLock(journal)
    fd = os.open(journal, os.O_RDWR)
    locks.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)  # as SQLite does
    os.close(fd)
    with pytest.raises(WaveRefused, match="another batcher is running this wave"):
        WaveLock(journal)
    lock.release()
    WaveLock(journal).release()


def test_an_older_version_is_kept_out_and_keeps_us_out(journal: Path) -> None:
    """They locked the journal itself."""
    lock = WaveLock(journal)
    old = os.open(journal, os.O_RDWR)
    with pytest.raises(BlockingIOError):
        fcntl.flock(old, fcntl.LOCK_EX | fcntl.LOCK_NB)
    lock.release()
    fcntl.flock(old, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with pytest.raises(WaveRefused, match=r"another batcher is running this wave: it holds .*\.journal\."):
        WaveLock(journal)
    os.close(old)
    WaveLock(journal).release()


def test_a_refused_second_one_takes_no_lock_of_sqlites_away(journal: Path) -> None:
    """Closing any file that is open on a database gives up all that this process has locked in it."""
    lock = WaveLock(journal)
    keeper = SqliteKeeper(journal)
    keeper.file.database.connection.execute("BEGIN IMMEDIATE")
    with pytest.raises(WaveRefused):
        WaveLock(journal)
    child = os.fork()
    if child == 0:
        other = sqlite3.connect(journal, timeout=0)
        try:
            other.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    keeper.close()
    lock.release()


def test_a_child_does_not_keep_the_lock(journal: Path) -> None:
    """A child that was forked has the file open as well; what we let go of is free all the same."""
    lock = WaveLock(journal)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    lock.release()
    WaveLock(journal).release()
    os.close(write)
    os.close(read)
    os.waitpid(child, 0)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
@pytest.mark.parametrize("call", ["flock", "lockf"])
def test_a_file_system_without_locks_is_named(
    journal: Path, monkeypatch: pytest.MonkeyPatch, number: int, call: str
) -> None:
    def fails(fd: int, how: int, *_: Any) -> None:
        if how != fcntl.LOCK_UN:
            raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patched:
        patched.setattr(fcntl, call, fails)
        with pytest.raises(WaveRefused) as refused:
            WaveLock(journal)
    system = file_system_of(journal)
    assert system is not None
    assert str(system) in str(refused.value)
    assert os.strerror(number) in str(refused.value)
    assert "--journal" in str(refused.value)
    WaveLock(journal).release()  # nothing was left locked


@pytest.fixture
def mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def mount(text: str) -> None:
        table = tmp_path / "mountinfo"
        table.write_text(text)
        monkeypatch.setattr(filesystem, "_MOUNTS", table)

    return mount


def test_the_file_system_is_that_of_the_nearest_mount(mounted: Callable[[str], None]) -> None:
    mounted(
        "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
        "40 22 0:40 / /srv/a\\040share rw - nfs4 filer:/a rw\n"
        "41 22 0:41 / /srv rw - btrfs /dev/vdb rw\n"
        "broken\n"
    )
    assert str(file_system_of(Path("/srv/a share/x/results.jsonl"))) == "the nfs4 file system at /srv/a share"
    assert str(file_system_of(Path("/srv/b"))) == "the btrfs file system at /srv"
    assert str(file_system_of(Path("/srvother"))) == "the ext4 file system at /"


def test_what_sqlite_lacks_is_told_with_the_file_system(journal: Path, mounted: Callable[[str], None]) -> None:
    mounted("22 1 0:9 / / rw - 9p share rw\n")
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorname = "SQLITE_IOERR_SHMMAP"
    assert "the 9p file system at /" in (unfit(error, journal) or "")
    error.sqlite_errorname = "SQLITE_FULL"
    assert unfit(error, journal) is None


def test_a_journal_without_a_write_ahead_log_is_refused(journal: Path) -> None:
    """SQLite falls back in silence; readers beside a running wave would then lock it out."""

    class Falling:
        def __init__(self) -> None:
            self.real = sqlite3.connect(journal, isolation_level=None)

        def execute(self, statement: str) -> sqlite3.Cursor:
            wal = statement == "PRAGMA journal_mode = WAL"
            return self.real.execute("PRAGMA journal_mode = DELETE" if wal else statement)

        def executescript(self, script: str) -> sqlite3.Cursor:
            return self.real.executescript(script)

    db = Falling()
    with pytest.raises(NotAJournal, match=r"file system at .* has no shared memory, .* --journal FILE"):
        prepare(db, journal)  # type: ignore[arg-type] # what a connection does where shared memory is missing
    db.real.close()
