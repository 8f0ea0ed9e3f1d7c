"""What the database answers about one wave: `Record` in SQL.

What holds here:
- Nothing walks over all of a wave but what is asked once in a run, nor over those beside it:
  `tests/journal/test_query_plans.py` sees to it.
- An iterator reads by the page and holds no cursor in between, so that one may write while one goes through it.
- Places are the database's inside, and the wave's own outside (`places.py`).
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import orjson

from batcher.journal.ops import Op
from batcher.journal.port import MOST_BYTES, EntryWithEvents, is_recorded
from batcher.journal.sqlite.database import SENSELESS, JournalDatabase, damaged
from batcher.journal.sqlite.event_rows import EventRows
from batcher.journal.sqlite.log import IN_USE
from batcher.journal.sqlite.packing import PLAIN_CHECKSUMS, plain_checksums
from batcher.journal.sqlite.places import Places, index_at
from batcher.journal.sqlite.plan_chunks import ChunkPlan
from batcher.journal.sqlite.plan_rows import RowPlan
from batcher.journal.sqlite.schema import PACKED
from batcher.journal.sqlite.stored_plan import Placed, PlanHead, StoredPlan
from batcher.life.entry import PlannedEntry, Scope
from batcher.life.events import Answered, Event
from batcher.life.result import Status

_PAGE = 1000  # rows read at a time by whoever goes through all of them
_FEW = 8  # answers on either side of one
_EARLY = 10_000  # results among which the first created ones are looked for

_ALONE = Places()


class SqliteRecord:
    """The record of one wave, read from the database: a `Record`."""

    def __init__(self, database: JournalDatabase, places: Places = _ALONE, wave: str | None = None) -> None:
        """The wave at *places*; *wave* is its id in a database of many."""
        self.name = database.name if wave is None else f"{database.name}, wave {wave}"
        self.places = places
        self._db = database
        self._base, self._last = places.ends
        self._events = EventRows(database, places)
        packed = database.format == PACKED
        self._plan: StoredPlan = (
            ChunkPlan(database, self._events, self._head) if packed else RowPlan(database, places, self._head)
        )
        self._found_head: PlanHead | None = None
        self._is_checked = False

    # --- the wave -----------------------------------------------------------------------------------------

    def is_planned(self) -> bool:
        """Whether a whole plan is there."""
        return self._fact("planned") is not None

    def facts(self) -> dict[str, Any]:
        """The wave's facts: its manifest's digest, its settings, …"""
        if self.places.is_alone:
            beside = (IN_USE, PLAIN_CHECKSUMS)
            rows = self._db.rows("SELECT name, value FROM meta WHERE name NOT IN ('planned', ?, ?)", beside)
            return self._values(rows)
        prefix, planned = self.places.fact(""), self.places.fact("planned")
        rows = self._db.rows("SELECT name, value FROM meta WHERE name > ? AND name < ?", (prefix, f"{prefix[:-1]};"))
        return self._values((name.removeprefix(prefix), value) for name, value in rows if name != planned)

    def _values(self, facts: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        try:
            return {name: orjson.loads(value) for name, value in facts}
        except SENSELESS as error:
            raise self._db.senseless("a fact of the wave makes no sense") from error

    def scopes(self) -> list[Scope]:
        """The wave's scopes."""
        self._require_checksums()
        rows = self._db.rows(
            "SELECT number, endpoint, project_id FROM scopes WHERE number BETWEEN ? AND ? ORDER BY 1", self.places.ends
        )
        return [Scope(index_at(place), endpoint, project_id) for place, endpoint, project_id in rows]

    def entry_count(self) -> int:
        """How many entries the manifest has."""
        return self._plan.entry_count()

    def scope_sizes(self) -> dict[int, int]:
        """How many entries each scope has, by its number."""
        return self._plan.scope_sizes()

    def is_settled(self) -> bool:
        """Whether every entry has a result. Told from indexes alone: of a million entries, to look at each would take
        seconds."""
        return sum(self.status_counts().values()) == self.entry_count()

    def status_counts(self) -> dict[Status, int]:
        """How many results there are of each status."""
        rows = self._db.rows(*self.places.counting())
        try:
            return {Status(status): count for status, count in rows}
        except SENSELESS as error:
            raise self._db.senseless("a result has a status that there is not") from error

    def settled_counts(self) -> dict[int, int]:
        """How many entries of each scope have a result, by the scope's number."""
        return self._plan.settled_counts()

    def last_event_at(self) -> float | None:
        """When the last event happened, Unix seconds by our clock; None: none has yet."""
        return self._events.last_at()

    def _require_checksums(self) -> None:
        """See, once, that what leads to a scope is what was planned. Raises `JournalFailed`."""
        if self._is_checked or self._db.format != PACKED or (said := self._fact(PLAIN_CHECKSUMS)) is None:
            return
        told = self._values([(PLAIN_CHECKSUMS, said)])[PLAIN_CHECKSUMS]
        for table, found in plain_checksums(self._db.rows).items():
            if not isinstance(told, dict) or told.get(table) != found:
                raise damaged(f"its table {table} does not have its checksum", self._db.name)
        self._is_checked = True

    def _fact(self, name: str) -> Any:
        """The value of one fact as it stands; None: there is none."""
        row = self._db.row("SELECT value FROM meta WHERE name = ?", (self.places.fact(name),))
        return None if row is None else row[0]

    # --- entries, a batch at a time -----------------------------------------------------------------------

    def planned(self, scope: int, after: int, limit: int, most_bytes: int = MOST_BYTES) -> list[PlannedEntry]:
        """The next entries of *scope* behind index *after* that nothing has happened to."""
        if after < 0 and self.is_settled():
            return []
        return self._plan.planned(scope, after, limit, most_bytes)

    def open_entries(self, scope: int, after: int, limit: int, most_bytes: int = MOST_BYTES) -> list[EntryWithEvents]:
        """The next open entries of *scope* behind index *after*, as many as `planned` gives."""
        if after < 0 and self.is_settled():
            return []
        return self._with_events(self._plan.open_entries(scope, after, limit, most_bytes))

    def unfinished(self, after: int, limit: int) -> list[EntryWithEvents]:
        """The next entries of any scope behind index *after* that have no result, open or not."""
        found = self._plan.unfinished(after, limit, MOST_BYTES)
        begun = self._events.among([entry.index for entry in found])
        return [(entry, self.events(entry.index) if entry.index in begun else []) for entry in found]

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

    def _with_events(self, entries: Iterable[PlannedEntry]) -> list[EntryWithEvents]:
        return [(entry, self.events(entry.index)) for entry in entries]

    # --- one entry ----------------------------------------------------------------------------------------

    def entry(self, index: int) -> PlannedEntry | None:
        """The entry at *index*; None: there is none, or it is an invalid one."""
        return self._plan.entry(index)

    def events(self, index: int) -> list[Event]:
        """What happened to an entry, oldest first."""
        return self._events.of(index)

    def late_answers(self, index: int, lease: int) -> list[Answered]:
        """None: nobody shares this database."""
        return []

    def result_of(self, index: int) -> tuple[int, Status, bytes] | None:
        """The number, the status and the line of an entry's result; None: it has none."""
        row = self._db.row("SELECT seq, status, line FROM results WHERE idx = ?", (self._base + index,))
        if row is None:
            return None
        try:
            return index_at(row[0]), Status(row[1]), self._line(row[2])
        except SENSELESS as error:
            raise self._db.senseless(f"the result of entry {index} has a status that there is not") from error

    def line_of(self, index: int) -> int | None:
        """The manifest's line of the entry at *index*, be it valid or not; None: there is none."""
        return self._plan.line_of(index)

    def indexes_of_key(self, key: str) -> list[int]:
        """The indexes of the entries with that key: one, or none, or several where duplicates were allowed."""
        return self._plan.indexes_of_key(key)

    def others_of_job(self, entry: PlannedEntry) -> list[EntryWithEvents]:
        """The other entries that name the same job of the same project, in whichever wave of the database."""
        own = self._base + entry.index
        found = self._plan.of_job(entry.scope, entry.job_id)
        return self._placed_with_events((place, other) for place, other in found if place != own)

    def of_job(self, scope: Scope, job_id: str) -> list[EntryWithEvents]:
        """All entries that name that job of that project, in whichever wave of the database."""
        return self._placed_with_events(self._plan.of_job(scope, job_id))

    def _placed_with_events(self, placed: Iterable[Placed]) -> list[EntryWithEvents]:
        return [(entry, self._events.at(place)) for place, entry in placed]

    def sent_since(self, moment: float) -> list[EntryWithEvents]:
        """The open entries of which a request was intended at *moment* or later."""
        if self.is_settled():
            return []
        indexes = self._events.intended_since(moment)
        entries = [self.entry(index) for index in indexes if self.result_of(index) is None]
        return self._with_events(one for one in entries if one is not None)

    def answered_around(self, entry: PlannedEntry) -> list[EntryWithEvents]:
        """Some entries of the same scope with an answer shortly before or after *entry*'s first event."""
        found: dict[int, PlannedEntry | None] = {}
        for answered in self._events.answered_around(entry.index):
            for index in islice(self._plan.among(answered, entry.scope.number), _FEW):
                found.setdefault(index, self.entry(index))
        return self._with_events(other for other in found.values() if other is not None)

    # --- results ------------------------------------------------------------------------------------------

    def next_seq(self) -> int:
        """The number of the next result."""
        row = self._db.row("SELECT max(seq) FROM results WHERE seq BETWEEN ? AND ?", self.places.ends)
        return 0 if row is None or row[0] is None else index_at(row[0]) + 1

    def lines(self) -> Iterator[bytes]:
        """Every result line, by number."""
        for rows in self._db.pages(
            "SELECT seq, line FROM results WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
            self._base - 1,
            (self._last, _PAGE),
        ):
            for _, line in rows:
                yield self._line(line)

    def lines_from(self, seq: int) -> list[bytes]:
        """The result lines from number *seq* on."""
        rows = self._db.rows(
            "SELECT line FROM results WHERE seq BETWEEN ? AND ? ORDER BY seq", (self._base + seq, self._last)
        )
        return [self._line(line) for (line,) in rows]

    def _line(self, line: Any) -> bytes:
        if not isinstance(line, bytes):
            raise self._db.senseless("a result has no line")
        return line

    def first_created(self, scope: int, limit: int) -> list[EntryWithEvents]:
        """Up to *limit* of the entries of *scope* that were created first, by the number of their result.

        Of many scopes one may have none: not all results are looked through for that.
        """
        indexes: list[int] = []
        with self._db.cursor(
            "SELECT idx FROM results WHERE seq BETWEEN ? AND ? AND +status = 'created' ORDER BY seq",
            (self._base, self._base + _EARLY - 1),
        ) as rows:
            indexes += islice(self._plan.among((index_at(place) for (place,) in rows), scope), limit)
        return self._with_events(one for index in indexes if (one := self.entry(index)) is not None)

    # --- all of it, one after the other -------------------------------------------------------------------

    def answers(self) -> Iterator[tuple[int, Answered]]:
        """Every create request that ended, with its entry's index, in the order in which they did."""
        return self._events.answers()

    def outline(self) -> Iterator[tuple[int, str, str | None, Scope | None]]:
        """The index, the key, the job and the scope of every entry, in manifest order; an invalid one has no scope."""
        return self._plan.outline()

    def holds(self, ops: Iterable[Op]) -> bool:
        """Whether all of *ops* were recorded."""
        return all(is_recorded(self, op) for op in ops)

    def _head(self) -> PlanHead:
        """What the plan's entries have in common."""
        if self._found_head is None or not self._found_head.scopes:
            counted = self._fact("entries")
            self._found_head = PlanHead(
                self.scopes(),
                self.entry_count() if counted is None else int(counted),  # old journals lack the fact
                self._db.name,
            )
        return self._found_head
