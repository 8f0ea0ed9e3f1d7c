"""What a database that machines share answers about one wave: `Record` in PostgreSQL's SQL."""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from batcher.journal.ops import Op
from batcher.journal.port import MOST_BYTES, EntryWithEvents, is_recorded
from batcher.journal.postgres.link import DatabaseLink, Row
from batcher.journal.postgres.steps import Steps, whole
from batcher.life.entry import PlannedEntry, Scope
from batcher.life.events import Answered, Event, Intended, decode
from batcher.life.result import Status

_PAGE = 1000  # rows read at a time by whoever goes through all of them
_NEWEST = 2**63 - 1  # no event's id is as large
_ENTRY = "e.wave, e.idx, e.line, e.key, e.scope, e.job_id, e.x_language, e.labels, e.body"
_PART, _LARGEST_PART = 1024, 65_536  # of a wave, in which entries are looked for at a time
# Each looked up by itself, which `LIMIT` sees to: where the server takes EXISTS for a join, it may go through all of
# the wave's events, or results, for each of its entries.
_HAS_EVENTS = "(SELECT v.idx FROM events v WHERE v.wave = e.wave AND v.idx = e.idx LIMIT 1) IS NOT NULL"
_HAS_NO_EVENTS = "(SELECT v.idx FROM events v WHERE v.wave = e.wave AND v.idx = e.idx LIMIT 1) IS NULL"
_HAS_NO_RESULT = "(SELECT r.idx FROM results r WHERE r.wave = e.wave AND r.idx = e.idx LIMIT 1) IS NULL"


