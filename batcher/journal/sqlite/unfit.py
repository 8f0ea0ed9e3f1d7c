"""What SQLite says where a file system cannot hold a journal."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from batcher.journal.filesystem import elsewhere, file_system_of, named

# Where locks or shared memory do not work, or are held where nobody of ours can hold them.
_UNFIT = frozenset(
    {
        "SQLITE_BUSY",
        "SQLITE_PROTOCOL",
        "SQLITE_NOLFS",
        "SQLITE_IOERR_LOCK",
        "SQLITE_IOERR_RDLOCK",
        "SQLITE_IOERR_UNLOCK",
        "SQLITE_IOERR_CHECKRESERVEDLOCK",
        "SQLITE_IOERR_SHMOPEN",
        "SQLITE_IOERR_SHMSIZE",
        "SQLITE_IOERR_SHMLOCK",
        "SQLITE_IOERR_SHMMAP",
        "SQLITE_READONLY_CANTINIT",
    }
)


_FOR_WANT_OF_ROOM = frozenset({"SQLITE_IOERR_SHMOPEN", "SQLITE_IOERR_SHMSIZE"})  # so too where the disk is full
_LEAST_ROOM = 1024 * 1024  # bytes


def _is_full(path: Path) -> bool:
    return shutil.disk_usage(path.parent).free < _LEAST_ROOM


def unfit(error: sqlite3.Error, path: Path) -> str | None:
    """Why the journal cannot be at *path*, where *error* says that its file system is the cause; with the way out."""
    name = getattr(error, "sqlite_errorname", "")
    if name not in _UNFIT or (name in _FOR_WANT_OF_ROOM and _is_full(path)):
        return None
    other = " Another program may hold it, too." if name == "SQLITE_BUSY" else ""
    return (
        f"{named(path)} does not give the journal {path} the locks and the shared memory that SQLite needs ({error})."
        f"{other} {elsewhere(path)}"
    )


def why_unfit(folder: Path, probe: Path) -> str | None:
    """Why no journal can be kept in *folder*; None: one can be. *probe* is a file in it that is made for the question.

    What it takes is SQLite's write-ahead log, and a commit that is synced.
    """
    try:
        with closing(sqlite3.connect(probe, isolation_level=None)) as db:
            (mode,) = db.execute("PRAGMA journal_mode = WAL").fetchone()
            db.execute("PRAGMA synchronous = FULL")
            db.execute("CREATE TABLE probe (value)")
    except sqlite3.Error as error:
        return unfit(error, folder) or f"no journal can be kept in {folder}: {error}"
    return None if mode == "wal" else f"{file_system_of(folder) or folder} has no write-ahead log for SQLite"
