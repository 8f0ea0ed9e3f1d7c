"""A wave's plan into a database that machines share: by COPY, in one transaction on a connection of its own.

So commits of other waves do not wait for it, half a plan leaves nothing, and nobody else sees any of it before it is
whole. Scopes are shared by the waves of the database; they are added by themselves, and stay.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from itertools import repeat
from typing import Any

import orjson
import psycopg

from batcher.journal.errors import WaveRefused
from batcher.journal.port import PlanWriter
from batcher.journal.postgres.failover import CLUSTER
from batcher.journal.postgres.link import Connection, DatabaseLink, Patience
from batcher.life.entry import Scope
from batcher.life.entry_columns import EntryColumns
from batcher.life.result import Status

_PATIENT = Patience(answer_s=600.0, grace_s=0.0)  # of a million entries, the last step takes its time
_ENTRIES = "COPY entries (wave, idx, line, key, scope, job_id, x_language, labels, body) FROM STDIN (FORMAT binary)"
_RESULTS = "COPY results (wave, seq, idx, status, line) FROM STDIN (FORMAT binary)"
_TYPES = ("int4", "int4", "int4", "text", "int4", "text", "text", "bytea", "bytea")
_MANY = 1000  # invalid entries, written together


class PostgresPlanWriter(PlanWriter):
    """A `PlanWriter` of the wave *number*, written by *connection*; scopes are added by *link*."""

    def __init__(self, connection: Connection, link: DatabaseLink, number: int) -> None:
        self._db = connection
        self._link = link
        self._number = number
        self._places: dict[int, int] = {}
        self._entries = 0
        self._in_place: Counter[int] = Counter()  # entries, by the scope's number in the database
        self._invalid = 0
        self._copying: ExitStack | None = None  # what ends the COPY of entries, while there is one
        self._copy: psycopg.Copy
        self._gathered: list[tuple[tuple[Any, ...], tuple[Any, ...]]] = []  # invalid entries: entry and result
        self.is_whole = False

    def add_scope(self, scope: Scope) -> None:
        """Add a scope, before its entries."""
        self._link.do(
            lambda c: c.execute(
                "INSERT INTO scopes (endpoint, project_id) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                (scope.endpoint, scope.project_id),
            ),
            writing=True,
        )
        row = self._link.row(
            "SELECT id FROM scopes WHERE endpoint = %s AND project_id = %s", (scope.endpoint, scope.project_id)
        )
        assert row is not None  # noqa: S101 - it is there since a line above
        self._places[scope.number] = row[0]
        with self._writing():
            self._end_copy()
            self._db.execute(
                "INSERT INTO wave_scopes (wave, number, scope) VALUES (%s, %s, %s)",
                (self._number, scope.number, row[0]),
            )

    def add_columns(self, columns: EntryColumns) -> None:
        """Add entries of a scope that has been added."""
        self._entries += len(columns)
        self._in_place[self._places[columns.scope.number]] += len(columns)
        with self._writing():
            copy = self._copied()
            for row in self._rows(columns):
                copy.write_row(row)

    def _copied(self) -> psycopg.Copy:
        """Where entries are written: one COPY, until something else has to be, so that the server sees to what it was
        sent while the next entries are read and checked."""
        if self._copying is None:
            self._copying = ExitStack()
            cursor = self._copying.enter_context(self._db.cursor())
            self._copy = self._copying.enter_context(cursor.copy(_ENTRIES))
            self._copy.set_types(_TYPES)
        return self._copy

    def _end_copy(self) -> None:
        if self._copying is not None:
            ended, self._copying = self._copying, None
            ended.close()

    def add_invalid(self, index: int, line: int, key: str, job_id: str | None, result: bytes) -> None:
        """Add an entry that is not sent because it is not valid, with the line of its *result*."""
        of_entry = (self._number, index, line, key, None, job_id, None, None, None)
        self._gathered.append((of_entry, (self._number, self._invalid, index, Status.INVALID.value, result)))
        self._invalid += 1
        if len(self._gathered) >= _MANY:
            self._flush()

    def finish(self, facts: Mapping[str, Any]) -> None:
        """Add the wave's facts: the plan is whole, and durable once `MutableRecord.planning` is left."""
        self._flush()
        entries = self._entries + self._invalid
        with self._writing(), self._db.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO facts VALUES (%s, %s, %s)",
                [
                    (self._number, name, orjson.dumps(value).decode())
                    for name, value in {**facts, "entries": entries}.items()
                ],
            )
            cursor.execute(  # lines of invalid entries are from when nobody knew how many there would be
                "UPDATE results SET line = convert_to(replace(convert_from(line, 'UTF8'), %s, %s), 'UTF8') "
                "WHERE wave = %s",
                ('"wave_entries":null}', f'"wave_entries":{entries}}}', self._number),
            )
            counts = orjson.dumps({Status.INVALID.value: self._invalid} if self._invalid else {}).decode()
            cursor.execute(
                "UPDATE waves SET planned = true, entries = %s, next_seq = %s, counts = %s, "  # noqa: S608 - ours
                f"planned_at = clock_timestamp(), cluster = {CLUSTER} WHERE number = %s",
                (entries, self._invalid, counts, self._number),
            )
            cursor.executemany(
                "UPDATE wave_scopes SET entries = %s WHERE wave = %s AND scope = %s",
                [(count, self._number, place) for place, count in self._in_place.items()],
            )
            cursor.execute("SELECT invite(%s)", (list(self._places.values()),))  # heard once this is committed
        self.is_whole = True

    def _flush(self) -> None:
        gathered, self._gathered = self._gathered, []
        with self._writing():
            if gathered:
                copy = self._copied()
                for of_entry, _ in gathered:
                    copy.write_row(of_entry)
            self._end_copy()
            if gathered:
                with self._db.cursor() as cursor, cursor.copy(_RESULTS) as copy:
                    copy.set_types(("int4", "int4", "int4", "text", "bytea"))
                    for _, of_result in gathered:
                        copy.write_row(of_result)

    def let_go(self) -> None:
        """Leave a COPY that is under way, once the connection is closed."""
        with suppress(psycopg.Error):
            self._end_copy()

    def _rows(self, columns: EntryColumns) -> Iterator[tuple[Any, ...]]:
        number, place = repeat(self._number), repeat(self._places[columns.scope.number])
        labels = (orjson.dumps(one) if one else None for one in columns.labels)
        return zip(  # to the end of the columns, which are of one length
            number, columns.indexes, columns.lines, columns.keys, place, columns.job_ids, columns.languages, labels,
            columns.bodies, strict=False,
        )  # fmt: skip

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise self._link.failed(error, writing=True) from error


