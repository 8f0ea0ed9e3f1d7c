"""The plan into the database, so that half a plan leaves nothing.

A wave that has its database for itself is planned in one transaction. Beside others, whose commits must not wait for
it, each chunk is one; the plan counts only with the fact that is written last, and what a dead process left of one is
cleared away before the next.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import orjson

from batcher.journal.port import PlanWriter
from batcher.journal.sqlite.chunk_writer import ChunkPlanWriter, Writing
from batcher.journal.sqlite.database import JournalDatabase
from batcher.journal.sqlite.places import Places
from batcher.journal.sqlite.schema import INDEX_OF_SCOPES, INDEXES, PACKED
from batcher.journal.sqlite.writing import note, tell_count
from batcher.life.entry import PlannedEntry, Scope
from batcher.life.entry_columns import EntryColumns
from batcher.life.result import Status

_TABLES = (("entries", "idx"), ("results", "seq"), ("scopes", "number"))


class RowPlanWriter(PlanWriter):
    """A `PlanWriter` whose entries become rows, each of whose steps is made in *writing*."""

    def __init__(self, writing: Writing, places: Places) -> None:
        self._writing = writing
        self._places = places
        self._scopes = 0
        self._entries = 0
        self._invalid = 0

    def add_scope(self, scope: Scope) -> None:
        """Add a scope, before its entries."""
        with self._writing() as db:
            values = (self._places.base + scope.number, scope.endpoint, scope.project_id)
            db.execute("INSERT INTO scopes VALUES (?, ?, ?, NULL)", values)
        self._scopes += 1

    def add_columns(self, columns: EntryColumns) -> None:
        """Add entries of a scope that has been added."""
        with self._writing() as db:
            rows = map(self._row, columns.entries())
            self._entries += db.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows).rowcount

    def add_invalid(self, index: int, line: int, key: str, job_id: str | None, result: bytes) -> None:
        """Add an entry that is not sent because it is not valid, with the line of its *result*."""
        place, seq = self._places.base + index, self._places.base + self._invalid
        with self._writing() as db:
            db.execute("INSERT INTO entries VALUES (?, ?, ?, NULL, ?, NULL, NULL, NULL)", (place, line, key, job_id))
            db.execute("INSERT INTO results VALUES (?, ?, ?, ?)", (seq, place, Status.INVALID.value, result))
        self._invalid += 1

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Add the wave's facts: the plan is whole, and durable once `MutableRecord.planning` is left."""
        entries = self._entries + self._invalid
        with self._writing() as db:
            for name, value in {**facts, "entries": entries}.items():
                note(db, self._places.fact(name), value)
            tell_count(db, self._places, entries)
            if self._places.is_alone:
                for statement in (INDEXES + (INDEX_OF_SCOPES if self._scopes > 1 else "")).strip().splitlines():
                    db.execute(statement)
            db.execute("INSERT INTO meta VALUES (?, 1)", (self._places.fact("planned"),))

    def _row(self, entry: PlannedEntry) -> tuple[Any, ...]:
        return (
            self._places.base + entry.index,
            entry.line,
            entry.key,
            self._places.base + entry.scope.number,
            entry.job_id,
            entry.x_language,
            orjson.dumps(entry.labels) if entry.labels else None,
            entry.body,
        )


@contextmanager
def planning_alone(database: JournalDatabase, places: Places) -> Iterator[PlanWriter]:
    """A plan in one transaction, which takes the whole database. Raises `JournalFailed`."""
    with database.writing() as db:
        db.execute("BEGIN IMMEDIATE")
        packed = database.format == PACKED
        plan = ChunkPlanWriter(database.writing) if packed else RowPlanWriter(database.writing, places)
        try:
            yield plan
            if _is_planned(db, places):
                db.execute("COMMIT")
                # So that a copy without the log has at least the plan. The log is not emptied: an empty one counts as
                # lost.
                db.execute("PRAGMA wal_checkpoint(FULL)")
        finally:
            if db.in_transaction:
                db.rollback()


@contextmanager
def planning_beside(database: JournalDatabase, places: Places) -> Iterator[PlanWriter]:
    """A plan in many transactions, between which the commits of other waves have their turn. Raises `JournalFailed`."""
    _clear(database, places)
    try:
        yield RowPlanWriter(database.transaction, places)
    finally:
        _clear(database, places)


def _clear(database: JournalDatabase, places: Places) -> None:
    """Take away what there is of a plan that is not whole."""
    with database.transaction() as db:
        if not _is_planned(db, places):
            for table, column in _TABLES:
                db.execute(f"DELETE FROM {table} WHERE {column} BETWEEN ? AND ?", places.ends)  # noqa: S608 - ours


def _is_planned(db: sqlite3.Connection, places: Places) -> bool:
    return db.execute("SELECT 1 FROM meta WHERE name = ?", (places.fact("planned"),)).fetchone() is not None
