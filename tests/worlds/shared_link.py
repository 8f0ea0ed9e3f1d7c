"""A machine's way to the database that it shares: one statement after the other, each tried until it is answered.

As in the product, all that is handed over while a statement is on its way shares the next one, and questions come in
between. What goes wrong is the network's: a statement never arrives, arrives long after it was given up and done again,
or its answer is lost; or the server fails in the middle of one. Then it is repeated, with the same number.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextvars import Context
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

from batcher.journal.errors import IntentRefused, JournalFailed, LaneLost
from batcher.journal.ops import Op, Receipt
from batcher.journal.port import Record
from batcher.journal.postgres.leases import _DRIFT, _MARGIN_S, Lease
from batcher.journal.postgres.orders import Orders
from batcher.journal.postgres.verdicts import KeptVerdict
from batcher.journal.postgres.work import WaveWork
from batcher.journal.postgres.writing import Binding
from batcher.life.entry import Scope
from tests.worlds.process import Process
from tests.worlds.shared_database import Handed, Outcome, ServerDown, SharedDatabase
from tests.worlds.shared_orders import Named

P = ParamSpec("P")
T = TypeVar("T")

_ANSWER_S = 4.0  # of patience with one statement

_Group = tuple[Binding, Sequence[Op], Handed, "asyncio.Future[Receipt | None]"]


class WayDown(Exception):
    """The statement was not answered."""


class SharedLink:
    """The way of the machine *name*, on which so many of its statements fail."""

    def __init__(
        self, database: SharedDatabase, process: Process, rng: random.Random, name: str, fails: float, grace_s: float
    ) -> None:
        self.database = database
        self.process = process
        self.name = name
        self.fails = fails
        self.away_until = float("-inf")
        self.grace_s = grace_s
        self.versions: dict[Binding, int] = {}  # of the orders, by the last commit
        self._rng = rng
        self._loop = asyncio.get_running_loop()
        self._last = 0
        self._pending: list[_Group] = []
        self._questions: list[tuple[Callable[[], Any], asyncio.Future[Any]]] = []
        self.serving: asyncio.Task[None] | None = None

    async def commit(self, binding: Binding, ops: tuple[Op, ...]) -> Receipt | None:
        """Record *ops*. Raises `JournalFailed`, `LaneLost`, `IntentRefused`; cancelling it takes nothing back."""
        self._see_that_it_lives()
        handed = Handed(binding.name, ops)
        self.database.handed.append(handed)
        done: asyncio.Future[Receipt | None] = self._loop.create_future()
        self._pending.append((binding, ops, handed, done))
        self._serve()
        return await done

    async def do(self, statement: Callable[[], T]) -> T:
        """What *statement* gives, after all that was handed over before. Raises `JournalFailed`."""
        self._see_that_it_lives()
        answer: asyncio.Future[T] = self._loop.create_future()
        self._questions.append((statement, answer))
        self._serve()
        return await answer

    def _see_that_it_lives(self) -> None:
        if self.process.dead:  # it is being cleared away at the world's end
            raise JournalFailed("the process is dead")

    def _serve(self) -> None:
        if self.serving is None or self.serving.done():
            self.serving = asyncio.ensure_future(self._in_turn())

    async def _in_turn(self) -> None:
        while self._pending or self._questions:
            batch, self._pending = self._pending, []
            questions, self._questions = self._questions, []
            if batch:
                self._resolve(batch, await self._committed(batch))
            for statement, answer in questions:
                if answer.done():
                    continue
                try:
                    told = await self._done(statement)
                except JournalFailed as error:
                    _fail(answer, error)
                else:
                    if not answer.done():
                        answer.set_result(told)

    async def _committed(self, batch: list[_Group]) -> Sequence[Outcome | JournalFailed]:
        self._last += 1
        number, groups = self._last, [(binding, ops) for binding, ops, _, _ in batch]
        database, rng = self.database, self._rng
        is_to_break = len(batch) > 1 and rng.random() < self.fails

        def commit() -> tuple[list[Outcome], dict[Binding, int]]:
            nonlocal is_to_break
            breaks, is_to_break = is_to_break, False
            outcomes = database.commit(self.name, number, groups, breaks=breaks)
            return outcomes, {binding: database.version_for(binding) for binding, _ in groups}

        try:
            outcomes, versions = await self._done(commit)
        except JournalFailed as error:
            return [error] * len(batch)
        self.versions |= versions
        return outcomes

    def _resolve(self, batch: list[_Group], outcomes: Sequence[Outcome | JournalFailed]) -> None:
        """Tell each of *batch* what became of it."""
        for (_, _, handed, done), outcome in zip(batch, outcomes, strict=True):
            match outcome:
                case JournalFailed():
                    handed.told = "failed"
                    _fail(done, outcome)
                    continue
                case LaneLost() | IntentRefused():
                    handed.told = "refused"
                    _fail(done, outcome)
                    continue
            handed.told = "durable"
            if not done.done():
                done.set_result(outcome)

    async def _done(self, statement: Callable[[], T]) -> T:
        began, pause_s = self.process.monotonic(), 0.05
        while True:
            self.process.step("hands a statement over")
            try:
                answer = await self._tried(statement)
            except (WayDown, ServerDown):
                if self.process.monotonic() - began >= self.grace_s:
                    raise JournalFailed("cannot write the journal: no answer", reason="no answer") from None
            else:
                self.process.step("is told that it is durable")
                return answer
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, 1.0)

    async def _tried(self, statement: Callable[[], T]) -> T:
        """One try of it. Raises `WayDown` where no answer came, whether or not it was, or will be, done."""
        answer: asyncio.Future[T] = self._loop.create_future()
        rng = self._rng
        there_s, back_s = rng.random() * 0.01, rng.random() * 0.01
        is_lost_there = is_lost_back = False
        if rng.random() < self.fails:
            match rng.randrange(4):
                case 0:
                    is_lost_there = True
                case 1:
                    is_lost_back = True
                case 2:  # it is given up, done again, and arrives after that
                    there_s = rng.uniform(0.5, 40.0)
                case _:
                    back_s = rng.uniform(0.5, 8.0)
        if is_lost_there or self._loop.time() < self.away_until or self.process.dead:
            await asyncio.sleep(rng.uniform(0.01, _ANSWER_S))
            raise WayDown

        def arrives() -> None:
            try:
                told = statement()
            except Exception as error:  # noqa: BLE001 - it belongs to whoever asked
                if not is_lost_back:
                    self._loop.call_later(back_s, _unless_done, answer, partial(answer.set_exception, error))
            else:
                if not is_lost_back:
                    self._loop.call_later(back_s, _unless_done, answer, partial(answer.set_result, told))

        Context().run(self._loop.call_later, there_s, arrives)  # it is on its way, whatever becomes of this machine
        if not is_lost_back and there_s + back_s < _ANSWER_S:
            return await answer
        await asyncio.wait({answer}, timeout=_ANSWER_S)
        if not answer.done():
            answer.cancel()
            raise WayDown
        return answer.result()

    # --- as a keeper ----------------------------------------------------------------------------------------

    async def journal_of(self, wave: str) -> "SharedMemoryJournal":
        """See `SharedKeeper`."""
        return SharedMemoryJournal(self, Binding(0, wave))

    async def work_in(self, endpoint: str, project_id: str) -> list[WaveWork]:
        """See `SharedKeeper`."""
        return await self.do(lambda: self.database.work_in((endpoint, project_id)))

    async def orders(self, wave: int, place: int | None) -> Orders:
        """See `SharedKeeper`."""
        return await self.do(lambda: self.database.orders_for(wave, place))

    async def record_verdicts(self, wave: int, verdicts: Sequence[KeptVerdict], place: int, epoch: int) -> None:
        """See `SharedKeeper`."""
        self.process.step("hands verdicts over")
        if not await self.do(lambda: self.database.record_verdicts(wave, verdicts, place, epoch)):
            raise LaneLost(f"wave {wave}: another process has taken its scope over")

    async def undecided(self, wave: int, place: int, after: int, limit: int) -> list[tuple[int, bytes]]:
        """See `SharedKeeper`."""
        return await self.do(lambda: self.database.undecided(wave, place, after, limit))


def _fail(answer: "asyncio.Future[Any]", error: Exception) -> None:
    if not answer.done():
        answer.set_exception(error)
        answer.exception()  # whoever waited for it may be gone


def _unless_done(answer: "asyncio.Future[T]", deliver: Callable[[], None]) -> None:
    """The answer arrives, where somebody still waits for it."""
    if not answer.done():
        deliver()


class SharedMemoryJournal:
    """A wave's record as one machine has it: a `SharedJournal`."""

    def __init__(self, link: SharedLink, binding: Binding) -> None:
        self._link = link
        self._binding = binding

    def of(self, scope: Scope, epoch: int) -> "SharedMemoryJournal":
        """See `SharedJournal`."""
        row = self._link.database.scopes[scope.endpoint, scope.project_id]
        return SharedMemoryJournal(self._link, Binding(0, self._binding.name, row.id, epoch))

    @property
    def place(self) -> int | None:
        """See `SharedJournal`."""
        return self._binding.scope

    @property
    def orders_version(self) -> int:
        """See `SharedJournal`."""
        return self._link.versions.get(self._binding, 0)

    async def record(self, *ops: Op) -> Receipt | None:
        """See `SharedJournal`."""
        return await self._link.commit(self._binding, ops)

    async def ask(self, question: Callable[Concatenate[Record, P], T], *args: P.args, **more: P.kwargs) -> T:
        """See `Journal`."""
        record = self._link.database.records[self._binding.name]
        own: Callable[..., T] = getattr(record, question.__name__)
        return await self._link.do(lambda: own(*args, **more))


