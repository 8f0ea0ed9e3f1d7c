"""The SQLite database under a keeper: the one way to it, for questions and for what is written.

Invariants:
- One connection, used from any thread, by one at a time: whoever uses it has its lock. A transaction keeps the lock
  from its beginning to its end, so nobody's question falls into another's transaction.
- Every error that SQLite or the disk raises comes out as `JournalFailed`. Everything else is a defect, and stays one.
- Autocommit: what is written outside of `transaction` is a transaction by itself, and durable when the call returns.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from batcher.journal.errors import JournalDamaged, JournalFailed

Row = tuple[Any, ...]


class JournalDatabase:
    """The database of *connection*, which people know as *name* and which is a journal of that *format*.

    Its methods raise `JournalFailed`.
    """

    def __init__(self, connection: sqlite3.Connection, name: str, format: int) -> None:
        self.connection = connection
        self.name = name
        self.format = format
        self.lock = threading.RLock()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        """All rows that answer *sql*."""
        with self.lock:
            try:
                return self.connection.execute(sql, values).fetchall()
            except (sqlite3.Error, OSError) as error:
                raise self.unread(error) from error

    def row(self, sql: str, values: Sequence[Any] = ()) -> Row | None:
        """The first row that answers *sql*; None: there is none."""
        with self.lock:
            try:
                found: Row | None = self.connection.execute(sql, values).fetchone()
            except (sqlite3.Error, OSError) as error:
                raise self.unread(error) from error
            return found

    def pages(
        self, sql: str, after: int, values: Sequence[Any] = (), *, is_backward: bool = False
    ) -> Iterator[list[Row]]:
        """All rows behind number *after*, some at a time: *sql* gives the next of them behind the number that its first
        value is, in order, from the last one on where it *is_backward*, and with their number first."""
        while rows := self.rows(sql, (after, *values)):
            if (
                rows[-1][0] == after or (rows[-1][0] < after) != is_backward
            ):  # of a page that lies where another should: nobody would ever come to the end
                raise self.senseless("its rows lead back to where they began")
            after = rows[-1][0]
            yield rows

    @contextmanager
    def cursor(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Iterator[Row]]:
        """The rows that answer *sql*, one after the other, for a caller that may not want them all."""
        with self.lock:
            cursor = None
            try:
                cursor = self.connection.execute(sql, values)
                yield cursor
            except (sqlite3.Error, OSError) as error:
                raise self.unread(error) from error
            finally:
                if cursor is not None:
                    cursor.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The connection, to write by."""
        with self.lock:
            try:
                yield self.connection
            except (sqlite3.Error, OSError) as error:
                raise self.unwritten(error) from error

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """The same in one transaction, durable when it is left; where it is left by an error, nothing was written."""
        with self.writing() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def unread(self, error: Exception) -> JournalFailed:
        """What to say of *error*, met while reading."""
        return failed(f"cannot read the journal {self.name}", self.name, error)

    def unwritten(self, error: Exception) -> JournalFailed:
        """What to say of *error*, met while writing."""
        return failed(f"cannot write the journal {self.name}", self.name, error)

    def senseless(self, what: str) -> JournalDamaged:
        """What to say of *what*, which SQLite gives, and nobody can make sense of."""
        return damaged(what, self.name)


SENSELESS = (ValueError, TypeError, KeyError, AttributeError, IndexError)
"""What is raised where something is made of values that nobody wrote: SQLite gives them out of a damaged page."""


def damaged(what: str, name: str) -> JournalDamaged:
    """What to say of *what* in the journal with this *name*, which SQLite gives, and nobody can make sense of."""
    return JournalDamaged(f"cannot read the journal {name}: {what}. {_left(name)}", reason=what)


def failed(what: str, name: str, error: Exception) -> JournalFailed:
    """What to say of *error*, which is why *what* is so of the journal with this *name*; with the way out, where the
    error tells that."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    said, reason = f"{what}: {error}", str(error)
    if code == sqlite3.SQLITE_CORRUPT:
        return JournalDamaged(f"{said}. {_left(name)}", reason=reason)
    return JournalFailed(f"{said}. {_NO_ROOM}" if code == sqlite3.SQLITE_FULL else said, reason=reason)


_NO_ROOM = "Make room, and run the same command again"


def _left(name: str) -> str:
    return f"`batcher journal check {name}` says what is left of it"
