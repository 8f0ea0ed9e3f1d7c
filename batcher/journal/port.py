"""The journal as the engine sees it, and the one that keeps it: a thread that commits in groups.

The engine awaits `record`; when it returns, the ops are durable. All that is handed over while one sync is on
its way shares the next one, so no op waits for more than two and hundreds of entries share each.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Protocol, TypeVar

from batcher.errors import BatcherError
from batcher.journal.ops import Happened, Op
from batcher.journal.sqlite.store import Store
from batcher.life.events import Intended
from batcher.logger import get_logger

log = get_logger("batcher.wave")
T = TypeVar("T")


class JournalFailed(BatcherError):
    """The journal cannot be written or read (disk full, read-only, gone); the text says which and where."""


class Journal(Protocol):
    """The durable record of a wave. A shared database can take its place: nothing else knows that it is a file."""

    async def record(self, *ops: Op) -> None:
        """Make *ops* durable, in order, all or none. Raises `JournalFailed`.

        Once called they are written even if the caller is cancelled while it waits.
        """
        ...

    async def read(self, query: Callable[[Store], T]) -> T:
        """The answer of *query*, which sees everything that was recorded before. Raises `JournalFailed`."""
        ...


class ThreadedJournal:
    """A `Journal` over a `Store`, whose every statement runs in one thread of its own."""

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name
        self._gathered: list[tuple[Sequence[Op], asyncio.Future[None]]] = []  # in this turn of the event loop
        self._pending: list[tuple[Sequence[Op], asyncio.Future[None]]] = []
        self._queries: list[tuple[Callable[[Store], object], Future[object]]] = []
        self._wake = threading.Condition()
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    async def record(self, *ops: Op) -> None:
        """See `Journal.record`."""
        if self._closing:
            raise JournalFailed(f"{self._name} is closed")
        if not self._gathered:
            self._loop.call_soon(self._hand_over)
        done = self._loop.create_future()
        self._gathered.append((ops, done))
        await done  # cancelling it takes nothing back

    def _hand_over(self) -> None:
        """What was gathered in one turn goes to the thread together: one lock, and one sync for all of it."""
        if self._gathered:
            with self._wake:
                self._pending += self._gathered
                self._gathered = []
                self._wake.notify()

    async def read(self, query: Callable[[Store], T]) -> T:
        """See `Journal.read`."""
        answer: Future[T] = Future()
        self._hand_over()
        with self._wake:
            if self._closing:
                raise JournalFailed(f"{self._name} is closed")
            self._queries.append((query, answer))  # type: ignore[arg-type] # each query meets its own future
            self._wake.notify()
        return await asyncio.wrap_future(answer)

    async def aclose(self) -> None:
        """Write what is pending, end the thread and close the store."""
        self._hand_over()
        with self._wake:
            self._closing = True
            self._wake.notify()
        await asyncio.to_thread(self._thread.join)
        await asyncio.sleep(0)  # let the last futures' callbacks run
        try:
            self._rescue()
        finally:
            self._store.close()

    def _rescue(self) -> None:
        """If the file was taken away, leave its content where it can be found, and say where."""
        if self._store.is_there():
            return
        try:
            path = self._store.rescue()
        except (sqlite3.Error, OSError) as error:
            log.error("journal.lost", journal=self._name, reason=str(error))
        else:
            log.error("journal.deleted", journal=self._name, kept=str(path))

    def _run(self) -> None:
        while True:
            with self._wake:
                while not (self._pending or self._queries or self._closing):
                    self._wake.wait()
                batch, self._pending = self._pending, []
                queries, self._queries = self._queries, []
                if self._closing and not batch and not queries:
                    return
            if batch:
                self._commit_batch(batch)
            for query, answer in queries:
                if answer.set_running_or_notify_cancel():
                    self._answer(query, answer)

    def _commit_batch(self, batch: list[tuple[Sequence[Op], asyncio.Future[None]]]) -> None:
        if self._store.is_there():
            failure = self._commit([op for ops, _ in batch for op in ops])
            self._resolve([done for _, done in batch], failure)
            return
        # Somebody took the file away. What the cloud told still goes in, and is rescued at the end; but nothing new
        # is sent on the word of a file that nobody would find.
        gone = JournalFailed(f"the journal {self._name} or its -wal was deleted or moved while the wave was running")
        self._resolve([done for ops, done in batch if _intends(ops)], gone)
        told = [(ops, done) for ops, done in batch if not _intends(ops)]
        self._resolve([done for _, done in told], self._commit([op for ops, _ in told for op in ops]))

    def _resolve(self, futures: list[asyncio.Future[None]], failure: Exception | None) -> None:
        self._loop.call_soon_threadsafe(_resolve, futures, failure)

    def _commit(self, ops: list[Op]) -> Exception | None:
        try:
            self._store.commit(ops)
        except (sqlite3.Error, OSError) as error:
            return JournalFailed(f"cannot write the journal {self._name}: {error}")
        except Exception as error:  # noqa: BLE001 - a defect; were it not handed on, all would wait for a dead thread
            return error
        return None

    def _answer(self, query: Callable[[Store], object], answer: "Future[object]") -> None:
        try:
            answer.set_result(query(self._store))
        except (sqlite3.Error, OSError) as error:
            answer.set_exception(JournalFailed(f"cannot read the journal {self._name}: {error}"))
        except Exception as error:  # noqa: BLE001 - a defect in a query belongs to whoever asked
            answer.set_exception(error)


def _intends(ops: Sequence[Op]) -> bool:
    return any(isinstance(op, Happened) and isinstance(op.event, Intended) for op in ops)


def _resolve(futures: list["asyncio.Future[None]"], failure: Exception | None) -> None:
    for future in futures:
        if future.done():
            continue
        if failure is None:
            future.set_result(None)
        else:
            future.set_exception(failure)
            future.exception()  # its waiter may be gone; the failure reaches others
