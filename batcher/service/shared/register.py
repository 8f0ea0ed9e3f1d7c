"""The waves of all services over one database; see `kept/port.py`.

Invariants:
- A wave's row, its key, its manifest and whose deed it was become durable together.
- What a change of the row means to the workers is written in the same transaction, as orders. So a pause or a stop is
  in force on every machine when the answer leaves.
- Each change has a number that nobody else has. Where the answer to a commit was lost the change is tried again, and
  finds by it that it was done.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
from msgspec.structs import replace

from batcher.journal.postgres.link import Connection, DatabaseLink
from batcher.life.result import rfc3339
from batcher.machines.standing import SharedStanding, standings_of
from batcher.service.audit import FIELDS, AuditEntry, detail_of
from batcher.service.kept.folders import Folder
from batcher.service.kept.register import FINAL, Teller, WaveRow, decode, encode
from batcher.service.models import ReadAudit, State
from batcher.service.shared.database import SharedServiceDatabase, transacted
from batcher.service.shared.orders_of_row import changed_orders
from batcher.service.shared.outbox import put

_PART = 1024 * 1024  # bytes of a manifest in a row
_LATELY = 500  # waves that have come to rest whose rows are looked into
_AUDIT_LOCK = 0x44525341  # "DRSA": whoever writes a deed holds it until the commit, so that numbers come in order
_AUDIT_SELECT = "SELECT seq, at, who, role, address, action, wave, outcome, detail FROM service_audit"

Decide = Callable[[WaveRow], Mapping[str, Any]]


class SharedRegister:
    """The waves in *database*: a `WaveRegister`. Every method raises `StoreFailed`."""

    def __init__(self, database: SharedServiceDatabase, teller: Teller | None = None) -> None:
        self._database = database
        self._teller = teller

    # --- taking in ----------------------------------------------------------------------------------------

    async def add(self, row: WaveRow, key: str | None, deed: AuditEntry, folder: Folder) -> WaveRow:
        """Keep a new wave with the manifest in *folder*, by *deed*; the wave of the same *key* where there is one."""
        change = uuid4()

        def work(connection: Connection) -> WaveRow:
            if (done := _row(connection, row.id)) is not None:
                return done
            _keep_manifest(connection, row.id, folder.manifest)
            if key is not None:
                values = (row.submitted_by, _key(key), row.digest, row.id)
                added = connection.execute(
                    "INSERT INTO service_keys VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING wave", values
                ).fetchone()
                if added is None:
                    connection.execute("DELETE FROM service_manifests WHERE wave = %s", (row.id,))
                    known = _of_key(connection, row.submitted_by, key)
                    assert known is not None  # noqa: S101 - it was in the way
                    return known[1]
            number = connection.execute(
                "INSERT INTO service_waves (id, state, row, change) VALUES (%s, %s, '', %s) RETURNING number",
                (row.id, row.state.value, change),
            ).fetchone()
            assert number is not None  # noqa: S101 - of an INSERT
            kept = replace(row, number=number[0])
            connection.execute("UPDATE service_waves SET row = %s WHERE id = %s", (encode(kept), kept.id))
            self._note(connection, None, kept)
            _record(connection, deed, change)
            return kept

        added = await self._database.apart(lambda link: transacted(link, work))
        self._wake()
        return added

    def _note(self, connection: Connection, before: WaveRow | None, after: WaveRow) -> None:
        """Have others told of this change, in the transaction that makes it."""
        if self._teller is not None:
            for notice in self._teller.notices(before, after):
                put(connection, self._teller.targets, notice)

    def _wake(self) -> None:
        if self._teller is not None:
            self._teller.wake()

    async def of_key(self, who: str, key: str) -> tuple[str, WaveRow] | None:
        """The digest of the manifest and the wave that *who* handed in under *key*; None: there is none."""
        return await self._database.ask(lambda link: link.do(lambda c: _of_key(c, who, key)))

    async def fetch_manifest(self, row: WaveRow, path: Path) -> None:
        """Write the manifest of *row* to the file at *path*. Raises OSError as well."""

        sql = "SELECT body FROM service_manifests WHERE wave = %s AND part = %s"

        def work(link: DatabaseLink) -> None:
            with path.open("wb") as file:
                for part in count():
                    if (found := link.row(sql, (row.id, part))) is None:
                        return
                    file.write(found[0])

        await self._database.apart(work)

    # --- changing -----------------------------------------------------------------------------------------

    async def change(self, id: str, decide: Decide, deed: AuditEntry | None = None) -> WaveRow | None:
        """Change the wave with that id as *decide* says of it as it is then; see `WaveRegister.change`."""
        return await self._changed(id, lambda row, _: decide(row), deed)

    async def change_by_standing(
        self, id: str, decide: Callable[[WaveRow, SharedStanding], Mapping[str, Any]]
    ) -> WaveRow | None:
        """Change it as *decide* says, which is told where the wave, which is planned, stands at that moment as well."""

        def decided(row: WaveRow, link: DatabaseLink) -> Mapping[str, Any]:
            found = standings_of(link, id)
            return decide(row, found[0]) if found else {}

        return await self._changed(id, decided, None)

    async def _changed(
        self, id: str, decide: Callable[[WaveRow, DatabaseLink], Mapping[str, Any]], deed: AuditEntry | None
    ) -> WaveRow | None:
        change, link = uuid4(), self._database.link

        def work(connection: Connection) -> WaveRow | None:
            found = connection.execute(
                "SELECT row, change FROM service_waves WHERE id = %s FOR UPDATE", (id,)
            ).fetchone()
            if found is None:
                return None
            before = decode(found[0])
            if found[1] == change:
                return before
            row = replace(before, **decide(before, link))
            if row == before and deed is None:
                return row
            _keep(connection, before, row, change)
            self._note(connection, before, row)
            if deed is not None:
                _record(connection, deed, change)
            return row

        changed = await self._database.change(work)
        self._wake()
        return changed

    async def record(self, deed: AuditEntry) -> None:
        """Record what is done elsewhere than here: before it is begun, or how it went."""
        change = uuid4()
        await self._database.change(lambda connection: _record(connection, deed, change))

    # --- opening ------------------------------------------------------------------------------------------

    async def take_to_open(self, id: str, who: str, lasts_s: float) -> WaveRow | None:
        """Have the service *who* open the wave with that id, for *lasts_s* seconds from now; None: it is not queued any
        more, or another service opens it."""

        def work(connection: Connection) -> WaveRow | None:
            found = connection.execute(
                "UPDATE service_waves SET opened_by = %s, "
                "opening_until = clock_timestamp() + make_interval(secs => %s) WHERE id = %s AND state = %s "
                "AND (opened_by = %s OR opening_until IS NULL OR opening_until < clock_timestamp()) RETURNING row",
                (who, lasts_s, id, State.QUEUED.value, who),
            ).fetchone()
            return None if found is None else decode(found[0])

        return await self._database.change(work)

    async def give_back(self, id: str, who: str) -> None:
        """The service *who* does not open the wave with that id after all: another may do so at once."""
        sql = "UPDATE service_waves SET opened_by = NULL, opening_until = NULL WHERE id = %s AND opened_by = %s"
        await self._database.change(lambda connection: connection.execute(sql, (id, who)))

    async def release(self, id: str, who: str, decide: Decide) -> WaveRow | None:
        """The wave is open, or cannot be: change it as *decide* says, if *who* is still the one that opens it."""
        change = uuid4()

        def work(connection: Connection) -> WaveRow | None:
            found = connection.execute(
                "SELECT row, change, opened_by FROM service_waves WHERE id = %s FOR UPDATE", (id,)
            ).fetchone()
            if found is None:
                return None
            before = decode(found[0])
            if found[1] == change or found[2] != who or before.state is not State.QUEUED:
                return before
            row = replace(before, **decide(before))
            _keep(connection, before, row, change)
            self._note(connection, before, row)
            connection.execute("UPDATE service_waves SET opened_by = NULL, opening_until = NULL WHERE id = %s", (id,))
            return row

        released = await self._database.change(work)
        self._wake()
        return released

    # --- looking ------------------------------------------------------------------------------------------

    async def get(self, id: str) -> WaveRow | None:
        """The wave with that id."""
        return await self._database.ask(lambda link: link.do(lambda c: _row(c, id)))

    async def page(self, state: State | None, limit: int, below: int | None) -> list[WaveRow]:
        """Up to *limit* waves, the newest first, whose number is *below* that."""
        values = (1 << 62 if below is None else below, state, state, limit)
        return await self._rows(
            "WHERE number < %s AND (%s::text IS NULL OR state = %s) ORDER BY number DESC LIMIT %s", values
        )

    async def in_states(self, states: Iterable[State]) -> list[WaveRow]:
        """All waves in one of *states*, the oldest first."""
        return await self._rows("WHERE state = ANY (%s) ORDER BY number", ([state.value for state in states],))

    async def _rows(self, which: str, values: tuple[Any, ...]) -> list[WaveRow]:
        sql = f"SELECT row FROM service_waves {which}"  # noqa: S608 - of ours
        return await self._database.ask(lambda link: [decode(row) for (row,) in link.rows(sql, values)])

    async def counts(self) -> dict[State, int]:
        """How many waves there are in each state."""
        sql = "SELECT state, count(*) FROM service_waves GROUP BY state"
        return await self._database.ask(lambda link: {State(state): count for state, count in link.rows(sql)})

    async def reopened(self, id: str) -> int:
        """How many results of the wave were taken back so far."""
        sql = "SELECT count(*) FROM events e JOIN waves w ON w.number = e.wave WHERE w.id = %s AND e.kind = 'reopened'"
        found = await self._database.ask(lambda link: link.row(sql, (id,)))
        return 0 if found is None else int(found[0])

    async def gone_on_with(self) -> list[str]:
        """The ids of waves that had come to rest, and that were ordered to go on since, past all services."""
        sql = (
            "SELECT s.id FROM service_waves s JOIN waves w ON w.id = s.id AND w.planned "
            "WHERE s.state = ANY (%s) AND coalesce(forbidden(w.number, NULL), 'paused') = 'paused' "
            "AND EXISTS (SELECT 1 FROM wave_scopes p WHERE p.wave = w.number AND p.settled < p.entries)"
        )
        rows = await self._database.ask(lambda link: link.rows(sql, ([state.value for state in FINAL],)))
        return [id for (id,) in rows]

    async def ruled_on(self) -> list[str]:
        """The ids of waves that have come to rest, and on whose unsettled entries somebody ruled since, past all
        services (`batcher settle`); of the last that were handed in."""
        sql = (
            "SELECT s.id FROM (SELECT id, convert_from(row, 'UTF8')::jsonb AS row FROM service_waves "
            "WHERE state = ANY (%s) ORDER BY number DESC LIMIT %s) s JOIN waves w ON w.id = s.id AND w.planned "
            "WHERE coalesce((s.row ->> 'to_rule')::int, 0) <> coalesce((w.counts ->> 'unsettled')::int, 0)"
        )
        values = ([state.value for state in FINAL], _LATELY)
        rows = await self._database.ask(lambda link: link.rows(sql, values))
        return [id for (id,) in rows]

    async def audit_page(self, asked: ReadAudit) -> tuple[list[dict[str, Any]], int | None]:
        """The lines of who did what that are *asked* for, and where the next page begins."""
        newest_first = asked.before is not None
        where = "seq > %(after)s" if not newest_first else "seq < %(before)s" if asked.before else "seq > 0"
        sql = (
            f"{_AUDIT_SELECT} WHERE {where} AND (%(wave)s::text IS NULL OR wave = %(wave)s) "
            "AND (%(who)s::text IS NULL OR who = %(who)s) "
            f"ORDER BY seq {'DESC' if newest_first else 'ASC'} LIMIT %(most)s"
        )
        values = {**asked.model_dump(), "most": asked.limit + 1}
        rows = await self._database.ask(lambda link: link.rows(sql, values))
        lines = [_line(row) for row in rows[: asked.limit]]
        return lines, lines[-1]["seq"] if len(rows) > asked.limit else None

    async def probe(self) -> None:
        """Ask the database whether it answers."""
        await self._database.ask(lambda link: link.row("SELECT 1"))


def _key(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogateescape")).digest()


def _row(connection: Connection, id: str) -> WaveRow | None:
    found = connection.execute("SELECT row FROM service_waves WHERE id = %s", (id,)).fetchone()
    return None if found is None else decode(found[0])


def _of_key(connection: Connection, who: str, key: str) -> tuple[str, WaveRow] | None:
    found = connection.execute(
        "SELECT k.digest, w.row FROM service_keys k JOIN service_waves w ON w.id = k.wave "
        "WHERE k.who = %s AND k.key = %s",
        (who, _key(key)),
    ).fetchone()
    return None if found is None else (found[0], decode(found[1]))


def _keep_manifest(connection: Connection, wave: str, path: Path) -> None:
    with path.open("rb") as file:
        part = 0
        while body := file.read(_PART):
            connection.execute("INSERT INTO service_manifests VALUES (%s, %s, %s)", (wave, part, body))
            part += 1


def _keep(connection: Connection, before: WaveRow, after: WaveRow, change: UUID) -> None:
    """Write the row *after*, and what it means to the workers."""
    connection.execute(
        "UPDATE service_waves SET state = %s, row = %s, change = %s WHERE id = %s",
        (after.state.value, encode(after), change, after.id),
    )
    orders = changed_orders(before, after)
    if orders:
        sets = ", ".join(f"{name} = %s" for name in orders)
        connection.execute(
            f"UPDATE wave_orders o SET {sets}, version = o.version + 1 "  # noqa: S608 - columns of ours
            "FROM waves w WHERE w.id = %s AND o.wave = w.number",
            (*orders.values(), after.id),
        )
    if after.is_open and orders.get("stop", "") is None:
        connection.execute(
            "SELECT invite(array_agg(p.scope), %s) FROM wave_scopes p JOIN waves w ON w.number = p.wave "
            "WHERE w.id = %s",
            (after.priority, after.id),
        )


def _record(connection: Connection, deed: AuditEntry, change: UUID) -> None:
    connection.execute("SELECT pg_advisory_xact_lock(%s)", (_AUDIT_LOCK,))
    detail, who = detail_of(deed), deed.who
    connection.execute(
        "INSERT INTO service_audit (seq, change, who, role, address, action, wave, outcome, detail) "
        "SELECT coalesce(max(seq), 0) + 1, %s, %s, %s, %s, %s, %s, %s, %s FROM service_audit ON CONFLICT DO NOTHING",
        (
            change,
            who.name,
            who.role.word,
            who.address,
            deed.action,
            deed.wave,
            deed.outcome,
            None if detail is None else detail.decode(),
        ),
    )


def _line(row: tuple[Any, ...]) -> dict[str, Any]:
    line = dict(zip(FIELDS, row, strict=True))
    detail = {} if line["detail"] is None else orjson.loads(line["detail"])
    return {**line, "at": rfc3339(line["at"].astimezone(UTC)), "detail": detail}
