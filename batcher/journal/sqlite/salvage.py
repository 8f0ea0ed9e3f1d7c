"""A damaged journal: what is wrong with it, and what can still be read.

Nothing is ever written to it. Rows lie in pages by their numbers: where a page cannot be read, the next one that can be
is looked for in ever larger steps, so that damage costs the rows of its pages and no more.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import orjson

from batcher.journal.errors import JournalFailed, NotAJournal
from batcher.journal.sqlite.chunk import unpacked
from batcher.journal.sqlite.chunk_writer import ChunkPlanWriter
from batcher.journal.sqlite.file import WrittenFile
from batcher.journal.sqlite.log import IN_USE, ReadOnlyOpening, is_cut_off
from batcher.journal.sqlite.packing import PLAIN_CHECKSUMS, checksum, plain_checksums
from batcher.journal.sqlite.salvaged_rows import SalvagedRows, entry_of, rows_of
from batcher.journal.sqlite.schema import APPLICATION_ID, PACKED, ROWS
from batcher.life.entry import PlannedEntry, Scope

_TABLES = {"entries": "idx", "events": "id", "results": "seq", "plan_chunks": "id", "plan_invalid": "idx"}
# What leads to the entries of a plan in chunks, which a rescue makes anew.
_INDEXES = (("plan_keys", "hash", "pairs"), ("plan_jobs", "hash", "pairs"), ("plan_scopes", "block", "numbers"))
_BATCH = 500  # rows
_FURTHEST = 40  # doublings of a step: more than any journal has rows
_TOLD = 8  # of SQLite's own findings


class Salvage:
    """The journal at *path*, opened for its rows. Close it when done."""

    def __init__(self, path: Path) -> None:
        """Raises OSError, and `NotAJournal` where not even its first page is one's."""
        self.path = path
        self._gaps: dict[str, int] = dict.fromkeys(_TABLES, 0)
        try:
            self._look = ReadOnlyOpening(path)
            self._db = self._look.db
            self._db.execute("PRAGMA query_only = ON")
            self._db.execute("PRAGMA writable_schema = ON")  # else nothing is read of a file that was cut off
            application = self._db.execute("PRAGMA application_id").fetchone()[0]
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
        except sqlite3.Error as error:
            raise NotAJournal(
                f"of {path} nothing can be read: {error}. A backup of all the wave's files, RESULTS*, is the way out"
            ) from error
        if application != APPLICATION_ID or version not in (ROWS, PACKED):
            self.close()
            raise NotAJournal(f"{path} is no batcher journal of one wave, in format {ROWS} or {PACKED}")
        self._is_packed = version == PACKED

    def close(self) -> None:
        """Let go of it."""
        self._look.close()

    def findings(self) -> list[str]:
        """What is wrong with the file, page by page, and with the indexes of its plan; none: it is whole."""
        try:
            rows = self._db.execute(f"PRAGMA integrity_check({_TOLD})").fetchall()
        except sqlite3.Error as error:
            return [f"SQLite: {error}"]
        if not self._look.had_log and is_cut_off(self._db, self.path):
            rows = [*rows, ("the last page is cut off",)]
        found = [f"SQLite: {' '.join(str(told).split())}" for (told,) in rows if told != "ok"]
        for table, number, content in _INDEXES if self._is_packed else ():
            with suppress(sqlite3.Error):  # which SQLite has told
                sealed = self._db.execute(f"SELECT {number}, crc, {content} FROM {table}")  # noqa: S608 - ours
                if damaged := sum(checksum(packed, place) != crc for place, crc, packed in sealed):
                    found.append(f"{damaged:,} of the groups in {table} do not have their checksum")
        return [*found, *(f"the table {table} does not have its checksum" for table in self._changed())]

    def _changed(self) -> list[str]:
        """The tables of the plan that do not have the checksum which the journal has of them."""
        said = self.meta().get(PLAIN_CHECKSUMS)
        try:
            found = plain_checksums(lambda sql, values: self._db.execute(sql, values).fetchall()) if said else {}
        except sqlite3.Error:  # which SQLite has told
            return []
        return [table for table, crc in found.items() if not isinstance(said, dict) or said.get(table) != crc]

    def meta(self) -> dict[str, Any]:
        """The wave's facts, as far as they can be read."""
        facts: dict[str, Any] = {}
        with suppress(sqlite3.Error):
            for name, value in self._db.execute("SELECT name, value FROM meta"):
                with suppress(orjson.JSONDecodeError, TypeError):
                    facts[name] = value if name in ("planned", IN_USE) else orjson.loads(value)
        return facts

    def scopes(self) -> list[tuple[Any, ...]]:
        """The scopes of the journal. Raises `JournalFailed`: without them nobody knows whose the entries are."""
        if "scopes" in self._changed():
            raise JournalFailed(
                f"the scopes of {self.path} are not those of the plan, so nobody knows where its entries would go. "
                "A backup of all the wave's files is the way out",
                reason="the table scopes does not have its checksum",
            )
        try:
            return self._db.execute("SELECT number, endpoint, project_id, clock_offset_s FROM scopes").fetchall()
        except sqlite3.Error as error:
            said = f"the scopes of {self.path} cannot be read: {error}. A backup of all the wave's files is the way out"
            raise JournalFailed(said, reason=str(error)) from error

    @property
    def lost(self) -> dict[str, int]:
        """How many stretches of entries, events and results could not be read."""
        gaps = self._gaps
        entries = gaps["entries"] + gaps["plan_chunks"] + gaps["plan_invalid"]
        return {"entries": entries, "events": gaps["events"], "results": gaps["results"]}

    def rows(self, table: str) -> Iterator[tuple[Any, ...]]:
        """Every row of the table of `entries`, `events` or `results` that can be read; `lost` counts the gaps.

        Entries are told as rows, however they are kept.
        """
        if table == "entries" and self._is_packed:
            for _, *where, crc, content in self._rows("plan_chunks"):
                try:
                    chunk = unpacked(content, crc, *where)
                except ValueError:
                    self._gaps["plan_chunks"] += 1
                else:
                    yield from rows_of(chunk, where[0])
            if "plan_invalid" in self._changed():  # nobody knows whose places those are
                self._gaps["plan_invalid"] += 1
                return
            for index, line, key, job_id in self._rows("plan_invalid"):
                yield index, line, key, None, job_id, None, None, None
        else:
            yield from self._rows(table)

    def _rows(self, table: str) -> Iterator[tuple[Any, ...]]:
        number, last = _TABLES[table], -(2**62)
        limit = _BATCH
        while True:
            found, is_damaged = self._some(table, number, last, limit)
            yield from found
            if found:
                last, limit = found[-1][0], min(_BATCH, limit * 2)
            elif not is_damaged:
                return
            elif limit > 1:
                limit = max(1, limit // 8)
            else:
                self._gaps[table] += 1
                beyond = self._beyond(table, number, last)
                if beyond is None:
                    return
                last, limit = beyond, _BATCH

    def _some(self, table: str, number: str, last: int, limit: int) -> tuple[list[tuple[Any, ...]], bool]:
        """The next rows behind the one numbered *last*, at most so many, and whether damage ends them. A page that was
        lost may read as one that leads back: what does not come in order is damage, too."""
        try:
            found = self._db.execute(
                f"SELECT * FROM {table} WHERE {number} > ? ORDER BY {number} LIMIT ?",  # noqa: S608
                (last, limit),
            ).fetchall()
        except sqlite3.DatabaseError:
            return [], True
        for place, row in enumerate(found):
            if row[0] <= last:
                return found[:place], True
            last = row[0]
        return found, False

    def _beyond(self, table: str, number: str, last: int) -> int | None:
        """The place behind the damage from which rows can be read again; None: there is none."""
        low = max(last, -1)
        for doubling in range(_FURTHEST):
            step = 1 << doubling
            if self._reads(table, number, low + step):
                bad, good = low, low + step
                while good - bad > 1:
                    middle = (good + bad) // 2
                    bad, good = (bad, middle) if self._reads(table, number, middle) else (middle, good)
                return good
        return None

    def _reads(self, table: str, number: str, place: int) -> bool:
        with suppress(sqlite3.DatabaseError):
            row = self._db.execute(
                f"SELECT * FROM {table} WHERE {number} > ? ORDER BY {number} LIMIT 1",  # noqa: S608
                (place,),
            ).fetchone()
            return row is not None and row[0] > place
        return False


def write_salvaged(path: Path, salvage: Salvage, rows: SalvagedRows, facts: dict[str, Any]) -> None:
    """A new journal at *path* of what was read: *rows* and *facts*. Raises `JournalFailed`, `WaveRefused`."""
    file = WrittenFile.open(path)
    try:
        with file.database.transaction() as db:
            plan = ChunkPlanWriter(lambda: nullcontext(db))
            scopes = {
                number: Scope(number, endpoint, project_id) for number, endpoint, project_id, _ in salvage.scopes()
            }
            for scope in scopes.values():
                plan.add_scope(scope)
            for number, _, _, clock_offset_s in salvage.scopes():
                db.execute("UPDATE scopes SET clock_offset_s = ? WHERE number = ?", (clock_offset_s, number))
            plan.add_entries(_entries(plan, rows.of("entries"), scopes))
            plan.finish(facts)
            for table in ("events", "results"):
                db.executemany(f"INSERT INTO {table} VALUES (?, ?, ?, ?)", rows.of(table))  # noqa: S608
    finally:
        file.close()


def _entries(
    plan: ChunkPlanWriter, rows: Iterable[tuple[Any, ...]], scopes: Mapping[int, Scope]
) -> Iterator[PlannedEntry]:
    """The entries of *rows*; those that are not valid go into *plan* at once."""
    for row in rows:
        if (entry := entry_of(row, scopes)) is None:
            index, line, key, _, job_id, *_ = row
            plan.add_place(index, line, key, job_id)
        else:
            yield entry
