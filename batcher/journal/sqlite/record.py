"""What the database answers about one wave: `Record` in SQL.

What holds here:
- Nothing walks over all of a wave but what is asked once in a run, nor over those beside it:
  `tests/journal/test_query_plans.py` sees to it.
- An iterator reads by the page and holds no cursor in between, so that one may write while one goes through it.
- Places are the database's inside, and the wave's own outside (`places.py`).
"""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from batcher.journal.ops import Op
from batcher.journal.port import MOST_BYTES, EntryWithEvents, is_recorded
from batcher.journal.sqlite.database import JournalDatabase, Row
from batcher.journal.sqlite.log import IN_USE
from batcher.journal.sqlite.places import Places, index_at, number_at
from batcher.life.entry import PlannedEntry, Scope
from batcher.life.events import Answered, Event, Intended, decode
from batcher.life.result import Status

_PAGE = 1000  # rows read at a time by whoever goes through all of them
_NEWEST = 2**63 - 1  # no event's id is as large
_LABELS, _BODY = 6, 7  # their places in
_ENTRY = "e.idx, e.line, e.key, e.scope, e.job_id, e.x_language, e.labels, e.body"
_SHARES = "EXISTS (SELECT 1 FROM entries o WHERE o.scope = e.scope AND o.job_id = e.job_id AND o.idx <> e.idx)"
_HAS_EVENTS = "EXISTS (SELECT 1 FROM events v WHERE v.idx = e.idx)"
_HAS_RESULT = "EXISTS (SELECT 1 FROM results r WHERE r.idx = e.idx)"
# A scope's entries in manifest order, without a sort: the plan itself, which is that of one scope as a rule. The plus
# keeps SQLite from the index of jobs, all of whose entries it would sort for each batch.
_IN_ONE_SCOPE = "entries e WHERE +e.scope = ? AND e.idx > ? AND e.idx <= ?"
_IN_SCOPE = "entries e INDEXED BY entries_by_scope WHERE e.scope = ? AND e.idx > ? AND e.idx <= ?"


_ALONE = Places()