@contextmanager
def planning(link: DatabaseLink, number: int, name: str) -> Iterator[PostgresPlanWriter]:
    """The plan of the wave *number*, in one transaction. Raises `JournalFailed`, `WaveRefused` where another process
    plans it at this moment."""
    own = DatabaseLink(link.address, _PATIENT, program="batcher plan")
    try:
        connection = own.connection
        try:
            connection.execute("SET statement_timeout = 0")
            connection.execute("SET idle_in_transaction_session_timeout = 0")  # a manifest may be read slowly
            connection.execute("BEGIN")
            row = connection.execute("SELECT planned FROM waves WHERE number = %s FOR UPDATE NOWAIT", (number,))
            if row.fetchone() != (False,):
                raise WaveRefused(f"{name} has been planned by another process")
        except psycopg.errors.LockNotAvailable:
            raise WaveRefused(f"{name} is being planned by another process at this moment") from None
        except psycopg.Error as error:
            raise link.failed(error, writing=True) from error
        plan = PostgresPlanWriter(connection, link, number)
        try:
            yield plan
            if plan.is_whole:
                own.do(lambda c: c.execute("COMMIT"), writing=True)
        finally:
            own.close()
            plan.let_go()
    finally:
        own.close()  # by the socket: the server rolls back what was not committed
