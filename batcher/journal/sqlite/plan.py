"""The plan into the database: in one transaction, so that half a plan leaves nothing."""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from batcher.journal.ops import Settled
from batcher.journal.sqlite.database import Database
from batcher.journal.sqlite.schema import INDEX_OF_SCOPES, INDEXES
from batcher.journal.sqlite.writing import note, write_ops
from batcher.life.entry import PlannedEntry, Scope
from batcher.life.result import Status


class SqlitePlan:
    """See `Plan`. It is written between `BEGIN` and `COMMIT` of whoever made it."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._scopes = 0
        self._invalid = 0

    def add_scope(self, scope: Scope) -> None:
        """See `Plan.add_scope`."""
        with self._db.writing() as db:
            db.execute("INSERT INTO scopes VALUES (?, ?, ?, NULL)", (scope.number, scope.endpoint, scope.project_id))
        self._scopes += 1

    def add_entries(self, entries: Iterable[PlannedEntry]) -> None:
        """See `Plan.add_entries`."""
        with self._db.writing() as db:
            db.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)", map(_row, entries))

    def add_invalid(self, index: int, line: int, key: str, job_id: str | None, result: bytes) -> None:
        """See `Plan.add_invalid`."""
        with self._db.writing() as db:
            db.execute("INSERT INTO entries VALUES (?, ?, ?, NULL, ?, NULL, NULL, NULL)", (index, line, key, job_id))
            write_ops(db, [Settled(index=index, seq=self._invalid, status=Status.INVALID, line=result)])
        self._invalid += 1

    def finish(self, facts: Mapping[str, Any]) -> None:
        """See `Plan.finish`."""
        with self._db.writing() as db:
            for name, value in facts.items():
                note(db, name, value)
            db.execute("INSERT INTO meta VALUES ('planned', 1)")
            (entries,) = db.execute("SELECT count(*) FROM entries").fetchone()
            note(db, "entries", entries)
            _tell_count(db, entries)
            for statement in (INDEXES + (INDEX_OF_SCOPES if self._scopes > 1 else "")).strip().splitlines():
                db.execute(statement)
            db.execute("COMMIT")
            # So that a copy without the log has at least the plan. The log is not emptied: an empty one counts as lost.
            db.execute("PRAGMA wal_checkpoint(FULL)")


def _row(entry: PlannedEntry) -> tuple[Any, ...]:
    return (
        entry.index,
        entry.line,
        entry.key,
        entry.scope.number,
        entry.job_id,
        entry.x_language,
        orjson.dumps(entry.labels) if entry.labels else None,
        entry.body,
    )


def _tell_count(db: sqlite3.Connection, entries: int) -> None:
    """Put the count into the lines of invalid entries, which are from when nobody knew how many there would be."""
    db.execute(
        "UPDATE results SET line = CAST(replace(CAST(line AS TEXT), ?, ?) AS BLOB)",
        ('"wave_entries":null}', f'"wave_entries":{entries}}}'),
    )
