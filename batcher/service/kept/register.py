"""The waves that the service has accepted, each with all that it takes to run it again after any death."""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, Protocol

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from batcher.service.audit import AuditEntry
from batcher.service.kept.database import ServiceDatabase
from batcher.service.kept.folders import Folder
from batcher.service.models import ReadAudit, State
from batcher.service.notices import outbox
from batcher.service.notices.outbox import Notice
from batcher.service.notices.targets import Target

CLOCK_LEEWAY_S = 600.0  # by which clocks may differ, and a request may come late
FINAL = (State.STOPPED, State.ENDED)


class WaveRow(Struct, frozen=True, kw_only=True):
    """A wave as it is kept. Times are Unix seconds. *number* is its place in the order of arrival.

    *given* are the settings that its submitter gave, under their names; *fixed* those that the service's configuration
    gave then and that must stay, whatever becomes of it. *scopes* are (endpoint, project_id, entries), with "" for a
    project that IAM names. *starts* says that nobody has to start it; *is_begun* that a run of it has begun, *runs* how
    many have.
    *retry_failed* says that the next run takes up failed entries again. *deadline_at* is when nothing new is sent any
    more, counted from its first run. *editions* name the lines of its files, see `lines`: (inode, edition) by the kind.
    *of* is the wave that it compares again. *is_restored* says that it came from a backup: what was done since is not
    known, so each entry is looked up before it is sent. *settled* is how many entries of each scope had their result
    when it came to rest, (endpoint, project_id, entries); *to_rule* how many wait for somebody's ruling.
    *is_open* says of a wave in a database that machines share that it was opened for the run that goes on: workers may
    take it.
    """

    id: str
    name: str
    format: str
    digest: str
    entries: int
    submitted_by: str
    created_at: float
    state: State
    number: int = 0
    encoding: str | None = None
    priority: int = 0
    profile: str | None = None
    given: Mapping[str, Any] = {}
    fixed: Mapping[str, Any] = {}
    scopes: tuple[tuple[str, str, int], ...] = ()
    starts: bool = True
    needs_approval: bool = False
    approved_by: str | None = None
    started_at: float | None = None
    ended_at: float | None = None
    counts: Mapping[str, int] = {}
    verdicts: Mapping[str, int] = {}
    settled: tuple[tuple[str, str, int], ...] = ()
    to_rule: int = 0
    exit_code: int | None = None
    reason: str | None = None
    is_begun: bool = False
    runs: int = 0
    retry_failed: bool = False
    deadline_at: float | None = None
    editions: Mapping[str, tuple[int, int]] = {}
    of: str | None = None
    is_restored: bool = False
    is_open: bool = False

    @property
    def is_approved(self) -> bool:
        """Whether nobody has to approve it any more before it may run."""
        return not self.needs_approval or self.approved_by is not None

    @property
    def is_final(self) -> bool:
        """Whether nothing is done for it by itself."""
        return self.state in FINAL


encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(WaveRow).decode


class Teller(Protocol):
    """Tells *targets* of what happens to waves."""

    @property
    def targets(self) -> Sequence[Target]:
        """Those that are told."""
        ...

    def notices(self, before: WaveRow | None, after: WaveRow) -> Sequence[Notice]:
        """What is to be told of a wave that was *before* (None: it is new) and is *after*: it goes into the outbox in
        the transaction that makes that change."""
        ...

    def wake(self) -> None:
        """The transaction is on disk."""
        ...


