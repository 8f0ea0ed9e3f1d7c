"""Hearing invitations to scopes that have work, through procrastinate.

It wakes a worker some milliseconds after a plan is committed; that is all it is for. It was tried how it behaves when
something dies, and so:

- A job only passes the scope's number on, at once. It has no `lock` (a worker that was paused would free that of its
  successor), is never tried again (that may leave it running for ever) and raises nothing.
- Who lives and who does not is never asked of it: its signs of life may end without notice.
- Its worker ends by itself when the database is away. So it is made anew, as long as anybody wants to hear.
- A worker that has no room does not listen: what is fetched is heard by nobody else.
- Its signal handlers are left out: they would end its signs of life, and wait without a bound.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import psycopg
from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import ProcrastinateException

from batcher.clock import Clock
from batcher.journal.postgres.address import Address
from batcher.journal.postgres.inviting import QUEUE, TASK, beside
from batcher.journal.postgres.link import TCP
from batcher.logger import get_logger

log = get_logger("batcher.machines")

_POLLED_EVERY_S = 2.0  # should what wakes us be lost
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 5.0
_ENDS_WITHIN_S = 1.0


class Invitations:
    """The invitations to scopes of the database at *address*, for the process that its sessions show as *program*.

    *heard* is called with the scope's number.
    """

    def __init__(self, address: Address, *, program: str, clock: Clock, heard: Callable[[int], None]) -> None:
        self._address = address
        self._program = program
        self._clock = clock
        self._heard = heard
        self._wanted = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    def want(self, wanted: bool) -> None:
        """Whether to hear any: not while there is no room."""
        if wanted:
            self._wanted.set()
        elif self._wanted.is_set():
            self._wanted.clear()
            if self._worker is not None:
                self._worker.cancel()

    async def listen(self) -> None:
        """Hear invitations until cancelled, whatever becomes of the database."""
        _hush()
        pause_s = _FIRST_PAUSE_S
        while True:
            await self._wanted.wait()
            began = self._clock.monotonic()
            try:
                async with self._app() as app:
                    while self._wanted.is_set():
                        await self._listened(app)
            except (ProcrastinateException, psycopg.Error, OSError, TimeoutError) as error:
                log.debug("invitations.unheard", error=str(error).strip() or type(error).__name__)
                if self._clock.monotonic() - began > 2 * _LONGEST_PAUSE_S:
                    pause_s = _FIRST_PAUSE_S
                await self._clock.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _listened(self, app: App) -> None:
        """Hear them until there is no room, or the worker ends by itself. Raises what it ended by."""
        worker = asyncio.create_task(
            app.run_worker_async(
                queues=[QUEUE],
                name=self._program,
                concurrency=1,
                fetch_job_polling_interval=_POLLED_EVERY_S,
                listen_notify=True,
                update_heartbeat_interval=5.0,
                stalled_worker_timeout=30.0,
                shutdown_graceful_timeout=_ENDS_WITHIN_S,
                install_signal_handlers=False,
                delete_jobs="successful",
            )
        )
        self._worker = worker
        try:
            await asyncio.wait({worker})
        except asyncio.CancelledError:
            worker.cancel()
            await asyncio.wait({worker}, timeout=2 * _ENDS_WITHIN_S)
            raise
        finally:
            self._worker = None
        if not worker.cancelled():
            worker.result()
            if self._wanted.is_set():
                raise ConnectionError("procrastinate's worker ended by itself")

    @asynccontextmanager
    async def _app(self) -> AsyncIterator[App]:
        connector = PsycopgConnector(
            conninfo=self._address.url, min_size=1, max_size=3, timeout=5.0, configure=self._configure,
            kwargs={"prepare_threshold": None, "connect_timeout": 3, "fallback_application_name": self._program, **TCP},
        )  # fmt: skip
        app = App(connector=connector)

        @app.task(name=TASK, queue=QUEUE, pass_context=False)
        async def invited(scope: int, **_: Any) -> None:
            self._heard(scope)

        # Without a task that is due from time to time procrastinate stops looking whether its listener lives.
        @app.periodic(cron="0 0 29 2 *")
        @app.task(name="batcher.leap_day", queue=QUEUE)
        async def leap_day(timestamp: int) -> None:
            """Nothing is to be done."""

        async with app.open_async():
            with suppress(psycopg.Error, ProcrastinateException):
                await connector.execute_query_async(f'SELECT "{self._address.schema}".tidy_invitations()')
            yield app

    async def _configure(self, connection: "psycopg.AsyncConnection[Any]") -> None:
        named = beside(self._address.schema)
        was_autocommit = connection.autocommit
        await connection.set_autocommit(True)
        await connection.execute("SELECT set_config('search_path', %s, false)", (f'"{named}"',))
        await connection.set_autocommit(was_autocommit)


def _hush() -> None:
    """What the engine and its pool log goes to our log, for who asks for it: what is wrong there, we say ourselves."""
    for name in ("procrastinate", "psycopg.pool"):
        logger = logging.getLogger(name)
        if not any(isinstance(handler, _ToDebug) for handler in logger.handlers):
            logger.addHandler(_ToDebug())
            logger.propagate = False


class _ToDebug(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            log.debug("invitations.engine", said=record.getMessage())
