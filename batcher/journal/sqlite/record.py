"""What the database answers about one wave: `Record` in SQL.

A wave has a number in its database, and each of its places there is that number and, in the lower half, its own index:
so the entries of a wave follow each other in every table, and one statement serves a database of one wave as well as
one of many. The wave in a file of its own has number 0: its places are its indexes.

Nothing here walks over all of a wave but what is asked once in a run: `tests/journal/test_query_plans.py` sees to it.
"""

from collections.abc import Iterable, Iterator
from typing import Any, assert_never

import orjson

from batcher.journal.ops import ClockNoted, Happened, Noted, Op, Settled
from batcher.journal.port import MOST_BYTES, EntryWithEvents
from batcher.journal.sqlite.database import Database, Row
from batcher.journal.sqlite.log import IN_USE
from batcher.life.entry import PlannedEntry, Scope
from batcher.life.events import Answered, Event, decode
from batcher.life.result import Status

_PAGE = 1000  # rows read at a time by whoever goes through all of them
_LABELS, _BODY = 6, 7  # their places in
_ENTRY = "e.idx, e.line, e.key, e.scope, e.job_id, e.x_language, e.labels, e.body"
_SHARES = "EXISTS (SELECT 1 FROM entries o WHERE o.scope = e.scope AND o.job_id = e.job_id AND o.idx <> e.idx)"
_HAS_EVENTS = "EXISTS (SELECT 1 FROM events v WHERE v.idx = e.idx)"
_HAS_RESULT = "EXISTS (SELECT 1 FROM results r WHERE r.idx = e.idx)"
# A scope's entries in manifest order, without a sort: the plan itself, which is that of one scope as a rule. The plus
# keeps SQLite from the index of jobs, all of whose entries it would sort for each batch.
_IN_ONE_SCOPE = "entries e WHERE +e.scope = ? AND e.idx > ?"
_IN_SCOPE = "entries e INDEXED BY entries_by_scope WHERE e.scope = ? AND e.idx > ?"


