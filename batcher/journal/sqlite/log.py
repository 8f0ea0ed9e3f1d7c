"""The journal's write-ahead log, RESULTS.journal-wal: what was recorded last stands there until the wave is let go.

A journal without its log looks sound and is old. So that it can be told, a journal says that it is in use: the mark is
in the file itself before anything else goes into the log, and is taken off by whoever folds the log in and lets go.
A marked journal without its log has lost it. Readers therefore never fold in the log of a wave that was killed: they
leave both files as they found them.
"""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import mkdtemp

from batcher.journal.errors import NotAJournal
from batcher.journal.files import log_of
from batcher.journal.sign_of_life import sign_beside
from batcher.journal.sqlite.database import damaged
from batcher.journal.sqlite.schema import APPLICATION_ID, identity_of

IN_USE = "in_use"  # the mark's name in the table `meta`: 1 or 0; old journals have none
_TRIES = 5  # of copying a journal that is being written

# What SQLite says where it may not make, or write, what it needs beside the journal.
_NO_ROOM = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM)


class LogMissing(NotAJournal):
    """The journal's log was not copied along, or was lost: what was recorded last is not there."""

    def __init__(self, journal: Path) -> None:
        super().__init__(
            f"the journal {journal} is not all there: its batcher was killed or still runs, and "
            f"{log_of(journal).name}, which has what was recorded last, is missing. Copy it along from where the "
            "wave ran: a wave's files belong together, RESULTS* all of them"
        )


def has_log(journal: Path) -> bool:
    """Whether there is a log beside *journal*, with something in it."""
    try:
        return log_of(journal).stat().st_size > 0
    except OSError:
        return False


def require_log(db: sqlite3.Connection, journal: Path, *, had_log: bool) -> None:
    """See that *db*, opened from *journal*, is not without its log, nor without its end. Raises `LogMissing`,
    `JournalDamaged`, `sqlite3.Error`.

    *had_log* is what `has_log` said before it was opened: opening it makes a log.
    """
    if had_log:
        return
    try:
        lost = (_is_marked(db) and not _reached_its_sign(db, journal)) or _lost_its_tables(db, journal)
        cut = is_cut_off(db, journal)  # now that it was read, which undoes what a power cut left half done
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
            raise
        return  # no database at all, which is told otherwise
    if lost:
        raise LogMissing(journal)
    if cut:
        raise damaged("its last page is cut off", str(journal))


def is_cut_off(db: sqlite3.Connection, journal: Path) -> bool:
    """Whether *journal*, which is open as *db* and has no log, ends within a page: SQLite takes what is missing for
    zeros, and says nothing. Raises `sqlite3.Error`."""
    page_size: int = db.execute("PRAGMA page_size").fetchone()[0]
    return journal.stat().st_size % page_size != 0


def _is_marked(db: sqlite3.Connection) -> bool:
    if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        return False
    return bool(db.execute("SELECT 1 FROM meta WHERE name = ? AND value = 1", (IN_USE,)).fetchone())


def _reached_its_sign(db: sqlite3.Connection, journal: Path) -> bool:
    """Whether all that was recorded is in the file by itself: another program folded the log in, and left the mark."""
    sign = sign_beside(journal)
    return sign is not None and identity_of(db) == (sign.wave, sign.generation)


def _lost_its_tables(db: sqlite3.Connection, journal: Path) -> bool:
    """Whether it is a journal of before there were marks, whose every table was in the log."""
    if db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
        return False
    with journal.open("rb") as file:
        head = file.read(20)
    return head[18:20] == b"\x02\x02"  # the file format's sign for a database with a write-ahead log


def mark(db: sqlite3.Connection) -> None:
    """Say in the journal itself that it is in use from now on. Raises `sqlite3.Error`."""
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, 1)", (IN_USE,))  # into the log, which is there from now on
    db.execute("PRAGMA wal_checkpoint(FULL)").fetchall()  # and from there into the file


def unmark(db: sqlite3.Connection) -> None:
    """Take the mark off: what is in *db* is all there is. Raises `sqlite3.Error`."""
    db.execute("UPDATE meta SET value = 0 WHERE name = ?", (IN_USE,))


def let_go(db: sqlite3.Connection, journal: Path) -> None:
    """Take the mark off, and close *db*, which folds the log in. A log that cannot be is left where it is."""
    keeper = None
    try:
        if db.in_transaction:
            db.rollback()
        unmark(db)
    except sqlite3.Error:
        keeper = _keeper(journal)
    db.close()
    if keeper is not None:
        keeper.close()


