"""The service's own database: SQLite in a thread of its own. What was changed is on disk when the call returns."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from batcher import exits
from batcher.errors import UserError
from batcher.service.audit import SCHEMA as AUDIT_SCHEMA
from batcher.service.audit import Audit, AuditEntry, page
from batcher.service.kept.errors import AuditFailed, is_no_room, storing
from batcher.service.models import ReadAudit
from batcher.service.notices.outbox import SCHEMA as OUTBOX_SCHEMA

T = TypeVar("T")
FORMAT = 1
APPLICATION_ID = 0x44525353  # "DRSS"

_SCHEMA = f"""
BEGIN IMMEDIATE;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {FORMAT};
CREATE TABLE waves (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, state TEXT NOT NULL, priority INTEGER NOT NULL,
    row BLOB NOT NULL);
CREATE INDEX waves_by_state ON waves (state, number);
CREATE TABLE idempotency (who TEXT, key BLOB, digest TEXT, wave TEXT, PRIMARY KEY (who, key)) WITHOUT ROWID;
COMMIT;
"""


def _exit_code(is_full: bool) -> int:
    """A full disk is no wrong configuration: it may be mended by itself, and whoever watches the service starts it."""
    return exits.STOPPED if is_full else exits.USAGE


class ServiceDatabase:
    """The database at *path*; made where there is none. Raises `UserError` where it is none of ours."""

    def __init__(self, path: Path, audit: Audit) -> None:
        self.path = path
        self.audit = audit
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._prepare()
            audit.open(self._db)
        except AuditFailed as error:
            raise UserError(f"{error}.", exit_code=_exit_code(error.is_full)) from error
        except sqlite3.Error as error:
            text = f"the service's database {path} cannot be used: {error}."
            raise UserError(text, exit_code=_exit_code(is_no_room(error))) from error
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="service-database")

    def _prepare(self) -> None:
        if not self._db.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
            self._db.executescript(_SCHEMA)
        application = self._db.execute("PRAGMA application_id").fetchone()[0]
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if application != APPLICATION_ID:
            raise UserError(f"{self.path} is not a database of batcher's service: name another folder with --data.")
        if version != FORMAT:
            raise UserError(
                f"{self.path} is of format {version}, and this batcher reads format {FORMAT}: serve it with the "
                "version of batcher that made it."
            )
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(AUDIT_SCHEMA + OUTBOX_SCHEMA)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The answer of *work*, which changes nothing. Raises `StoreFailed`."""
        return await self._in_thread(lambda: work(self._db))

    async def change(
        self, work: Callable[[sqlite3.Connection], T], deed: Callable[[T], AuditEntry | None] = lambda _: None
    ) -> T:
        """What *work* answers, once all that it changed is on disk: all of it, or nothing.

        *deed* tells from the answer who did that, for the audit log; None: nobody did, or nothing was done. Raises
        `StoreFailed`, `AuditFailed`. It is done also where the caller is cancelled meanwhile.
        """

        def whole() -> T:
            with self.audit.transaction(self._db, lambda: deed(answer)):
                answer = work(self._db)
            return answer

        return await self._in_thread(whole)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        running = asyncio.get_running_loop().run_in_executor(self._thread, work)
        with storing(f"the service's database {self.path}"):
            return await asyncio.shield(running)

    async def audit_page(self, asked: ReadAudit) -> tuple[list[dict[str, Any]], int | None]:
        """The lines of who did what that are *asked* for, and where the next page begins. Raises `StoreFailed`."""
        return await self.read(lambda db: page(db, **asked.model_dump()))

    async def probe(self) -> None:
        """Ask the database whether it can be read. Raises `StoreFailed`."""
        await self.read(lambda db: db.execute("SELECT 1").fetchone())

    def close(self) -> None:
        """Wait for what is under way, and close it."""
        self._thread.shutdown(wait=True)
        self.audit.close()
        self._db.close()
