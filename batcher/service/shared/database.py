"""The database that services share, for one of them: a thread with a connection, and no patience where it is away.

Whoever asks a service waits for the answer. So a database that does not answer is told of within seconds, and for a
moment nobody else tries: requests would only queue up behind each other.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from batcher.clock import Clock
from batcher.errors import UserError
from batcher.journal.errors import JournalFailed, NotAJournal
from batcher.journal.postgres.address import Address
from batcher.journal.postgres.link import Connection, DatabaseLink, Patience
from batcher.journal.postgres.migrations import require_current
from batcher.logger import get_logger
from batcher.service.kept.errors import StoreFailed

log = get_logger("batcher.service")
T = TypeVar("T")

HASTY = Patience(connecting_s=3, answer_s=4.0, grace_s=2.0)
_REST_S = 1.0  # after a failure, in which nobody tries
_TABLES = ("service_waves", "service_keys", "service_manifests", "service_audit", "service_outbox", "service_targets")
_DISK_FULL = "53100"


class SharedServiceDatabase:
    """The database at *address*. Raises `UserError` where it is not prepared, or the role has too few rights;
    `JournalFailed` where it is away."""

    def __init__(self, address: Address, clock: Clock, *, name: str) -> None:
        self.address = address
        self._clock = clock
        self._program = f"batcher/{name} (serves)"
        try:
            self.link = DatabaseLink(address, HASTY, program=self._program)
            try:
                require_current(self.link)
                self._require_rights()
            except BaseException:
                self.link.close()
                raise
        except NotAJournal as error:
            raise UserError(f"{error}.") from error
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="service-database")
        self._rests_until = 0.0  # monotonic
        self._failure = ""
        self._away_since: float | None = None  # monotonic

    def _require_rights(self) -> None:
        row = self.link.row(
            "SELECT current_user, array_agg(t) FILTER (WHERE NOT has_table_privilege(t, 'INSERT')) "
            "FROM unnest(%s::text[]) AS t",
            ([*_TABLES, "waves", "wave_orders"],),
        )
        assert row is not None  # noqa: S101 - an aggregate
        if row[1]:
            raise UserError(
                f"the role {row[0]} may not write {', '.join(row[1])} in {self.link.name}: a service takes the rights "
                "of a worker (docs/several-machines.md, Least rights)."
            )

    async def ask(self, question: Callable[[DatabaseLink], T]) -> T:
        """The answer to *question*, each statement of which may be repeated. Raises `StoreFailed`."""
        return await self._in_thread(lambda: question(self.link))

    async def change(self, work: Callable[[Connection], T]) -> T:
        """What *work* answers, once all that it changed is committed: all of it, or nothing.

        It may be done again where the answer to a commit was lost, so *work* looks whether it was done already. Raises
        `StoreFailed`, and what *work* raises. It is done also where the caller is cancelled meanwhile.
        """
        return await self._in_thread(lambda: transacted(self.link, work))

    async def apart(self, work: Callable[[DatabaseLink], T]) -> T:
        """What *work* answers on a connection of its own: for what takes long, so that others need not wait.

        Raises `StoreFailed`, and what *work* raises.
        """

        def whole() -> T:
            link = DatabaseLink(self.address, HASTY, program=self._program)
            try:
                return work(link)
            finally:
                link.close()

        return await self._told(asyncio.to_thread(whole))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._clock.monotonic() < self._rests_until:
            raise StoreFailed(self._failure)
        return await self._told(asyncio.get_running_loop().run_in_executor(self._thread, self._tried, work))

    def _tried(self, work: Callable[[], T]) -> T:
        """In the thread: what *work* answers, unless the one before it has just failed."""
        if self._clock.monotonic() < self._rests_until:
            raise StoreFailed(self._failure)
        try:
            answer = work()
        except (JournalFailed, StoreFailed) as error:
            if _is_away(error):
                self._is_away(error)
            raise
        if self._away_since is not None:
            log.info("database.back", away_s=round(self._clock.monotonic() - self._away_since, 1))
            self._away_since = None
        return answer

    def _is_away(self, error: JournalFailed | StoreFailed) -> None:
        self._failure = str(_failure(error, self.link.name))
        self._rests_until = self._clock.monotonic() + _REST_S
        if self._away_since is None:
            self._away_since = self._clock.monotonic()
            log.warning("database.away", reason=self._failure)

    async def _told(self, working: Awaitable[T]) -> T:
        future = asyncio.ensure_future(working)
        future.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody waits who was cancelled
        try:
            return await asyncio.shield(future)
        except JournalFailed as error:
            raise _failure(error, self.link.name) from error

    def close(self) -> None:
        """Wait for what is under way, and let go."""
        self.link.hurry()
        self._thread.shutdown(wait=True)
        self.link.close()


def transacted(link: DatabaseLink, work: Callable[[Connection], T]) -> T:
    """What *work* answers in a transaction of its own. Raises `StoreFailed`, and what *work* raises."""
    commits = False

    def whole(connection: Connection) -> T:
        nonlocal commits
        with connection.transaction():
            answer = work(connection)
            commits = True
        return answer

    try:
        return link.do(whole, writing=True)
    except JournalFailed as error:
        raise _failure(error, link.name, may_be_done=commits) from error


def _failure(error: JournalFailed | StoreFailed, name: str, *, may_be_done: bool = False) -> StoreFailed:
    if isinstance(error, StoreFailed):
        return error
    is_full = getattr(error.__cause__, "sqlstate", None) == _DISK_FULL
    return StoreFailed(f"the database {name} cannot be used: {error.reason}", is_full=is_full, may_be_done=may_be_done)


def _is_away(error: JournalFailed | StoreFailed) -> bool:
    """Whether nobody needs to try for a moment: the server is not there, rather than against this one statement."""
    cause = error.__cause__
    while isinstance(cause, JournalFailed):
        cause = cause.__cause__
    state = getattr(cause, "sqlstate", None)
    return state is None or state.startswith(("08", "57P"))