class PostgresRecord:
    """The record of the wave with this *number* in the database, which people know as *wave*: a `Record`."""

    def __init__(self, link: DatabaseLink, number: int, wave: str) -> None:
        self.name = f"{link.name}, wave {wave}"
        self.number = number
        self.wave = wave
        self._db = link
        self._by_place: dict[int, Scope] = {}  # by the scope's number in the database
        self._wave_entries: int | None = None
        self._last_index: int | None = None

    # --- the wave -----------------------------------------------------------------------------------------

    def is_planned(self) -> bool:
        """Whether a whole plan is there."""
        return bool(self._of_wave("planned"))

    def facts(self) -> dict[str, Any]:
        """The wave's facts: its manifest's digest, its settings, …"""
        rows = self._db.rows("SELECT name, value FROM facts WHERE wave = %s", (self.number,))
        return {name: orjson.loads(value) for name, value in rows}

    def scopes(self) -> list[Scope]:
        """The wave's scopes."""
        return sorted(self._places().values(), key=lambda scope: scope.number)

    def place_of(self, scope: Scope) -> int | None:
        """The number that the database knows *scope* by; None: the wave has no such scope."""
        places = {one.number: place for place, one in self._places().items()}
        return places.get(scope.number)

    def entry_count(self) -> int:
        """How many entries the manifest has."""
        return int(self._of_wave("entries") or 0)

    def scope_sizes(self) -> dict[int, int]:
        """How many entries each scope has, by its number."""
        rows = self._db.rows("SELECT number, entries FROM wave_scopes WHERE wave = %s AND entries > 0", (self.number,))
        return dict(rows)

    def is_settled(self) -> bool:
        """Whether every entry has a result."""
        return sum(self.status_counts().values()) == self.entry_count()

    def status_counts(self) -> dict[Status, int]:
        """How many results there are of each status."""
        counts = self._of_wave("counts") or {}
        return {Status(status): count for status, count in counts.items() if count}

    def settled_counts(self) -> dict[int, int]:
        """How many entries of each scope have a result, by the scope's number."""
        rows = self._db.rows("SELECT number, settled FROM wave_scopes WHERE wave = %s AND settled > 0", (self.number,))
        return dict(rows)

    def last_event_at(self) -> float | None:
        """When the last event happened, Unix seconds by our clock; None: none has yet."""
        newest = "(SELECT id, wave, kind, body FROM events ORDER BY id DESC LIMIT 1000)"  # there, where it runs now
        for among in (newest, "events"):
            row = self._db.row(
                f"SELECT kind, body FROM {among} e WHERE wave = %s ORDER BY id DESC LIMIT 1",  # noqa: S608 - ours
                (self.number,),
            )
            if row:
                return decode(*row).at
        return None

    def _of_wave(self, column: str) -> Any:
        row = self._db.row(f"SELECT {column} FROM waves WHERE number = %s", (self.number,))  # noqa: S608 - ours
        return None if row is None else row[0]

    def _places(self) -> dict[int, Scope]:
        if not self._by_place:
            rows = self._db.rows(
                "SELECT s.id, w.number, s.endpoint, s.project_id FROM wave_scopes w JOIN scopes s ON s.id = w.scope "
                "WHERE w.wave = %s",
                (self.number,),
            )
            self._by_place = {place: Scope(number, *name) for place, number, *name in rows}
        return self._by_place

    # --- entries, a batch at a time -----------------------------------------------------------------------

    def planned(self, scope: int, after: int, limit: int, most_bytes: int = MOST_BYTES) -> list[PlannedEntry]:
        """The next entries of *scope* behind index *after* that nothing has happened to."""
        return whole(self._planned_steps(scope, after, limit, most_bytes))

    def _planned_steps(
        self, scope: int, after: int, limit: int, most_bytes: int = MOST_BYTES
    ) -> Steps[list[PlannedEntry]]:
        return self._in_scope(scope, _HAS_NO_EVENTS, after, limit, most_bytes)

    def open_entries(self, scope: int, after: int, limit: int, most_bytes: int = MOST_BYTES) -> list[EntryWithEvents]:
        """The next open entries of *scope* behind index *after*, as many as `planned` gives."""
        return whole(self._open_entries_steps(scope, after, limit, most_bytes))

    def _open_entries_steps(
        self, scope: int, after: int, limit: int, most_bytes: int = MOST_BYTES
    ) -> Steps[list[EntryWithEvents]]:
        for found in self._in_scope(scope, _HAS_EVENTS, after, limit, most_bytes):
            yield None if found is None else self._with_events(found)

    def unfinished(self, after: int, limit: int) -> list[EntryWithEvents]:
        """The next entries of any scope behind index *after* that have no result, open or not."""
        return whole(self._unfinished_steps(after, limit))

    def _unfinished_steps(self, after: int, limit: int) -> Steps[list[EntryWithEvents]]:
        sql = f"e.scope IS NOT NULL AND {_HAS_NO_RESULT}"
        for found in self._entries(sql, None, after, limit, MOST_BYTES):
            yield None if found is None else self._with_events(found)

    def with_status(self, statuses: Iterable[Status]) -> list[int]:
        """The indexes of the entries whose result has one of *statuses*, in manifest order."""
        rows = self._db.rows(
            "SELECT idx FROM results WHERE wave = %s AND status = ANY (%s::text[]) ORDER BY idx",
            (self.number, [status.value for status in statuses]),
        )
        return [index for (index,) in rows]

    def _in_scope(self, scope: int, having: str, after: int, limit: int, most_bytes: int) -> Steps[list[PlannedEntry]]:
        place = {one.number: place for place, one in self._places().items()}.get(scope)
        if place is None or (after < 0 and self.is_settled()):
            yield []
            return
        sql = f"e.scope = %(place)s AND {having} AND {_HAS_NO_RESULT}"
        yield from self._entries(sql, place, after, limit, most_bytes)

    def _entries(
        self, having: str, place: int | None, after: int, limit: int, most_bytes: int
    ) -> Steps[list[PlannedEntry]]:
        """The next entries of the wave *having* that behind index *after*: one at least if there is one, not
        necessarily *limit*, until they come to *most_bytes*.

        They are looked for in a part of the wave after the other, a step each: where nearly all of a large wave is
        settled, to find the rest takes longer than a statement may, and one that is given up is only begun again.
        """
        if self._last_index is None:
            self._last_index = self._db.rows("SELECT max(idx) FROM entries WHERE wave = %s", (self.number,))[0][0]
        end, part = -1 if self._last_index is None else self._last_index, _PART * max(1, len(self._places()))
        while after < end:
            last = after + part
            if found := self._entries_between(having, place, after, last, limit, most_bytes):
                yield found
                return
            after, part = last, min(2 * part, _LARGEST_PART)
            yield None
        yield []

    def _entries_between(
        self, having: str, place: int | None, after: int, last: int, limit: int, most_bytes: int
    ) -> list[PlannedEntry]:
        size = "coalesce(length(labels), 0) + length(body)"
        rows = self._db.rows(
            f"SELECT * FROM (SELECT *, sum({size}) OVER (ORDER BY idx ROWS UNBOUNDED PRECEDING) - ({size}) AS before "  # noqa: S608
            f"FROM (SELECT {_ENTRY} FROM entries e WHERE e.wave = %(wave)s AND {having} "
            "AND e.idx > %(after)s AND e.idx <= %(last)s ORDER BY e.idx LIMIT %(limit)s) o) sized "
            "WHERE before < %(most_bytes)s OR before = 0 ORDER BY idx",
            {
                "wave": self.number,
                "place": place,
                "after": after,
                "last": last,
                "limit": limit,
                "most_bytes": most_bytes,
            },
        )
        if rows and most_bytes <= 0:
            rows = rows[:1]
        return [self._entry(row[:-1]) for row in rows]

    def _with_events(self, entries: Iterable[PlannedEntry]) -> list[EntryWithEvents]:
        listed = [*entries]
        found: dict[int, list[Event]] = {entry.index: [] for entry in listed}
        if listed:
            rows = self._db.rows(
                "SELECT v.* FROM unnest(%s::int[]) i CROSS JOIN LATERAL ("
                "SELECT v.id, v.idx, v.kind, v.body FROM events v WHERE v.wave = %s AND v.idx = i OFFSET 0) v",
                ([*found], self.number),
            )
            for _, index, kind, body in sorted(rows):  # not by the server, which might go through all of them for it
                found[index].append(decode(kind, body))
        return [(entry, found[entry.index]) for entry in listed]

    # --- one entry ----------------------------------------------------------------------------------------

    def entry(self, index: int) -> PlannedEntry | None:
        """The entry at *index*; None: there is none, or it is an invalid one."""
        row = self._db.row(
            f"SELECT {_ENTRY} FROM entries e WHERE e.wave = %s AND e.idx = %s AND e.scope IS NOT NULL",  # noqa: S608
            (self.number, index),
        )
        return self._entry(row) if row else None

    def events(self, index: int) -> list[Event]:
        """What happened to an entry, oldest first."""
        return self._events_of(self.number, index)

    def _events_of(self, wave: int, index: int) -> list[Event]:
        rows = self._db.rows("SELECT kind, body FROM events WHERE wave = %s AND idx = %s ORDER BY id", (wave, index))
        return [decode(kind, body) for kind, body in rows]

    def late_answers(self, index: int, lease: int) -> list[Answered]:
        """What the cloud answered about an entry that was intended by that *lease*, and came too late; oldest first."""
        rows = self._db.rows(
            "SELECT kind, body FROM late WHERE wave = %s AND idx = %s AND epoch = %s ORDER BY id",
            (self.number, index, lease),
        )
        answers = [decode(kind, body) for kind, body in rows]
        return [answer for answer in answers if isinstance(answer, Answered)]

    def result_of(self, index: int) -> tuple[int, Status, bytes] | None:
        """The number, the status and the line of an entry's result; None: it has none."""
        row = self._db.row("SELECT seq, status, line FROM results WHERE wave = %s AND idx = %s", (self.number, index))
        return (row[0], Status(row[1]), row[2]) if row else None

    def line_of(self, index: int) -> int | None:
        """The manifest's line of the entry at *index*, be it valid or not; None: there is none."""
        row = self._db.row("SELECT line FROM entries WHERE wave = %s AND idx = %s", (self.number, index))
        return int(row[0]) if row else None

    def indexes_of_key(self, key: str) -> list[int]:
        """The indexes of the entries with that key: one, or none, or several where duplicates were allowed."""
        rows = self._db.rows("SELECT idx FROM entries WHERE wave = %s AND key = %s ORDER BY idx", (self.number, key))
        return [index for (index,) in rows]

    def others_of_job(self, entry: PlannedEntry) -> list[EntryWithEvents]:
        """The other entries that name the same job of the same project, in whichever wave of the database."""
        return self._of_job(entry.scope, entry.job_id, besides=entry.index)

    def of_job(self, scope: Scope, job_id: str) -> list[EntryWithEvents]:
        """All entries that name that job of that project, in whichever wave of the database."""
        return self._of_job(scope, job_id, besides=-1)

    def _of_job(self, scope: Scope, job_id: str, besides: int) -> list[EntryWithEvents]:
        rows = self._db.rows(
            f"SELECT {_ENTRY} FROM entries e JOIN waves w ON w.number = e.wave "  # noqa: S608
            "WHERE e.scope = (SELECT id FROM scopes WHERE endpoint = %s AND project_id = %s) AND e.job_id = %s "
            "AND w.planned AND (e.wave, e.idx) <> (%s, %s) ORDER BY e.wave <> %s, e.wave, e.idx",
            (scope.endpoint, scope.project_id, job_id, self.number, besides, self.number),
        )
        return [(self._entry(row, scope), self._events_of(row[0], row[1])) for row in rows]

    def sent_since(self, moment: float) -> list[EntryWithEvents]:
        """The open entries of which a request was intended at *moment* or later."""
        indexes: dict[int, None] = {}
        last = _NEWEST
        while rows := self._db.rows(
            "SELECT id, wave, idx, kind, body FROM events WHERE id < %s ORDER BY id DESC LIMIT %s", (last, _PAGE)
        ):
            last = rows[-1][0]
            own = [(index, decode(kind, body)) for _, wave, index, kind, body in rows if wave == self.number]
            indexes |= {index: None for index, event in own if isinstance(event, Intended) and event.at >= moment}
            if own and all(event.at < moment for _, event in own):  # a clock that was set may mix a few
                break
        entries = [self.entry(index) for index in indexes if self.result_of(index) is None]
        return self._with_events(one for one in entries if one is not None)

    def answered_around(self, entry: PlannedEntry) -> list[EntryWithEvents]:
        """Some entries of the same scope, of whichever wave, with an answer shortly before or after *entry*'s first
        event."""
        place = self.place_of(entry.scope)
        first = self._db.row("SELECT min(id) FROM events WHERE wave = %s AND idx = %s", (self.number, entry.index))
        if first is None or first[0] is None or place is None:
            return []
        (at,) = first
        found: dict[tuple[int, int], PlannedEntry] = {}
        for near, order in (("v.id < %s AND v.id > %s - 2000", "DESC"), ("v.id > %s AND v.id < %s + 2000", "ASC")):
            rows = self._db.rows(
                f"SELECT {_ENTRY} FROM events v JOIN entries e USING (wave, idx) WHERE {near} "  # noqa: S608
                f"AND v.kind = 'answered' AND e.scope = %s ORDER BY v.id {order} LIMIT 8",
                (at, at, place),
            )
            found |= {(row[0], row[1]): self._entry(row, entry.scope) for row in rows}
        return [(other, self._events_of(*whose)) for whose, other in found.items()]

    # --- results ------------------------------------------------------------------------------------------

    def next_seq(self) -> int:
        """The number of the next result."""
        return int(self._of_wave("next_seq") or 0)

    def lines(self) -> Iterator[bytes]:
        """Every result line, by number."""
        seq = -1
        while numbered := self.numbered_lines(seq, _PAGE):
            seq = numbered[-1][0]
            for _, line in numbered:
                yield line

    def lines_from(self, seq: int) -> list[bytes]:
        """The result lines from number *seq* on."""
        rows = self._db.rows("SELECT line FROM results WHERE wave = %s AND seq >= %s ORDER BY seq", (self.number, seq))
        return [line for (line,) in rows]

    def numbered_lines(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        """The next result lines behind number *after*, each with its number: a ruling may have made gaps."""
        rows = self._db.rows(
            "SELECT seq, line FROM results WHERE wave = %s AND seq > %s ORDER BY seq LIMIT %s",
            (self.number, after, limit),
        )
        return [(seq, line) for seq, line in rows]

    def first_created(self, scope: int, limit: int) -> list[EntryWithEvents]:
        """Up to *limit* of the entries of *scope* that were created first, by the number of their result."""
        rows = self._db.rows(
            "SELECT e.* FROM (SELECT idx, status, seq FROM results WHERE wave = %(wave)s AND seq < 10000 "  # noqa: S608
            f"ORDER BY seq OFFSET 0) r CROSS JOIN LATERAL (SELECT {_ENTRY} FROM entries e WHERE e.wave = %(wave)s "
            "AND e.idx = r.idx LIMIT 1) e WHERE r.status = 'created' AND e.scope = "
            "(SELECT s.scope FROM wave_scopes s WHERE s.wave = %(wave)s AND s.number = %(scope)s) "
            "ORDER BY r.seq LIMIT %(limit)s",
            {"wave": self.number, "scope": scope, "limit": limit},
        )
        return self._with_events(map(self._entry, rows))

    # --- all of it, one after the other -------------------------------------------------------------------

    def answers(self) -> Iterator[tuple[int, Answered]]:
        """Every create request that ended, with its entry's index, in the order in which they did."""
        last = -1
        while rows := self._db.rows(
            "SELECT id, CASE WHEN wave = %s AND kind = 'answered' THEN idx END, "
            "CASE WHEN wave = %s AND kind = 'answered' THEN body END FROM events WHERE id > %s ORDER BY id LIMIT %s",
            (self.number, self.number, last, _PAGE),
        ):
            last = rows[-1][0]
            for _, index, body in rows:
                if index is not None and isinstance(event := decode("answered", body), Answered):
                    yield index, event

    def outline(self) -> Iterator[tuple[int, str, str | None, Scope | None]]:
        """The index, the key, the job and the scope of every entry, in manifest order; an invalid one has no scope."""
        places, last = self._places(), -1
        while rows := self._db.rows(
            "SELECT idx, key, job_id, scope FROM entries WHERE wave = %s AND idx > %s ORDER BY idx LIMIT %s",
            (self.number, last, _PAGE),
        ):
            last = rows[-1][0]
            for index, key, job_id, scope in rows:
                yield index, key, job_id, None if scope is None else places[scope]

    def holds(self, ops: Iterable[Op]) -> bool:
        """Whether all of *ops* were recorded."""
        return all(is_recorded(self, op) for op in ops)

    # --- rows ---------------------------------------------------------------------------------------------

    def _entry(self, row: Row, scope: Scope | None = None) -> PlannedEntry:
        """The entry of *row*, in *scope*, or in that of this wave which the row names.

        Any other may name its job: the next wave may be planned at any time.
        """
        if self._wave_entries is None:
            self._wave_entries = self.entry_count()
        wave, index, line, key, place, job_id, x_language, labels, body = row
        return PlannedEntry(
            index=index,
            line=line,
            key=key,
            scope=scope or self._places()[place],
            job_id=job_id,
            body=body,
            x_language=x_language,
            labels=orjson.loads(labels) if labels else {},
            shares_job=True,
            wave_entries=self._wave_entries if wave == self.number else None,
        )
