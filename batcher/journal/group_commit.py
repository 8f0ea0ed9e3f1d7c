"""Group commit: a thread that writes for all who record, one sync for as many as wait for it.

Invariants:
- The thread begins with the first journal that is taken, and writes for all waves of its database until `aclose`.
- All that is handed over while one sync is on its way shares the next one: nothing waits for more than two.
- What was handed over is written, though whoever waits for it is cancelled.
- A question is answered after all that was handed over before it.
- Nobody waits for ever: whatever goes wrong is handed on to those who asked, and the thread lives on.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

from batcher.journal.errors import JournalFailed
from batcher.journal.ops import Op, Receipt

W = TypeVar("W")

Handed = tuple[W, Sequence[Op], "asyncio.Future[Receipt | None]"]
"""The wave of one who records, the ops, and what tells that these are durable."""

Outcome = Receipt | Exception | None
"""What became of them: they are durable, with a receipt where they settle an entry; or why they are not."""


class GroupCommit(Generic[W]):
    """The thread of the database *name*. It belongs to the event loop that runs when it is made."""

    def __init__(self, commit: Callable[[list[Handed[W]]], list[Outcome]], name: str) -> None:
        """*commit* writes all that was handed over, and tells what became of each."""
        self._commit = commit
        self._name = name
        self._gathered: list[Handed[W]] = []  # in this turn of the event loop
        self._pending: list[Handed[W]] = []
        self._questions: list[tuple[Callable[[], object], Future[object]]] = []
        self._wake = threading.Condition()
        self._closing = False
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self._thread.start()

    def write(self, wave: W, ops: Sequence[Op]) -> "asyncio.Future[Receipt | None]":
        """Have *ops* written; the future is done when they are durable. Raises `JournalFailed` after `aclose`."""
        if self._closing:
            raise JournalFailed(f"{self._name} is closed")
        if not self._gathered:
            self._loop.call_soon(self._hand_over)
        done: asyncio.Future[Receipt | None] = self._loop.create_future()
        self._gathered.append((wave, ops, done))
        return done

    def ask(self, question: Callable[[], object]) -> "asyncio.Future[object]":
        """Have *question* answered in the thread. Raises `JournalFailed` after `aclose`."""
        answer: Future[object] = Future()
        self._hand_over()
        with self._wake:
            if self._closing:
                raise JournalFailed(f"{self._name} is closed")
            self._questions.append((question, answer))
            self._wake.notify()
        return asyncio.wrap_future(answer)

    async def aclose(self) -> None:
        """Have what is pending written, and end the thread."""
        self._hand_over()
        with self._wake:
            self._closing = True
            self._wake.notify()
        await asyncio.to_thread(self._thread.join)
        await asyncio.sleep(0)  # let the last futures' callbacks run

    def _hand_over(self) -> None:
        """What was gathered in one turn goes to the thread together: one lock, and one sync for all of it."""
        if self._gathered:
            with self._wake:
                self._pending += self._gathered
                self._gathered = []
                self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not (self._pending or self._questions or self._closing):
                    self._wake.wait()
                batch, self._pending = self._pending, []
                questions, self._questions = self._questions, []
                if self._closing and not batch and not questions:
                    return
            if batch:
                self._loop.call_soon_threadsafe(resolve, batch, self._written(batch))
            for question, answer in questions:
                if answer.set_running_or_notify_cancel():
                    _answer(question, answer)

    def _written(self, batch: list[Handed[W]]) -> list[Outcome]:
        try:
            return self._commit(batch)
        except Exception as error:  # noqa: BLE001 - were it not handed on, all would wait for a dead thread
            return [error] * len(batch)


def _answer(question: Callable[[], object], answer: "Future[object]") -> None:
    try:
        answer.set_result(question())
    except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to whoever asked
        answer.set_exception(error)


def resolve(batch: Sequence[Handed[W]], outcomes: Sequence[Outcome]) -> None:
    """Tell each of *batch* what became of its ops."""
    for (_, _, done), outcome in zip(batch, outcomes, strict=True):
        if done.done():
            continue
        if isinstance(outcome, Exception):
            done.set_exception(outcome)
            done.exception()  # its waiter may be gone; the failure reaches others
        else:
            done.set_result(outcome)


def each_alone(commit: Callable[[list[Handed[W]]], list[Outcome]], batch: list[Handed[W]]) -> list[Outcome]:
    """What becomes of *batch* by *commit*. Where one has what cannot be written at all, the others do not fail with it.

    A `JournalFailed` is of the disk or the database, and all of them have it.
    """
    try:
        return commit(batch)
    except JournalFailed as error:
        return [error] * len(batch)
    except Exception as error:  # noqa: BLE001 - a defect: it belongs to whoever has it
        if len(batch) == 1:
            return [error]
        return [outcome for one in batch for outcome in each_alone(commit, [one])]
