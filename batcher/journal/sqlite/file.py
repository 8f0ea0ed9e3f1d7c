"""The file that a journal lies in: opened to be written or to be looked into, watched while it is open, let go of.

Invariants:
- A file that is open to be written says so in itself (`log.mark`) before anything else is written, until it is let go
  of in order: so a copy without its log is told from a whole one.
- Its sign of life (`journal/sign_of_life.py`), once somebody keeps it, is durable outside of it before anything is
  committed that the sign does not cover.
- Who looks into a journal changes nothing in its folder, whoever writes there meanwhile.
"""

import sqlite3
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from uuid import uuid4

from batcher.journal.errors import JournalFailed, WaveRefused
from batcher.journal.held_journal import SignKeeper
from batcher.journal.sqlite.database import JournalDatabase, failed
from batcher.journal.sqlite.log import ReadOnlyOpening, has_log, let_go, mark, require_log, unmark
from batcher.journal.sqlite.schema import MANY, check, identity_of, prepare
from batcher.journal.sqlite.unfit import unfit
from batcher.journal.sqlite.writing import CACHED, note


class WrittenFile:
    """A journal's file, open to be written."""

    def __init__(self, path: Path, connection: sqlite3.Connection, format: int) -> None:
        """Take over *connection*, which is to the file at *path* of that *format*. Raises `sqlite3.Error`."""
        self.path = path
        self.has_many = format == MANY  # waves
        self.database = JournalDatabase(connection, str(path), format)
        self._db = connection
        self._keeper: SignKeeper | None = None
        self._folded_at: int | None = None  # when the database was last written to: its log was folded in
        mark(connection)  # the log is made with it, if there is none yet
        self._files = {part: _file_at(part) for part in (path, path.with_name(f"{path.name}-wal"))}

    @classmethod
    def open(cls, path: Path, *, many: bool = False, synced: bool = True) -> "WrittenFile":
        """Open or create the journal at *path*, of one wave or of *many*.

        Without *synced* a power cut may cost what was committed. Raises `NotAJournal`, `WaveRefused` where its file
        system cannot hold one, and `JournalFailed`.
        """
        try:
            had_log = has_log(path)
            db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=CACHED)
            try:
                require_log(db, path, had_log=had_log)
                format = prepare(db, path, many=many)
                if not synced:
                    db.execute("PRAGMA synchronous = OFF")
                return cls(path, db, format)
            except BaseException:
                db.close()
                raise
        except sqlite3.Error as error:
            if (why := unfit(error, path)) is not None:
                raise WaveRefused(why) from error
            raise failed(f"cannot open the journal {path}", str(path), error) from error

    def is_there(self) -> bool:
        """Whether its paths still lead to it. If not, somebody deleted or moved it: it can still be written, but
        nobody would find it again."""
        return all(_file_at(path) == file for path, file in self._files.items())

    def rescue(self) -> Path:
        """Write all of it to a file that can be found: at its old path if that is free, else in a new temporary folder.
        Raises `JournalFailed`."""
        path = self.path
        with self.database.writing() as db:
            unmark(db)
            if _file_at(path) == self._files[path]:  # only its log is gone, to whose content we still have the key
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                return path
            if not path.parent.is_dir() or path.exists():
                path = Path(mkdtemp(prefix="batcher-")) / path.name
            path.touch(0o600, exist_ok=False)  # the wave's owner alone reads it
            db.execute("VACUUM INTO ?", (str(path),))
        return path

    def close(self) -> None:
        """Let go of it; its log is folded in."""
        with self.database.lock:  # whoever still reads is let finish
            if self._keeper is not None and self.is_there():
                with suppress(JournalFailed):  # a sign behind its journal says nothing against it
                    self._grow(self._keeper)  # a copy that was made while it was open is older now
            let_go(self._db, self.path)

    # --- its sign of life ---------------------------------------------------------------------------------

    def identity(self) -> tuple[str | None, int]:
        """The name of the wave, None where it was begun by a version without names, and the journal's generation.
        Raises `JournalFailed`."""
        return identity_in(self.database)

    def keep_sign(self, keeper: SignKeeper) -> None:
        """From now on *keeper* has the journal's sign of life. Raises `JournalFailed`."""
        self._grow(keeper)
        self._keeper = keeper

    def cover(self) -> None:
        """Before a commit: see that the sign covers it. Raises `JournalFailed`."""
        if self._keeper is not None and self._written_at() != self._folded_at:
            self._grow(self._keeper)

    def _grow(self, keeper: SignKeeper) -> None:
        """Begin a new generation, in the journal first and in its sign then. Again where that folded the log in."""
        while True:
            wave, generation = self.identity()
            try:
                sign = keeper.sign()
                if sign is not None and sign.wave == wave:
                    generation = max(generation, sign.generation)
                named = wave or uuid4().hex
                with self.database.transaction() as db:
                    for name, value in (("wave", named), ("generation", generation + 1)):
                        note(db, name, value)
                    before = self._written_at()
                keeper.write(named, generation + 1)
            except OSError as error:
                raise self.database.unwritten(error) from error
            self._folded_at = self._written_at()
            if self._folded_at == before:
                return

    def _written_at(self) -> int | None:
        try:
            return self.path.stat().st_mtime_ns
        except OSError:
            return None


class ReadFile:
    """A journal's file, opened to be looked into, also while its wave runs."""

    def __init__(self, path: Path) -> None:
        """Raises OSError, `NotAJournal`, `JournalFailed`."""
        self.path = path
        try:
            self._look = ReadOnlyOpening(path)
            try:
                self._look.db.execute("PRAGMA query_only = ON")
                require_log(self._look.db, path, had_log=self._look.had_log)
                format = check(self._look.db, path)
            except BaseException:
                self._look.close()
                raise
        except sqlite3.Error as error:
            raise failed(f"cannot open the journal {path}", str(path), error) from error
        self.has_many = format == MANY
        self.database = JournalDatabase(self._look.db, str(path), format)

    @property
    def was_changed(self) -> bool:
        """Whether the journal was written since it was opened, so that what was read may be void."""
        return self._look.changed()

    def identity(self) -> tuple[str | None, int]:
        """The name of the wave and the journal's generation. Raises `JournalFailed`."""
        return identity_in(self.database)

    def close(self) -> None:
        """Let go of it, and leave it as it was found."""
        self._look.close()


def identity_in(database: JournalDatabase) -> tuple[str | None, int]:
    """The name and the generation of the journal in *database*. Raises `JournalFailed`."""
    try:
        return identity_of(database.connection)
    except sqlite3.Error as error:
        raise database.unread(error) from error


def _file_at(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_dev