def _keeper(journal: Path) -> sqlite3.Connection | None:
    """Who holds the journal open, and may not write: while it does, nobody's closing folds the log in."""
    keeper = None
    try:
        keeper = _connected(journal, "mode=ro")
        keeper.execute("SELECT 1 FROM meta").fetchone()
    except sqlite3.Error:
        pass  # the files are gone, or damaged: there is nothing to keep
    return keeper


def _connected(journal: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{journal.absolute().as_uri()}?{how}", uri=True, check_same_thread=False)


class ReadOnlyOpening:
    """A journal opened to be looked into: nothing in its folder is changed, and it need not be possible to.

    `close` when done; `changed` tells whether somebody began to write it meanwhile, so that what was read is void.
    """

    def __init__(self, journal: Path) -> None:
        """Raises OSError, `sqlite3.Error`, `NotAJournal`."""
        with journal.open("rb") as file:  # which says, better than SQLite does, why it may not be read
            if not file.read(1):
                raise NotAJournal(f"the journal {journal} is empty: its wave was never begun, or its content is lost")
        self._journal = journal
        self._stood: tuple[int, ...] | None = None  # where nobody may write it meanwhile, as which it is known
        self._copy: Path | None = None
        self.had_log = has_log(journal)
        self.db = self._with_log() if self.had_log else self._alone()

    def _alone(self) -> sqlite3.Connection:
        """Nobody writes it: it is read as it stands, without locks and the files they take."""
        self._stood = _stamp(self._journal)
        return _connected(self._journal, "immutable=1")

    def _with_log(self) -> sqlite3.Connection:
        db = _connected(self._journal, "mode=ro")
        try:
            db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        except sqlite3.OperationalError as error:
            db.close()
            if error.sqlite_errorcode & 0xFF not in _NO_ROOM:
                raise
            return self._copied()
        except BaseException:
            db.close()
            raise
        return db

    def _copied(self) -> sqlite3.Connection:
        """The index of the log cannot be made in its folder: a copy is read. Raises OSError, `NotAJournal`."""
        try:
            self._copy = Path(mkdtemp(prefix="batcher-"))
            copy = self._copy / self._journal.name
            for _ in range(_TRIES):
                stood = _stamp(self._journal)
                shutil.copyfile(self._journal, copy)
                shutil.copyfile(log_of(self._journal), log_of(copy))
                if _stamp(self._journal) == stood:  # the log may have grown: what is torn in it does not count
                    return _connected(copy, "mode=rw")
        except OSError as error:
            self._throw_away()
            raise NotAJournal(
                f"{self._journal} can only be read from a copy, as its folder cannot be written to, and that could not "
                f"be made in the folder for temporary files ($TMPDIR): {error.strerror}"
            ) from error
        self._throw_away()
        raise NotAJournal(
            f"{self._journal} is being written, and what it takes to read it meanwhile cannot be made in its folder: "
            "look as the user who runs the wave, or when it has ended"
        )

    def changed(self) -> bool:
        """Whether the journal was written since it was opened, so that what was read may be of two moments."""
        if self._stood is None:
            return False
        try:
            return _stamp(self._journal) != self._stood or has_log(self._journal)
        except OSError:
            return True

    def close(self) -> None:
        """Let go of it."""
        ended = self._with_its_end()
        self.db.close()
        self._throw_away()
        if ended and self._copy is None and has_log(self._journal):
            self._fold_in()

    def _with_its_end(self) -> bool:
        """Whether the wave let go of it while this looked on, which kept it from folding its log in."""
        if not self.had_log:
            return False
        try:
            row = self.db.execute("SELECT value FROM meta WHERE name = ?", (IN_USE,)).fetchone()
        except sqlite3.Error:
            return False
        return row is not None and row[0] == 0

    def _fold_in(self) -> None:
        try:
            with closing(_connected(self._journal, "mode=rw")) as db:
                db.execute("SELECT 1 FROM meta").fetchone()
        except sqlite3.Error:
            return  # it is not ours to write: the log stays

    def _throw_away(self) -> None:
        if self._copy is not None:
            shutil.rmtree(self._copy, ignore_errors=True)


def _stamp(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_ino, found.st_dev, found.st_size, found.st_mtime_ns
