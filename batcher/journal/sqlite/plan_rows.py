"""A plan each of whose entries is a row: of journals that earlier versions made, and of databases of many waves."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson

from batcher.journal.sqlite.database import SENSELESS, JournalDatabase, Row
from batcher.journal.sqlite.places import Places, index_at, number_at
from batcher.journal.sqlite.stored_plan import Placed, PlanHead
from batcher.life.entry import PlannedEntry, Scope

_PAGE = 1000  # rows read at a time by whoever goes through all of them
_LABELS, _BODY = 6, 7  # their places in
_ENTRY = "e.idx, e.line, e.key, e.scope, e.job_id, e.x_language, e.labels, e.body"
_SHARES = "EXISTS (SELECT 1 FROM entries o WHERE o.scope = e.scope AND o.job_id = e.job_id AND o.idx <> e.idx)"
_HAS_EVENTS = "EXISTS (SELECT 1 FROM events v WHERE v.idx = e.idx)"
_HAS_RESULT = "EXISTS (SELECT 1 FROM results r WHERE r.idx = e.idx)"
# A scope's entries in manifest order, without a sort: the plan itself, which is that of one scope as a rule. The plus
# keeps SQLite from the index of jobs, all of whose entries it would sort for each batch.
_IN_ONE_SCOPE = "entries e WHERE +e.scope = ? AND e.idx > ? AND e.idx <= ?"
_IN_SCOPE = "entries e INDEXED BY entries_by_scope WHERE e.scope = ? AND e.idx > ? AND e.idx <= ?"


class RowPlan:
    """The plan of the wave at *places*: a `StoredPlan`. *head* tells what its entries have in common."""

    def __init__(self, database: JournalDatabase, places: Places, head: Callable[[], PlanHead]) -> None:
        self._db = database
        self._places = places
        self._head = head
        self._base, self._last = places.ends
        self._walk: str | None = None

    def entry_count(self) -> int:
        """How many entries the manifest has."""
        if self._places.is_alone:
            row = self._db.row("SELECT count(*) FROM entries")  # by the smallest index
        else:
            row = self._db.row("SELECT value FROM meta WHERE name = ?", (self._places.fact("entries"),))
            if row is None:
                row = self._db.row("SELECT count(*) FROM entries WHERE idx BETWEEN ? AND ?", self._places.ends)
        return 0 if row is None else int(row[0])

    def scope_sizes(self) -> dict[int, int]:
        """How many entries each scope has, by its number."""
        rows = self._db.rows(
            "SELECT scope, count(*) FROM entries WHERE scope BETWEEN ? AND ? GROUP BY scope", self._places.ends
        )
        return {index_at(scope): count for scope, count in rows}

    def settled_counts(self) -> dict[int, int]:
        """How many entries of each scope have a result, by the scope's number."""
        rows = self._db.rows(
            "SELECT scope, count(*) FROM entries WHERE scope BETWEEN ? AND ? "
            "AND idx IN (SELECT idx FROM results WHERE idx BETWEEN ? AND ?) GROUP BY scope",
            (*self._places.ends, *self._places.ends),
        )
        return {index_at(scope): count for scope, count in rows}

    # --- a batch at a time --------------------------------------------------------------------------------

    def planned(self, scope: int, after: int, limit: int, most_bytes: int) -> list[PlannedEntry]:
        """The next entries of *scope* behind index *after* that nothing has happened to."""
        return self._entries(
            f"SELECT {_ENTRY}, {self._shares} FROM {self._in_scope} "  # noqa: S608
            f"AND NOT {_HAS_EVENTS} AND NOT {_HAS_RESULT} ORDER BY e.idx LIMIT ?",
            (self._base + scope, self._base + after, self._last, limit),
            most_bytes,
        )

    def open_entries(self, scope: int, after: int, limit: int, most_bytes: int) -> list[PlannedEntry]:
        """The next entries of *scope* behind index *after* that something has happened to, and that have no result."""
        return self._entries(
            f"SELECT {_ENTRY}, {self._shares} FROM {self._in_scope} "  # noqa: S608
            f"AND NOT {_HAS_RESULT} AND {_HAS_EVENTS} ORDER BY e.idx LIMIT ?",
            (self._base + scope, self._base + after, self._last, limit),
            most_bytes,
        )

    def unfinished(self, after: int, limit: int, most_bytes: int) -> list[PlannedEntry]:
        """The next entries of any scope behind index *after* that have no result."""
        return self._entries(
            f"SELECT {_ENTRY}, {self._shares} FROM entries e WHERE e.idx > ? AND e.idx <= ? AND e.scope IS NOT NULL "  # noqa: S608
            f"AND NOT {_HAS_RESULT} ORDER BY e.idx LIMIT ?",
            (self._base + after, self._last, limit),
            most_bytes,
        )

    @property
    def _shares(self) -> str:
        """Whether others name the job of an entry. Beside other waves any may: the next may be planned at any time."""
        return _SHARES if self._places.is_alone else "1"

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

    # --- one entry ----------------------------------------------------------------------------------------

    def entry(self, index: int) -> PlannedEntry | None:
        """The entry at *index*; None: there is none, or it is an invalid one."""
        row = self._db.row(
            f"SELECT {_ENTRY}, {self._shares} FROM entries e WHERE e.idx = ? AND e.scope IS NOT NULL",  # noqa: S608
            (self._base + index,),
        )
        return self._entry(row) if row else None

    def line_of(self, index: int) -> int | None:
        """The manifest's line of the entry at *index*, be it valid or not; None: there is none."""
        row = self._db.row("SELECT line FROM entries WHERE idx = ?", (self._base + index,))
        return int(row[0]) if row else None

    def indexes_of_key(self, key: str) -> list[int]:
        """The indexes of the entries with that key."""
        rows = self._db.rows("SELECT idx FROM entries WHERE key = ? AND idx BETWEEN ? AND ?", (key, *self._places.ends))
        return [index_at(place) for (place,) in rows]

    def of_job(self, scope: Scope, job_id: str) -> list[Placed]:
        """All entries that name that job of that project, in whichever wave of the database."""
        rows = self._db.rows(
            f"SELECT {_ENTRY}, 1 FROM entries e "  # noqa: S608
            "WHERE e.scope IN (SELECT number FROM scopes WHERE endpoint = ? AND project_id = ?) AND e.job_id = ?",
            (scope.endpoint, scope.project_id, job_id),
        )
        return [(row[0], self._entry(row, scope)) for row in rows]

    def among(self, indexes: Iterable[int], scope: int) -> Iterator[int]:
        """Those of *indexes* whose entries are of *scope*."""
        for index in indexes:
            row = self._db.row("SELECT scope FROM entries WHERE idx = ?", (self._base + index,))
            if row is not None and row[0] == self._base + scope:
                yield index

    def outline(self) -> Iterator[tuple[int, str, str | None, Scope | None]]:
        """The index, the key, the job and the scope of every entry, in manifest order; an invalid one has no scope."""
        head = self._head()
        for rows in self._db.pages(
            "SELECT idx, key, job_id, scope FROM entries WHERE idx > ? AND idx <= ? ORDER BY idx LIMIT ?",
            self._base - 1,
            (self._last, _PAGE),
        ):
            for place, key, job_id, scope in rows:
                yield index_at(place), key, job_id, None if scope is None else head.scope(index_at(scope))

    def _entry(self, row: Row, scope: Scope | None = None) -> PlannedEntry:
        """The entry of *row*, in *scope*, or in that of this wave which the row names."""
        head = self._head()
        place, line, key, number, job_id, x_language, labels, body, shares_job = row
        try:
            tags = orjson.loads(labels) if labels else {}
        except SENSELESS as error:
            raise self._db.senseless(f"the labels of entry {index_at(place)} make no sense") from error
        return PlannedEntry(
            index=index_at(place),
            line=line,
            key=key,
            scope=scope or head.scope(index_at(number)),
            job_id=job_id,
            body=body,
            x_language=x_language,
            labels=tags,
            shares_job=bool(shares_job),
            wave_entries=head.wave_entries if number_at(place) == self._places.number else None,
        )