class SqliteRecord:
    """See `Record`."""

    def __init__(self, database: Database) -> None:
        self._db = database
        self._scopes: dict[int, Scope] = {}
        self._walk: str | None = None
        self._wave_entries: int | None = None

    @property
    def name(self) -> str:
        """See `Record.name`."""
        return self._db.name

    # --- the wave -----------------------------------------------------------------------------------------

    def is_planned(self) -> bool:
        """See `Record.is_planned`."""
        return self._db.row("SELECT 1 FROM meta WHERE name = 'planned'") is not None

    def facts(self) -> dict[str, Any]:
        """See `Record.facts`."""
        rows = self._db.rows("SELECT name, value FROM meta WHERE name NOT IN ('planned', ?)", (IN_USE,))
        return {name: orjson.loads(value) for name, value in rows}

    def scopes(self) -> list[Scope]:
        """See `Record.scopes`."""
        return [Scope(*row) for row in self._db.rows("SELECT number, endpoint, project_id FROM scopes ORDER BY 1")]

    def entry_count(self) -> int:
        """See `Record.entry_count`."""
        return self._count("SELECT count(*) FROM entries")

    def scope_sizes(self) -> dict[int, int]:
        """See `Record.scope_sizes`."""
        rows = self._db.rows("SELECT scope, count(*) FROM entries WHERE scope IS NOT NULL GROUP BY scope")
        return {scope: count for scope, count in rows}

    def is_settled(self) -> bool:
        """See `Record.is_settled`. Told from indexes alone: of a million entries, to look at each would take
        seconds."""
        return self._count("SELECT count(*) FROM results") == self.entry_count()

    def status_counts(self) -> dict[Status, int]:
        """See `Record.status_counts`."""
        rows = self._db.rows("SELECT status, count(*) FROM results GROUP BY status")
        return {Status(status): count for status, count in rows}

    def settled_counts(self) -> dict[int, int]:
        """See `Record.settled_counts`."""
        rows = self._db.rows(
            "SELECT scope, count(*) FROM entries WHERE scope IS NOT NULL AND idx IN (SELECT idx FROM results) "
            "GROUP BY scope"
        )
        return {scope: count for scope, count in rows}

    def last_event_at(self) -> float | None:
        """See `Record.last_event_at`."""
        row = self._db.row("SELECT kind, body FROM events ORDER BY id DESC LIMIT 1")
        return decode(*row).at if row else None

    def _count(self, sql: str) -> int:
        row = self._db.row(sql)
        return 0 if row is None else int(row[0])

    # --- entries, a batch at a time -----------------------------------------------------------------------

    def planned(self, scope: int, after: int, limit: int, most_bytes: int = MOST_BYTES) -> list[PlannedEntry]:
        """See `Record.planned`."""
        if after < 0 and self.is_settled():
            return []
        return self._entries(
            f"SELECT {_ENTRY}, {_SHARES} FROM {self._in_scope} "  # noqa: S608
            f"AND NOT {_HAS_EVENTS} AND NOT {_HAS_RESULT} ORDER BY e.idx LIMIT ?",
            (scope, after, limit),
            most_bytes,
        )

    def open_entries(self, scope: int, after: int, limit: int, most_bytes: int = MOST_BYTES) -> list[EntryWithEvents]:
        """See `Record.open_entries`."""
        if after < 0 and self.is_settled():
            return []
        return self._with_events(
            self._entries(
                f"SELECT {_ENTRY}, {_SHARES} FROM {self._in_scope} "  # noqa: S608
                f"AND NOT {_HAS_RESULT} AND {_HAS_EVENTS} ORDER BY e.idx LIMIT ?",
                (scope, after, limit),
                most_bytes,
            )
        )

    def unfinished(self, after: int, limit: int) -> list[EntryWithEvents]:
        """See `Record.unfinished`."""
        return self._with_events(
            self._entries(
                f"SELECT {_ENTRY}, 0 FROM entries e WHERE e.idx > ? AND NOT {_HAS_RESULT} ORDER BY e.idx LIMIT ?",  # noqa: S608
                (after, limit),
                MOST_BYTES,
            )
        )

    def with_status(self, statuses: Iterable[Status]) -> list[int]:
        """See `Record.with_status`."""
        found: list[int] = []
        for status in statuses:
            rows = self._db.rows("SELECT idx FROM results WHERE status = ? ORDER BY idx", (status.value,))
            found += [index for (index,) in rows]
        return sorted(found)

    @property
    def _in_scope(self) -> str:
        """See `_IN_SCOPE`. Journals from before have no such index."""
        if self._walk is None:
            there = self._db.row("SELECT 1 FROM sqlite_master WHERE name = 'entries_by_scope'")
            self._walk = _IN_SCOPE if there else _IN_ONE_SCOPE
        return self._walk

    def _entries(self, sql: str, values: tuple[Any, ...], most_bytes: int) -> list[PlannedEntry]:
        """The entries that *sql* finds, one at least, until they come to *most_bytes*."""
        found: list[Row] = []
        with self._db.cursor(sql, values) as rows:
            for row in rows:
                found.append(row)
                most_bytes -= len(row[_LABELS] or b"") + len(row[_BODY] or b"")
                if most_bytes <= 0:
                    break
        return [self._entry(row) for row in found]

    def _with_events(self, entries: Iterable[PlannedEntry]) -> list[EntryWithEvents]:
        return [(entry, self.events(entry.index)) for entry in entries]

    # --- one entry ----------------------------------------------------------------------------------------

    def entry(self, index: int) -> PlannedEntry | None:
        """See `Record.entry`."""
        row = self._db.row(
            f"SELECT {_ENTRY}, {_SHARES} FROM entries e WHERE e.idx = ? AND e.scope IS NOT NULL",  # noqa: S608
            (index,),
        )
        return self._entry(row) if row else None

    def events(self, index: int) -> list[Event]:
        """See `Record.events`."""
        rows = self._db.rows("SELECT kind, body FROM events WHERE idx = ? ORDER BY id", (index,))
        return [decode(kind, body) for kind, body in rows]

    def result_of(self, index: int) -> tuple[int, Status, bytes] | None:
        """See `Record.result_of`."""
        row = self._db.row("SELECT seq, status, line FROM results WHERE idx = ?", (index,))
        return (row[0], Status(row[1]), row[2]) if row else None

    def line_of(self, index: int) -> int | None:
        """See `Record.line_of`."""
        row = self._db.row("SELECT line FROM entries WHERE idx = ?", (index,))
        return int(row[0]) if row else None

    def indexes_of_key(self, key: str) -> list[int]:
        """See `Record.indexes_of_key`."""
        return [index for (index,) in self._db.rows("SELECT idx FROM entries WHERE key = ?", (key,))]

    def others_of_job(self, entry: PlannedEntry) -> list[EntryWithEvents]:
        """See `Record.others_of_job`."""
        rows = self._db.rows(
            f"SELECT {_ENTRY}, 1 FROM entries e WHERE e.scope = ? AND e.job_id = ? AND e.idx <> ?",  # noqa: S608
            (entry.scope.number, entry.job_id, entry.index),
        )
        return self._with_events(map(self._entry, rows))

    def answered_around(self, entry: PlannedEntry) -> list[EntryWithEvents]:
        """See `Record.answered_around`."""
        first = self._db.row("SELECT min(id) FROM events WHERE idx = ?", (entry.index,))
        at = None if first is None else first[0]
        if at is None:
            return []
        rows: list[Row] = []
        for near, order in (("v.id < ? AND v.id > ? - 2000", "DESC"), ("v.id > ? AND v.id < ? + 2000", "ASC")):
            rows += self._db.rows(
                f"SELECT e.idx FROM events v CROSS JOIN entries e USING (idx) WHERE {near} "  # noqa: S608
                f"AND v.kind = 'answered' AND e.scope = ? ORDER BY v.id {order} LIMIT 8",
                (at, at, entry.scope.number),
            )
        found = {index: self.entry(index) for (index,) in rows}
        return self._with_events(other for other in found.values() if other is not None)

    # --- results ------------------------------------------------------------------------------------------

    def next_seq(self) -> int:
        """See `Record.next_seq`."""
        row = self._db.row("SELECT max(seq) FROM results")
        return 0 if row is None or row[0] is None else int(row[0]) + 1

    def lines(self) -> Iterator[bytes]:
        """See `Record.lines`."""
        seq = -1
        while rows := self._db.rows("SELECT seq, line FROM results WHERE seq > ? ORDER BY seq LIMIT ?", (seq, _PAGE)):
            seq = rows[-1][0]
            for _, line in rows:
                yield line

    def lines_from(self, seq: int) -> list[bytes]:
        """See `Record.lines_from`."""
        return [line for (line,) in self._db.rows("SELECT line FROM results WHERE seq >= ? ORDER BY seq", (seq,))]

    def first_created(self, scope: int, limit: int) -> list[EntryWithEvents]:
        """See `Record.first_created`. Of many scopes one may have none: not all results are looked through for that."""
        rows = self._db.rows(
            f"SELECT {_ENTRY}, 0 FROM results r CROSS JOIN entries e ON e.idx = r.idx "  # noqa: S608
            "WHERE r.seq < 10000 AND +r.status = 'created' AND e.scope = ? ORDER BY r.seq LIMIT ?",
            (scope, limit),
        )
        return self._with_events(map(self._entry, rows))

    # --- all of it, one after the other -------------------------------------------------------------------

    def answers(self) -> Iterator[tuple[int, Answered]]:
        """See `Record.answers`."""
        last = -1
        while rows := self._db.rows(
            "SELECT id, idx, body FROM events WHERE id > ? AND kind = 'answered' ORDER BY id LIMIT ?", (last, _PAGE)
        ):
            last = rows[-1][0]
            for _, index, body in rows:
                event = decode("answered", body)
                if isinstance(event, Answered):
                    yield index, event

    def outline(self) -> Iterator[tuple[int, str, str | None, Scope | None]]:
        """See `Record.outline`."""
        scopes = {scope.number: scope for scope in self.scopes()}
        last = -1
        while rows := self._db.rows(
            "SELECT idx, key, job_id, scope FROM entries WHERE idx > ? ORDER BY idx LIMIT ?", (last, _PAGE)
        ):
            last = rows[-1][0]
            for index, key, job_id, scope in rows:
                yield index, key, job_id, scopes.get(scope)

    def holds(self, ops: Iterable[Op]) -> bool:
        """See `Record.holds`."""
        for op in ops:
            match op:
                case Happened():
                    if op.event not in self.events(op.index):
                        return False
                case Settled():
                    if self.result_of(op.index) is None:
                        return False
                case Noted() | ClockNoted():
                    pass
                case _:
                    assert_never(op)
        return True

    # --- rows ---------------------------------------------------------------------------------------------

    def _entry(self, row: Row) -> PlannedEntry:
        if not self._scopes:
            self._scopes = {scope.number: scope for scope in self.scopes()}
            counted = self._db.row("SELECT value FROM meta WHERE name = 'entries'")
            self._wave_entries = int(counted[0]) if counted else self.entry_count()  # old journals have no such fact
        index, line, key, scope, job_id, x_language, labels, body, shares_job = row
        return PlannedEntry(
            index=index,
            line=line,
            key=key,
            scope=self._scopes[scope],
            job_id=job_id,
            body=body,
            x_language=x_language,
            labels=orjson.loads(labels) if labels else {},
            shares_job=bool(shares_job),
            wave_entries=self._wave_entries,
        )