class Register:
    """The waves in *database*. Every method raises `StoreFailed`, and those that change something `AuditFailed`."""

    def __init__(self, database: ServiceDatabase, teller: Teller | None = None) -> None:
        self._database = database
        self._teller = teller

    async def add(self, row: WaveRow, key: str | None, deed: AuditEntry, folder: Folder) -> WaveRow:
        """Keep a new wave, durable when this returns, by *deed*; the wave of the same *key* where there is one.

        A key is its submitter's own. The wave's folder, with its manifest, is where it is to be already.
        """

        def work(db: sqlite3.Connection) -> WaveRow:
            if key is not None and (known := _of_key(db, row.submitted_by, key)) is not None:
                return known[1]
            cursor = db.execute(
                "INSERT INTO waves (id, state, priority, row) VALUES (?, ?, ?, x'')", (row.id, row.state, row.priority)
            )
            kept = replace(row, number=cursor.lastrowid or 0)
            db.execute("UPDATE waves SET row = ? WHERE id = ?", (encode(kept), kept.id))
            if key is not None:
                values = (row.submitted_by, _key(key), row.digest, row.id)
                db.execute("INSERT INTO idempotency VALUES (?, ?, ?, ?)", values)
            self._note(db, None, kept)
            return kept

        added = await self._database.change(work, lambda kept: deed if kept.id == row.id else None)
        self._wake()
        return added

    def _note(self, db: sqlite3.Connection, before: WaveRow | None, after: WaveRow) -> None:
        if self._teller is not None:
            for notice in self._teller.notices(before, after):
                outbox.put(db, self._teller.targets, notice)

    def _wake(self) -> None:
        if self._teller is not None:
            self._teller.wake()

    async def of_key(self, who: str, key: str) -> tuple[str, WaveRow] | None:
        """The digest of the manifest and the wave that *who* handed in under *key*; None: there is none."""
        return await self._database.read(lambda db: _of_key(db, who, key))

    async def get(self, id: str) -> WaveRow | None:
        """The wave with that id."""

        def work(db: sqlite3.Connection) -> WaveRow | None:
            row = db.execute("SELECT row FROM waves WHERE id = ?", (id,)).fetchone()
            return None if row is None else decode(row[0])

        return await self._database.read(work)

    async def change(
        self, id: str, decide: Callable[[WaveRow], Mapping[str, Any]], deed: AuditEntry | None = None
    ) -> WaveRow | None:
        """Change the wave with that id as *decide* says of it as it is then; durable when this returns.

        The wave as it is now; None: there is none. *deed* is whose doing it is, None: the service's own. What *decide*
        raises comes out, and nothing is changed.
        """

        def work(db: sqlite3.Connection) -> WaveRow | None:
            found = db.execute("SELECT row FROM waves WHERE id = ?", (id,)).fetchone()
            if found is None:
                return None
            before = decode(found[0])
            row = replace(before, **decide(before))
            values = (row.state, row.priority, encode(row), id)
            db.execute("UPDATE waves SET state = ?, priority = ?, row = ? WHERE id = ?", values)
            self._note(db, before, row)
            return row

        changed = await self._database.change(work, lambda row: deed if row is not None else None)
        self._wake()
        return changed

    async def record(self, deed: AuditEntry) -> None:
        """Record what is done elsewhere than here: before it is begun, or how it went."""
        await self._database.change(lambda _: None, lambda _: deed)

    async def page(self, state: State | None, limit: int, below: int | None) -> list[WaveRow]:
        """Up to *limit* waves, the newest first, whose number is *below* that."""

        def work(db: sqlite3.Connection) -> list[WaveRow]:
            where = "number < ?" if state is None else "number < ? AND state = ?"
            values: list[Any] = [1 << 62 if below is None else below]
            values += [] if state is None else [state]
            rows = db.execute(f"SELECT row FROM waves WHERE {where} ORDER BY number DESC LIMIT ?", (*values, limit))  # noqa: S608
            return [decode(row) for (row,) in rows]

        return await self._database.read(work)

    async def in_states(self, states: Iterable[State]) -> list[WaveRow]:
        """All waves in one of *states*, the oldest first."""
        names = [state.value for state in states]

        def work(db: sqlite3.Connection) -> list[WaveRow]:
            marks = ", ".join("?" * len(names))
            rows = db.execute(f"SELECT row FROM waves WHERE state IN ({marks}) ORDER BY number", names)  # noqa: S608
            return [decode(row) for (row,) in rows]

        return await self._database.read(work)

    async def begun(self, ended_after: float) -> list[WaveRow]:
        """The waves that have begun, and had not ended by *ended_after*, Unix seconds."""

        def work(db: sqlite3.Connection) -> list[WaveRow]:
            rows = (decode(row) for (row,) in db.execute("SELECT row FROM waves ORDER BY number DESC"))
            return [
                row
                for row in rows
                if row.is_begun and (row.ended_at is None or row.ended_at > ended_after - CLOCK_LEEWAY_S)
            ]

        return await self._database.read(work)

    async def audit_page(self, asked: ReadAudit) -> tuple[list[dict[str, Any]], int | None]:
        """The lines of who did what that are *asked* for, and where the next page begins."""
        return await self._database.audit_page(asked)

    async def probe(self) -> None:
        """Ask the database whether it can be read."""
        await self._database.probe()

    async def ids(self) -> set[str]:
        """The ids of all waves."""
        return await self._database.read(lambda db: {id for (id,) in db.execute("SELECT id FROM waves")})

    async def counts(self) -> dict[State, int]:
        """How many waves there are in each state."""

        def work(db: sqlite3.Connection) -> dict[State, int]:
            rows = db.execute("SELECT state, count(*) FROM waves GROUP BY state")
            return {State(state): count for state, count in rows}

        return await self._database.read(work)


def _key(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogateescape")).digest()


def _of_key(db: sqlite3.Connection, who: str, key: str) -> tuple[str, WaveRow] | None:
    found = db.execute(
        "SELECT i.digest, w.row FROM idempotency i JOIN waves w ON w.id = i.wave WHERE i.who = ? AND i.key = ?",
        (who, _key(key)),
    ).fetchone()
    return None if found is None else (found[0], decode(found[1]))


def settings_of(row: WaveRow) -> dict[str, Any]:
    """The settings to load for a run of *row*, as flags: what was given, and what must stay as it was."""
    return {**row.fixed, **row.given}