class SqliteRecord:
    """The record of one wave, read from the database: a `Record`."""

    def __init__(self, database: JournalDatabase, places: Places = _ALONE, wave: str | None = None) -> None:
        """The wave at *places*; *wave* is its id in a database of many."""
        self.name = database.name if wave is None else f"{database.name}, wave {wave}"
        self.places = places
        self._db = database
        self._base, self._last = places.ends
        self._scopes: dict[int, Scope] = {}
        self._walk: str | None = None
        self._wave_entries: int | None = None

    # --- the wave -----------------------------------------------------------------------------------------

    def is_planned(self) -> bool:
        """Whether a whole plan is there."""
        return self._fact("planned") is not None

    def facts(self) -> dict[str, Any]:
        """The wave's facts: its manifest's digest, its settings, …"""
        if self.places.is_alone:
            rows = self._db.rows("SELECT name, value FROM meta WHERE name NOT IN ('planned', ?)", (IN_USE,))
            return {name: orjson.loads(value) for name, value in rows}
        prefix, planned = self.places.fact(""), self.places.fact("planned")
        rows = self._db.rows("SELECT name, value FROM meta WHERE name > ? AND name < ?", (prefix, f"{prefix[:-1]};"))
        return {name.removeprefix(prefix): orjson.loads(value) for name, value in rows if name != planned}

    def scopes(self) -> list[Scope]:
        """The wave's scopes."""
        rows = self._db.rows(
            "SELECT number, endpoint, project_id FROM scopes WHERE number BETWEEN ? AND ? ORDER BY 1", self.places.ends
        )
        return [Scope(index_at(place), endpoint, project_id) for place, endpoint, project_id in rows]

    def entry_count(self) -> int:
        """How many entries the manifest has."""
        if self.places.is_alone:
            row = self._db.row("SELECT count(*) FROM entries")  # by the smallest index
        elif (counted := self._fact("entries")) is not None:
            return int(counted)
        else:
            row = self._db.row("SELECT count(*) FROM entries WHERE idx BETWEEN ? AND ?", self.places.ends)
        return 0 if row is None else int(row[0])

    def scope_sizes(self) -> dict[int, int]:
        """How many entries each scope has, by its number."""
        rows = self._db.rows(
            "SELECT scope, count(*) FROM entries WHERE scope BETWEEN ? AND ? GROUP BY scope", self.places.ends
        )
        return {index_at(scope): count for scope, count in rows}

    def is_settled(self) -> bool:
        """Whether every entry has a result. Told from indexes alone: of a million entries, to look at each would take
        seconds."""
        return sum(self.status_counts().values()) == self.entry_count()

    def status_counts(self) -> dict[Status, int]:
        """How many results there are of each status."""
        return {Status(status): count for status, count in self._db.rows(*self.places.counting())}

    def settled_counts(self) -> dict[int, int]:
        """How many entries of each scope have a result, by the scope's number."""
        rows = self._db.rows(
            "SELECT scope, count(*) FROM entries WHERE scope BETWEEN ? AND ? "
            "AND idx IN (SELECT idx FROM results WHERE idx BETWEEN ? AND ?) GROUP BY scope",
            (*self.places.ends, *self.places.ends),
        )
        return {index_at(scope): count for scope, count in rows}

    def last_event_at(self) -> float | None:
        """When the last event happened, Unix seconds by our clock; None: none has yet."""
        row = self._db.row(
            "SELECT kind, body FROM events WHERE +idx BETWEEN ? AND ? ORDER BY id DESC LIMIT 1", self.places.ends
        )
        return decode(*row).at if row else None

    def _fact(self, name: str) -> Any:
        """The value of one fact as it stands; None: there is none."""
        row = self._db.row("SELECT value FROM meta WHERE name = ?", (self.places.fact(name),))
        return None if row is None else row[0]

    # --- entries, a batch at a time -----------------------------------------------------------------------

    def planned(self, scope: int, after: int, limit: int, most_bytes: int = MOST_BYTES) -> list[PlannedEntry]:
        """The next entries of *scope* behind index *after* that nothing has happened to."""
        if after < 0 and self.is_settled():
            return []
        return self._entries(
            f"SELECT {_ENTRY}, {self._shares} FROM {self._in_scope} "  # noqa: S608
            f"AND NOT {_HAS_EVENTS} AND NOT {_HAS_RESULT} ORDER BY e.idx LIMIT ?",
            (self._base + scope, self._base + after, self._last, limit),
            most_bytes,
        )

    def open_entries(self, scope: int, after: int, limit: int, most_bytes: int = MOST_BYTES) -> list[EntryWithEvents]:
        """The next open entries of *scope* behind index *after*, as many as `planned` gives."""
        if after < 0 and self.is_settled():
            return []
        return self._with_events(
            self._entries(
                f"SELECT {_ENTRY}, {self._shares} FROM {self._in_scope} "  # noqa: S608
                f"AND NOT {_HAS_RESULT} AND {_HAS_EVENTS} ORDER BY e.idx LIMIT ?",
                (self._base + scope, self._base + after, self._last, limit),
                most_bytes,
            )
        )

    def unfinished(self, after: int, limit: int) -> list[EntryWithEvents]:
        """The next entries of any scope behind index *after* that have no result, open or not."""
        return self._with_events(
            self._entries(
                f"SELECT {_ENTRY}, {self._shares} FROM entries e WHERE e.idx > ? AND e.idx <= ? "  # noqa: S608
                f"AND NOT {_HAS_RESULT} ORDER BY e.idx LIMIT ?",
                (self._base + after, self._last, limit),
                MOST_BYTES,
            )
        )

    def with_status(self, statuses: Iterable[Status]) -> list[int]:
        """The indexes of the entries whose result has one of *statuses*, in manifest order."""
        found: list[int] = []
        for status in dict.fromkeys(statuses):
            rows = self._db.rows(
                "SELECT idx FROM results WHERE status = ? AND idx BETWEEN ? AND ? ORDER BY idx",
                (status.value, *self.places.ends),
            )
            found += [index_at(place) for (place,) in rows]
        return sorted(found)

    @property
    def _shares(self) -> str:
        """Whether others name the job of an entry. Beside other waves any may: the next may be planned at any time."""
        return _SHARES if self.places.is_alone else "1"

    @property
    def _in_scope(self) -> str:
        """The entries of a scope behind an index. Journals from before have no index of scopes."""
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
        """The entry at *index*; None: there is none, or it is an invalid one."""
        row = self._db.row(
            f"SELECT {_ENTRY}, {self._shares} FROM entries e WHERE e.idx = ? AND e.scope IS NOT NULL",  # noqa: S608
            (self._base + index,),
        )
        return self._entry(row) if row else None

    def events(self, index: int) -> list[Event]:
        """What happened to an entry, oldest first."""
        return self._events_at(self._base + index)

    def _events_at(self, place: int) -> list[Event]:
        rows = self._db.rows("SELECT kind, body FROM events WHERE idx = ? ORDER BY id", (place,))
        return [decode(kind, body) for kind, body in rows]

    def late_answers(self, index: int, lease: int) -> list[Answered]:
        """None: nobody shares this database."""
        return []

    def result_of(self, index: int) -> tuple[int, Status, bytes] | None:
        """The number, the status and the line of an entry's result; None: it has none."""
        row = self._db.row("SELECT seq, status, line FROM results WHERE idx = ?", (self._base + index,))
        return (index_at(row[0]), Status(row[1]), row[2]) if row else None

    def line_of(self, index: int) -> int | None:
        """The manifest's line of the entry at *index*, be it valid or not; None: there is none."""
        row = self._db.row("SELECT line FROM entries WHERE idx = ?", (self._base + index,))
        return int(row[0]) if row else None

    def indexes_of_key(self, key: str) -> list[int]:
        """The indexes of the entries with that key: one, or none, or several where duplicates were allowed."""
        rows = self._db.rows("SELECT idx FROM entries WHERE key = ? AND idx BETWEEN ? AND ?", (key, *self.places.ends))
        return [index_at(place) for (place,) in rows]

    def others_of_job(self, entry: PlannedEntry) -> list[EntryWithEvents]:
        """The other entries that name the same job of the same project, in whichever wave of the database."""
        return self._of_job(entry.scope, entry.job_id, besides=self._base + entry.index)

    def of_job(self, scope: Scope, job_id: str) -> list[EntryWithEvents]:
        """All entries that name that job of that project, in whichever wave of the database."""
        return self._of_job(scope, job_id, besides=-1)

    def _of_job(self, scope: Scope, job_id: str, besides: int) -> list[EntryWithEvents]:
        rows = self._db.rows(
            f"SELECT {_ENTRY}, 1 FROM entries e "  # noqa: S608
            "WHERE e.scope IN (SELECT number FROM scopes WHERE endpoint = ? AND project_id = ?) "
            "AND e.job_id = ? AND e.idx <> ?",
            (scope.endpoint, scope.project_id, job_id, besides),
        )
        return [(self._entry(row, scope), self._events_at(row[0])) for row in rows]

    def sent_since(self, moment: float) -> list[EntryWithEvents]:
        """The open entries of which a request was intended at *moment* or later."""
        if self.is_settled():
            return []
        places: dict[int, None] = {}
        last = _NEWEST
        while rows := self._db.rows(
            "SELECT id, idx, kind, body FROM events WHERE id < ? AND +idx BETWEEN ? AND ? ORDER BY id DESC LIMIT ?",
            (last, *self.places.ends, _PAGE),
        ):
            last = rows[-1][0]
            events = [(place, decode(kind, body)) for _, place, kind, body in rows]
            places |= {place: None for place, event in events if isinstance(event, Intended) and event.at >= moment}
            if all(event.at < moment for _, event in events):  # a clock that was set may mix a few
                break
        indexes = [index_at(place) for place in places]
        entries = [self.entry(index) for index in indexes if self.result_of(index) is None]
        return self._with_events(one for one in entries if one is not None)

    def answered_around(self, entry: PlannedEntry) -> list[EntryWithEvents]:
        """Some entries of the same scope with an answer shortly before or after *entry*'s first event."""
        first = self._db.row("SELECT min(id) FROM events WHERE idx = ?", (self._base + entry.index,))
        at = None if first is None else first[0]
        if at is None:
            return []
        rows: list[Row] = []
        for near, order in (("v.id < ? AND v.id > ? - 2000", "DESC"), ("v.id > ? AND v.id < ? + 2000", "ASC")):
            rows += self._db.rows(
                f"SELECT e.idx FROM events v CROSS JOIN entries e USING (idx) WHERE {near} "  # noqa: S608
                f"AND v.kind = 'answered' AND e.scope = ? ORDER BY v.id {order} LIMIT 8",
                (at, at, self._base + entry.scope.number),
            )
        found = {place: self.entry(index_at(place)) for (place,) in rows}
        return self._with_events(other for other in found.values() if other is not None)

    # --- results ------------------------------------------------------------------------------------------

    def next_seq(self) -> int:
        """The number of the next result."""
        row = self._db.row("SELECT max(seq) FROM results WHERE seq BETWEEN ? AND ?", self.places.ends)
        return 0 if row is None or row[0] is None else index_at(row[0]) + 1

    def lines(self) -> Iterator[bytes]:
        """Every result line, by number."""
        seq = self._base - 1
        while rows := self._db.rows(
            "SELECT seq, line FROM results WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?", (seq, self._last, _PAGE)
        ):
            seq = rows[-1][0]
            for _, line in rows:
                yield line

    def lines_from(self, seq: int) -> list[bytes]:
        """The result lines from number *seq* on."""
        rows = self._db.rows(
            "SELECT line FROM results WHERE seq BETWEEN ? AND ? ORDER BY seq", (self._base + seq, self._last)
        )
        return [line for (line,) in rows]

    def first_created(self, scope: int, limit: int) -> list[EntryWithEvents]:
        """Up to *limit* of the entries of *scope* that were created first, by the number of their result.

        Of many scopes one may have none: not all results are looked through for that.
        """
        rows = self._db.rows(
            f"SELECT {_ENTRY}, {self._shares} FROM results r CROSS JOIN entries e ON e.idx = r.idx "  # noqa: S608
            "WHERE r.seq BETWEEN ? AND ? + 9999 AND +r.status = 'created' AND e.scope = ? ORDER BY r.seq LIMIT ?",
            (self._base, self._base, self._base + scope, limit),
        )
        return self._with_events(map(self._entry, rows))

    # --- all of it, one after the other -------------------------------------------------------------------

    def answers(self) -> Iterator[tuple[int, Answered]]:
        """Every create request that ended, with its entry's index, in the order in which they did."""
        last = -1
        while rows := self._db.rows(
            "SELECT id, idx, body FROM events WHERE id > ? AND kind = 'answered' AND +idx BETWEEN ? AND ? "
            "ORDER BY id LIMIT ?",
            (last, *self.places.ends, _PAGE),
        ):
            last = rows[-1][0]
            for _, place, body in rows:
                event = decode("answered", body)
                if isinstance(event, Answered):
                    yield index_at(place), event

    def outline(self) -> Iterator[tuple[int, str, str | None, Scope | None]]:
        """The index, the key, the job and the scope of every entry, in manifest order; an invalid one has no scope."""
        scopes = {scope.number: scope for scope in self.scopes()}
        last = self._base - 1
        while rows := self._db.rows(
            "SELECT idx, key, job_id, scope FROM entries WHERE idx > ? AND idx <= ? ORDER BY idx LIMIT ?",
            (last, self._last, _PAGE),
        ):
            last = rows[-1][0]
            for place, key, job_id, scope in rows:
                yield index_at(place), key, job_id, None if scope is None else scopes[index_at(scope)]

    def holds(self, ops: Iterable[Op]) -> bool:
        """Whether all of *ops* were recorded."""
        return all(is_recorded(self, op) for op in ops)

    # --- rows ---------------------------------------------------------------------------------------------

    def _entry(self, row: Row, scope: Scope | None = None) -> PlannedEntry:
        """The entry of *row*, in *scope*, or in that of this wave which the row names."""
        if not self._scopes:
            self._scopes = {one.number: one for one in self.scopes()}
            counted = self._fact("entries")
            self._wave_entries = self.entry_count() if counted is None else int(counted)  # old journals lack the fact
        place, line, key, number, job_id, x_language, labels, body, shares_job = row
        return PlannedEntry(
            index=index_at(place),
            line=line,
            key=key,
            scope=scope or self._scopes[index_at(number)],
            job_id=job_id,
            body=body,
            x_language=x_language,
            labels=orjson.loads(labels) if labels else {},
            shares_job=bool(shares_job),
            wave_entries=self._wave_entries if number_at(place) == self.places.number else None,
        )
