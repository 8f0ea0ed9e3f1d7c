"""What could be read of a damaged journal, in a temporary database: a journal of any size takes little memory."""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import orjson

from batcher.journal.errors import JournalFailed
from batcher.journal.sqlite.chunk import Chunk
from batcher.life.entry import PlannedEntry, Scope

Row = tuple[Any, ...]

# Columns without a type: values stay what they were read as.
_SCHEMA = """
PRAGMA journal_mode = OFF;
CREATE TABLE entries (idx INTEGER PRIMARY KEY, line, key, scope, job_id, x_language, labels, body);
CREATE TABLE events (id INTEGER PRIMARY KEY, idx, kind, body);
CREATE TABLE results (seq INTEGER PRIMARY KEY, idx, status, line);
CREATE TABLE dropped (idx INTEGER PRIMARY KEY);
"""
_WIDTHS = {"entries": 8, "events": 4, "results": 4}
_OF_NO_ENTRY = "typeof(idx) <> 'integer' OR NOT EXISTS (SELECT 1 FROM entries e WHERE e.idx = {table}.idx)"


def rows_of(chunk: Chunk, scope: int) -> Iterator[Row]:
    """The rows of the entries in *chunk*, of the scope with that number."""
    for place, index in enumerate(chunk.indexes):
        labels = chunk.labels[place]
        packed = orjson.dumps(labels) if labels else None
        key, job_id, language, body = (
            chunk.keys[place],
            chunk.job_ids[place],
            chunk.languages[place],
            chunk.bodies[place],
        )
        yield index, chunk.lines[place], key, scope, job_id, language, packed, body


def entry_of(row: Row, scopes: Mapping[int, Scope]) -> PlannedEntry | None:
    """The entry of *row*; None: it is an invalid one."""
    index, line, key, scope, job_id, x_language, labels, body = row
    if scope is None:
        return None
    return PlannedEntry(
        index=index,
        line=line,
        key=key,
        scope=scopes[scope],
        job_id=job_id,
        body=body,
        x_language=x_language,
        labels=orjson.loads(labels) if labels else {},
        shares_job=False,
    )


class SalvagedRows:
    """Rows of the tables `entries`, `events` and `results`, first their number. Close it when done.

    Its methods raise `JournalFailed` where the folder for temporary files cannot take them.
    """

    def __init__(self) -> None:
        with _temporary():
            self._db = sqlite3.connect("", isolation_level=None)  # a file without a name, gone when it is closed
            self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Throw them away."""
        self._db.close()

    def add(self, table: str, rows: Iterable[Row]) -> None:
        """Take in *rows* of *table*."""
        values = ", ".join("?" * _WIDTHS[table])
        with _temporary():
            self._db.execute("BEGIN")
            self._db.executemany(f"INSERT INTO {table} VALUES ({values})", rows)  # noqa: S608
            self._db.execute("COMMIT")

    def drop_strangers(self, table: str) -> int:
        """Drop the rows of *table* that are of no entry; how many."""
        with _temporary():
            return self._db.execute(f"DELETE FROM {table} WHERE {_OF_NO_ENTRY.format(table=table)}").rowcount  # noqa: S608

    def of(self, table: str) -> Iterator[Row]:
        """The rows of *table*, by number."""
        with _temporary():
            yield from self._db.execute(f"SELECT * FROM {table} ORDER BY 1")  # noqa: S608

    def events_by_entry(self) -> Iterator[tuple[Row, list[Row]]]:
        """Each entry that something happened to, with its events, in order."""
        with _temporary():
            self._db.execute("CREATE INDEX IF NOT EXISTS events_by_entry ON events (idx, id)")
            found = self._db.execute("SELECT * FROM events ORDER BY idx, id")
            for index, rows in groupby(found, key=lambda row: row[1]):
                entry = self._db.execute("SELECT * FROM entries WHERE idx = ?", (index,)).fetchone()
                yield entry, list(rows)

    def drop_events_of(self, indexes: Iterable[int], shown: int) -> tuple[int, list[int]]:
        """Drop all events of the entries with *indexes*; of how many these were, and the first so many of them."""
        with _temporary():
            self._db.executemany("INSERT INTO dropped VALUES (?)", ((index,) for index in indexes))
            self._db.execute("DELETE FROM events WHERE idx IN (SELECT idx FROM dropped)")
            first = [index for (index,) in self._db.execute("SELECT idx FROM dropped ORDER BY idx LIMIT ?", (shown,))]
            return int(self._db.execute("SELECT count(*) FROM dropped").fetchone()[0]), first

    def count(self, table: str) -> int:
        """How many rows of *table* there are."""
        with _temporary():
            return int(self._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608

    def last_entry(self) -> int:
        """The greatest index of an entry; -1: there is none."""
        with _temporary():
            return int(self._db.execute("SELECT coalesce(max(idx), -1) FROM entries").fetchone()[0])


@contextmanager
def _temporary() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise JournalFailed(
            f"what can be read does not fit into the folder for temporary files ($TMPDIR): {error}", reason=str(error)
        ) from error