class SharedMemoryLeases:
    """The leases of one machine: `ScopeLeases`, with the ends that the real ones have."""

    def __init__(self, link: SharedLink, lasts_s: float) -> None:
        self._link = link
        self.lasts_s = lasts_s

    async def take(self, endpoint: str, project_id: str) -> Lease | None:
        """See `ScopeLeases`."""
        asked_at, named = self._link.process.boot(), (endpoint, project_id)
        taken = await self._link.do(lambda: self._link.database.take(named, self._link.name, self.lasts_s))
        if taken is None:
            return None
        return self._lease(named, taken[0], asked_at, taken[1])

    async def renew(self, lease: Lease) -> Lease:
        """See `ScopeLeases`."""
        asked_at, named = self._link.process.boot(), (lease.endpoint, lease.project_id)
        database, name = self._link.database, self._link.name
        if not await self._link.do(lambda: database.renew(named, lease.epoch, name, self.lasts_s)):
            raise LaneLost(f"project {lease.project_id}: another process has taken it over")
        return self._lease(named, lease.epoch, asked_at, lease.free_for_s)

    async def give_back(self, lease: Lease) -> None:
        """See `ScopeLeases`."""
        named = (lease.endpoint, lease.project_id)
        await self._link.do(lambda: self._link.database.give_back(named, lease.epoch))

    def _lease(self, named: Named, epoch: int, asked_at: float, free_for_s: float | None) -> Lease:
        return Lease(
            endpoint=named[0],
            project_id=named[1],
            epoch=epoch,
            ends_at=asked_at + self.lasts_s * (1 - _DRIFT) - _MARGIN_S,
            free_for_s=free_for_s,
        )
