"""The journal's store: an SQLite database, used from one thread at a time. No asyncio in here.

Everything is appended: the plan once, then events, then results. An entry is open while it has events and no
result. `synchronous=FULL` makes a commit survive a power cut; write-ahead logging makes it one sync.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Protocol
from uuid import uuid4

import orjson

from batcher.journal.ops import ClockNoted, Happened, Noted, Op, Settled
from batcher.journal.sign import Sign, identity_of
from batcher.journal.sqlite.log import IN_USE, Look, has_log, let_go, mark, require_log, unmark
from batcher.journal.sqlite.schema import INDEX_OF_SCOPES, INDEXES, check, prepare
from batcher.life.entry import PlannedEntry, Scope
from batcher.life.events import Answered, Event, Reopened, decode, encode, kind_of
from batcher.life.result import Status

_ROWS = 100  # to a statement
_CACHED = 3 * _ROWS  # statements: one for each number of rows, into either table


MOST_BYTES = 4 * 1024 * 1024  # of entries read from the plan at a time, whose bodies and labels may be large
_LABELS, _BODY = 6, 7  # their places in
_ENTRY = "e.idx, e.line, e.key, e.scope, e.job_id, e.x_language, e.labels, e.body"
_SHARES = "EXISTS (SELECT 1 FROM entries o WHERE o.scope = e.scope AND o.job_id = e.job_id AND o.idx <> e.idx)"
_HAS_EVENTS = "EXISTS (SELECT 1 FROM events v WHERE v.idx = e.idx)"
_HAS_RESULT = "EXISTS (SELECT 1 FROM results r WHERE r.idx = e.idx)"
# A scope's entries in manifest order, without a sort: the plan itself, which is that of one scope as a rule. The plus
# keeps SQLite from the index of jobs, all of whose entries it would sort for each batch.
_IN_ONE_SCOPE = "entries e WHERE +e.scope = ? AND e.idx > ?"
_IN_SCOPE = "entries e INDEXED BY entries_by_scope WHERE e.scope = ? AND e.idx > ?"


def _file_at(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_dev


class SignKeeper(Protocol):
    """Keeps the journal's sign of life outside of it: the wave's `Lock`."""

    def sign(self) -> Sign | None:
        """The sign as it is."""
        ...

    def write(self, wave: str, generation: int) -> None:
        """Make a new one durable. Raises OSError."""
        ...


class Store:
    """The database. Methods raise `sqlite3.Error` (and so tell of full or vanished disks)."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self.path: Path | None = None
        self._files: dict[Path, tuple[int, int] | None] = {}  # what its paths led to, when it was opened
        self._look: Look | None = None
        self._scopes: dict[int, Scope] = {}
        self._walk: str | None = None
        self._keeper: SignKeeper | None = None
        self._folded_at: int | None = None  # when the database was last written to: its log was folded in
        self._wave_entries: int | None = None

    @classmethod
    def open(cls, path: Path | None) -> "Store":
        """Open or create the journal at *path*; None: in memory. Raises `NotAJournal`, `sqlite3.Error`."""
        had_log = path is not None and has_log(path)
        db = sqlite3.connect(
            path or ":memory:", isolation_level=None, check_same_thread=False, cached_statements=_CACHED
        )
        try:
            store = cls(db)
            if path is not None:
                require_log(db, path, had_log=had_log)
            prepare(db, path)
            store._remember(path)
        except BaseException:
            db.close()
            raise
        return store

    @classmethod
    def open_to_read(cls, path: Path) -> "Store":
        """Open an existing journal to look into it, also while a wave is running; nothing in its folder is changed.

        Raises OSError, `NotAJournal`, `sqlite3.Error`.
        """
        look = Look(path)
        try:
            look.db.execute("PRAGMA query_only = ON")
            store = cls(look.db)
            store.path = path
            require_log(look.db, path, had_log=look.had_log)
            check(look.db, path)
        except BaseException:
            look.close()
            raise
        store._look = look
        return store

    def relax(self) -> None:
        """From now on commits are not synced to disk: for a rehearsal, which no power cut can cost anything."""
        self._db.execute("PRAGMA synchronous = OFF")

    def _remember(self, path: Path | None) -> None:
        """Know the files again: the database, and the log that holds what was committed last."""
        self.path = path
        if path is not None:
            mark(self._db)  # the log is made with it, if there is none yet
            self._files = {part: _file_at(part) for part in (path, path.with_name(f"{path.name}-wal"))}

    def is_there(self) -> bool:
        """Whether its paths still lead to it. If not, somebody deleted or moved it: it can still be written, but
        nobody would find it again."""
        return all(_file_at(path) == file for path, file in self._files.items())

    def rescue(self) -> Path:
        """Write all of it to a file that can be found: at its old path if that is free, else in a new temporary folder.
        Raises `sqlite3.Error`."""
        path = self.path
        assert path is not None  # noqa: S101 - only files get lost
        unmark(self._db)
        if _file_at(path) == self._files[path]:  # only its log is gone, to whose content we still have the key
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return path
        if not path.parent.is_dir() or path.exists():
            path = Path(mkdtemp(prefix="batcher-")) / path.name
        self._db.execute("VACUUM INTO ?", (str(path),))
        return path

    def close(self) -> None:
        """Close the database; its write-ahead log is folded in, unless it was only looked into."""
        if self._look is not None:
            self._look.close()
        elif self.path is not None:
            if self._keeper is not None and self.is_there():
                with suppress(sqlite3.Error, OSError):  # a sign behind its journal says nothing against it
                    self._grow(self._keeper)  # a copy that was made while it was open is older now
            let_go(self._db, self.path)
        else:
            self._db.close()

    @property
    def was_changed(self) -> bool:
        """Whether a store that was opened to read was written meanwhile, so that what was read may be void."""
        return self._look is not None and self._look.changed()

    # --- its sign of life -------------------------------------------------------------------------------

    def identity(self) -> tuple[str | None, int]:
        """The name of the wave, None where it was begun by a version without names, and the journal's generation."""
        return identity_of(self._db)

    def keep_sign(self, keeper: SignKeeper) -> None:
        """From now on *keeper* has the journal's sign of life: see `batcher.journal.sign`. Raises OSError."""
        self._grow(keeper)
        self._keeper = keeper

    def _grow(self, keeper: SignKeeper) -> None:
        """Begin a new generation, in the journal first and in its sign then. Again where that folded the log in."""
        while True:
            wave, generation = self.identity()
            sign = keeper.sign()
            if sign is not None and sign.wave == wave:
                generation = max(generation, sign.generation)
            named = wave or uuid4().hex
            self._db.execute("BEGIN IMMEDIATE")
            self._apply(Noted(name="wave", value=named))
            self._apply(Noted(name="generation", value=generation + 1))
            before = self._written_at()
            self._db.execute("COMMIT")
            keeper.write(named, generation + 1)
            self._folded_at = self._written_at()
            if self._folded_at == before:
                return

    def _written_at(self) -> int | None:
        try:
            return None if self.path is None else self.path.stat().st_mtime_ns
        except OSError:
            return None

    # --- the plan ---------------------------------------------------------------------------------------

    def is_planned(self) -> bool:
        """Whether a whole plan is in the journal; half a one is as good as none, as nothing was sent."""
        return bool(self._db.execute("SELECT 1 FROM meta WHERE name = 'planned'").fetchone())

    def begin(self) -> None:
        """Begin the one transaction that the plan is written in."""
        self._db.execute("BEGIN IMMEDIATE")

    def rollback(self) -> None:
        """Forget it."""
        self._db.rollback()

    def add_scope(self, scope: Scope) -> None:
        """Add a scope to the plan."""
        self._db.execute("INSERT INTO scopes VALUES (?, ?, ?, NULL)", (scope.number, scope.endpoint, scope.project_id))

    def add_entries(self, entries: Iterable[PlannedEntry]) -> None:
        """Add entries to the plan."""
        self._db.executemany(
            "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    entry.index,
                    entry.line,
                    entry.key,
                    entry.scope.number,
                    entry.job_id,
                    entry.x_language,
                    orjson.dumps(entry.labels) if entry.labels else None,
                    entry.body,
                )
                for entry in entries
            ),
        )

    def add_invalid(self, index: int, line: int, key: str, job_id: str | None) -> None:
        """Add the place of an entry that is not sent because it is not valid; it has a result already."""
        self._db.execute("INSERT INTO entries VALUES (?, ?, ?, NULL, ?, NULL, NULL, NULL)", (index, line, key, job_id))

    def add_result(self, settled: Settled) -> None:
        """Add the result that an invalid entry has from the beginning."""
        self._apply(settled)

    def finish_plan(self, facts: Mapping[str, Any]) -> None:
        """Write the wave's facts, make the indexes, and commit the plan."""
        for name, value in facts.items():
            self._apply(Noted(name=name, value=value))
        self._db.execute("INSERT INTO meta VALUES ('planned', 1)")
        entries = self.entry_count()
        self._apply(Noted(name="entries", value=entries))
        self._db.execute(  # the invalid entries', from when nobody knew how many there would be
            "UPDATE results SET line = CAST(replace(CAST(line AS TEXT), ?, ?) AS BLOB)",
            ('"wave_entries":null}', f'"wave_entries":{entries}}}'),
        )
        several = INDEX_OF_SCOPES if len(self.scopes()) > 1 else ""
        for statement in (INDEXES + several).strip().splitlines():
            self._db.execute(statement)
        self._db.execute("COMMIT")
        # So that a copy without the log has at least the plan. The log is not emptied: an empty one counts as lost.
        self._db.execute("PRAGMA wal_checkpoint(FULL)")

    # --- writing ----------------------------------------------------------------------------------------

    def commit(self, ops: Iterable[Op]) -> None:
        """Apply *ops* in order, in one transaction, durable when this returns. All or none of them.

        Raises `sqlite3.Error`, and OSError where the sign of life cannot be written.
        """
        if self._keeper is not None and self._written_at() != self._folded_at:
            self._grow(self._keeper)
        self._db.execute("BEGIN IMMEDIATE")
        try:
            events: list[Any] = []
            results: list[Any] = []
            for op in ops:
                match op:
                    case Happened() if not isinstance(op.event, Reopened):
                        events += (op.index, kind_of(op.event), encode(op.event))
                    case Settled():
                        results += (op.seq, op.index, op.status.value, op.line)
                    case _:
                        self._insert(events, results)
                        self._apply(op)
            self._insert(events, results)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _insert(self, events: list[Any], results: list[Any]) -> None:
        """Insert the rows of both lists, and empty them.

        Many rows to a statement: Python gives the interpreter away around each, and on a busy event loop it takes
        milliseconds to have it back.
        """
        for into, width, values in (("events (idx, kind, body)", 3, events), ("results", 4, results)):
            row = f"({', '.join('?' * width)})"
            for start in range(0, len(values), _ROWS * width):
                part = values[start : start + _ROWS * width]
                rows = ", ".join([row] * (len(part) // width))
                self._db.execute(f"INSERT INTO {into} VALUES {rows}", part)  # noqa: S608 - no value is in the text
            values.clear()

    def _apply(self, op: Op) -> None:
        match op:
            case Happened():
                if isinstance(op.event, Reopened):
                    self._db.execute("DELETE FROM results WHERE idx = ?", (op.index,))
                self._insert([op.index, kind_of(op.event), encode(op.event)], [])
            case Settled():
                self._insert([], [op.seq, op.index, op.status.value, op.line])
            case Noted():
                self._db.execute(
                    "INSERT OR REPLACE INTO meta VALUES (?, ?)", (op.name, orjson.dumps(op.value).decode())
                )
            case ClockNoted():
                self._db.execute("UPDATE scopes SET clock_offset_s = ? WHERE number = ?", (op.offset_s, op.scope))

    # --- reading ----------------------------------------------------------------------------------------

    def facts(self) -> dict[str, Any]:
        """The wave's facts: its manifest's digest, its settings, …"""
        rows = self._db.execute("SELECT name, value FROM meta WHERE name NOT IN ('planned', ?)", (IN_USE,))
        return {name: orjson.loads(value) for name, value in rows}

    def scopes(self) -> list[Scope]:
        """The wave's scopes."""
        return [Scope(*row) for row in self._db.execute("SELECT number, endpoint, project_id FROM scopes ORDER BY 1")]

    def scope_sizes(self) -> dict[int, int]:
        """How many entries each scope has, by its number."""
        return dict(self._db.execute("SELECT scope, count(*) FROM entries WHERE scope IS NOT NULL GROUP BY scope"))

    def entry_count(self) -> int:
        """How many entries the manifest has."""
        return int(self._db.execute("SELECT count(*) FROM entries").fetchone()[0])

    def is_settled(self) -> bool:
        """Whether every entry has a result. Told from indexes alone: of a million entries, to look at each would take
        seconds."""
        settled = self._db.execute("SELECT count(*) FROM results").fetchone()[0]
        return bool(settled == self.entry_count())

    def status_counts(self) -> dict[Status, int]:
        """How many results there are of each status."""
        rows = self._db.execute("SELECT status, count(*) FROM results GROUP BY status")
        return {Status(status): count for status, count in rows}

    def settled_counts(self) -> dict[int, int]:
        """How many entries of each scope have a result."""
        rows = self._db.execute(
            "SELECT scope, count(*) FROM entries WHERE scope IS NOT NULL AND idx IN (SELECT idx FROM results) "
            "GROUP BY scope"
        )
        return dict(rows)

    def next_seq(self) -> int:
        """The place of the next result in the results file."""
        row = self._db.execute("SELECT max(seq) FROM results").fetchone()
        return 0 if row[0] is None else int(row[0]) + 1

    def planned(self, scope: int, after: int, limit: int, most_bytes: int = MOST_BYTES) -> list[PlannedEntry]:
        """The next entries of *scope* behind index *after* that nothing has happened to: *limit* of them, or fewer that
        come to *most_bytes*. None: there are no more."""
        if after < 0 and self.is_settled():
            return []
        rows = self._db.execute(
            f"SELECT {_ENTRY}, {_SHARES} FROM {self._in_scope} "  # noqa: S608
            f"AND NOT {_HAS_EVENTS} AND NOT {_HAS_RESULT} ORDER BY e.idx LIMIT ?",
            (scope, after, limit),
        )
        return self._entries(rows, most_bytes)

    def open_entries(
        self, scope: int, after: int, limit: int, most_bytes: int = MOST_BYTES
    ) -> list[tuple[PlannedEntry, list[Event]]]:
        """Likewise the next that something has happened to and that have no result, each with its events."""
        if after < 0 and self.is_settled():
            return []
        rows = self._db.execute(
            f"SELECT {_ENTRY}, {_SHARES} FROM {self._in_scope} "  # noqa: S608
            f"AND NOT {_HAS_RESULT} AND {_HAS_EVENTS} ORDER BY e.idx LIMIT ?",
            (scope, after, limit),
        )
        return [(entry, self.events(entry.index)) for entry in self._entries(rows, most_bytes)]

    @property
    def _in_scope(self) -> str:
        """See `_IN_SCOPE`. Journals from before have no such index."""
        if self._walk is None:
            there = self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'entries_by_scope'").fetchone()
            self._walk = _IN_SCOPE if there else _IN_ONE_SCOPE
        return self._walk

    def _entries(self, rows: sqlite3.Cursor, most_bytes: int) -> list[PlannedEntry]:
        """The entries of *rows*, one at least, until they come to *most_bytes*."""
        entries: list[PlannedEntry] = []
        for row in rows:
            entries.append(self._entry(row))
            most_bytes -= len(row[_LABELS] or b"") + len(row[_BODY])
            if most_bytes <= 0:
                break
        rows.close()
        return entries

    def events(self, index: int) -> list[Event]:
        """The events of an entry, oldest first."""
        rows = self._db.execute("SELECT kind, body FROM events WHERE idx = ? ORDER BY id", (index,))
        return [decode(kind, body) for kind, body in rows]

    def answers(self) -> Iterator[tuple[int, Answered]]:
        """Every create request that ended, with its entry's index, in the order in which they did."""
        for index, body in self._db.execute("SELECT idx, body FROM events WHERE kind = 'answered' ORDER BY id"):
            event = decode("answered", body)
            if isinstance(event, Answered):
                yield index, event

    def answered_around(self, entry: PlannedEntry) -> list[tuple[PlannedEntry, list[Event]]]:
        """Some entries of the same scope with an answer shortly before or after *entry*'s first event."""
        at = self._db.execute("SELECT min(id) FROM events WHERE idx = ?", (entry.index,)).fetchone()[0]
        if at is None:
            return []
        rows: list[tuple[int]] = []
        for near, order in (("v.id < ? AND v.id > ? - 2000", "DESC"), ("v.id > ? AND v.id < ? + 2000", "ASC")):
            rows += self._db.execute(
                f"SELECT e.idx FROM events v CROSS JOIN entries e USING (idx) WHERE {near} "  # noqa: S608
                f"AND v.kind = 'answered' AND e.scope = ? ORDER BY v.id {order} LIMIT 8",
                (at, at, entry.scope.number),
            )
        found = {index: self.entry(index) for (index,) in rows}
        return [(other, self.events(index)) for index, other in found.items() if other is not None]

    def sharing(self, entry: PlannedEntry) -> list[tuple[PlannedEntry, list[Event]]]:
        """The other entries of the same job, each with its events."""
        rows = self._db.execute(
            f"SELECT {_ENTRY}, 1 FROM entries e WHERE e.scope = ? AND e.job_id = ? AND e.idx <> ?",  # noqa: S608
            (entry.scope.number, entry.job_id, entry.index),
        ).fetchall()
        return [(other, self.events(other.index)) for other in map(self._entry, rows)]

    def entry(self, index: int) -> PlannedEntry | None:
        """The entry at *index*; None: there is none, or it is an invalid one."""
        row = self._db.execute(
            f"SELECT {_ENTRY}, {_SHARES} FROM entries e WHERE e.idx = ? AND e.scope IS NOT NULL",  # noqa: S608
            (index,),
        ).fetchone()
        return self._entry(row) if row else None

    def outline(self) -> Iterator[tuple[int, str, str | None, Scope | None]]:
        """The place, the key, the job and the scope of every entry, in manifest order; an invalid one has no scope."""
        scopes = {scope.number: scope for scope in self.scopes()}
        for index, key, job_id, scope in self._db.execute("SELECT idx, key, job_id, scope FROM entries ORDER BY idx"):
            yield index, key, job_id, scopes.get(scope)

    def line_of(self, index: int) -> int | None:
        """The manifest's line of the entry at *index*, be it valid or not; None: there is none."""
        row = self._db.execute("SELECT line FROM entries WHERE idx = ?", (index,)).fetchone()
        return int(row[0]) if row else None

    def indexes_of_key(self, key: str) -> list[int]:
        """The places of the entries with that key: one, or none."""
        return [index for (index,) in self._db.execute("SELECT idx FROM entries WHERE key = ?", (key,))]

    def result_of(self, index: int) -> tuple[int, Status, bytes] | None:
        """(seq, status, line) of an entry's result."""
        row = self._db.execute("SELECT seq, status, line FROM results WHERE idx = ?", (index,)).fetchone()
        return (row[0], Status(row[1]), row[2]) if row else None

    def lines(self) -> Iterator[bytes]:
        """Every result line, in the order of the results file."""
        for (line,) in self._db.execute("SELECT line FROM results ORDER BY seq"):
            yield line

    def first_created(self, scope: int, limit: int) -> list[tuple[PlannedEntry, list[Event]]]:
        """Up to *limit* of the entries of *scope* that were created first, in order, each with its events."""
        rows = self._db.execute(
            f"SELECT {_ENTRY}, 0 FROM results r CROSS JOIN entries e ON e.idx = r.idx "  # noqa: S608
            "WHERE r.seq < 10000 AND +r.status = 'created' AND e.scope = ? ORDER BY r.seq LIMIT ?",
            (scope, limit),  # of many scopes one may have none: not all results are looked through for that
        ).fetchall()
        return [(entry, self.events(entry.index)) for entry in map(self._entry, rows)]

    def lines_from(self, seq: int) -> list[bytes]:
        """The result lines from number *seq* on."""
        return [line for (line,) in self._db.execute("SELECT line FROM results WHERE seq >= ? ORDER BY seq", (seq,))]

    def holds(self, ops: Iterable[Op]) -> bool:
        """Whether all of *ops* were recorded."""
        for op in ops:
            match op:
                case Happened():
                    if op.event not in self.events(op.index):
                        return False
                case Settled():
                    if self.result_of(op.index) is None:
                        return False
                case _:
                    pass
        return True

    def last_event_at(self) -> float | None:
        """When the last event happened, by our clock; None: none has yet."""
        row = self._db.execute("SELECT kind, body FROM events ORDER BY id DESC LIMIT 1").fetchone()
        return decode(*row).at if row else None

    def unfinished(self, after: int, limit: int) -> list[tuple[PlannedEntry, list[Event]]]:
        """The next entries behind index *after* that have no result, each with its events: *limit* of them, or fewer
        that are large."""
        rows = self._db.execute(
            f"SELECT {_ENTRY}, 0 FROM entries e WHERE e.idx > ? AND NOT {_HAS_RESULT} ORDER BY e.idx LIMIT ?",  # noqa: S608
            (after, limit),
        )
        return [(entry, self.events(entry.index)) for entry in self._entries(rows, MOST_BYTES)]

    def with_status(self, statuses: Iterable[Status]) -> list[int]:
        """The places of the entries whose result has one of *statuses*."""
        found: list[int] = []
        for status in statuses:
            rows = self._db.execute("SELECT idx FROM results WHERE status = ? ORDER BY idx", (status.value,))
            found += [index for (index,) in rows]
        return sorted(found)

    def _entry(self, row: tuple[Any, ...]) -> PlannedEntry:
        if not self._scopes:
            self._scopes = {scope.number: scope for scope in self.scopes()}
            counted = self._db.execute("SELECT value FROM meta WHERE name = 'entries'").fetchone()
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
