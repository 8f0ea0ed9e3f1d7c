"""A keeper that keeps everything in memory, and nothing after it: for tests and simulated worlds.

It answers as the others do, which `tests/journal/test_contract.py` sees to, without SQL, files or threads: what is
recorded in one turn of the event loop is committed together at its end.
"""

import asyncio
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from batcher.journal.errors import JournalAbsent, JournalFailed, NotAJournal, WaveRefused
from batcher.journal.group_commit import Handed, Outcome, each_alone, resolve
from batcher.journal.memory_record import MemoryRecord
from batcher.journal.ops import Op, Receipt
from batcher.journal.port import Record

P = ParamSpec("P")
T = TypeVar("T")


class MemoryJournal:
    """The record of one wave that runs: a `Journal`."""

    def __init__(self, record: MemoryRecord) -> None:
        self._record = record
        self._loop = asyncio.get_running_loop()
        self._gathered: list[Handed[MemoryRecord]] = []  # in this turn of the event loop
        self._closed = False

    async def record(self, *ops: Op) -> Receipt | None:
        """Make *ops* durable, in order, all or none. Raises `JournalFailed`."""
        self._refuse_closed()
        if not self._gathered:
            self._loop.call_soon(self.flush)
        done: asyncio.Future[Receipt | None] = self._loop.create_future()
        self._gathered.append((self._record, ops, done))
        return await done  # cancelling it takes nothing back

    async def ask(self, question: Callable[Concatenate[Record, P], T], *args: P.args, **more: P.kwargs) -> T:
        """The answer to *question*, a method of `Record`: `await journal.ask(Record.events, 7)`."""
        self._refuse_closed()
        self.flush()
        answer: T = getattr(self._record, question.__name__)(*args, **more)
        return answer

    def flush(self) -> None:
        """Commit what was gathered."""
        gathered, self._gathered = self._gathered, []
        resolve(gathered, each_alone(self._commit, gathered))

    def _commit(self, batch: list[Handed[MemoryRecord]]) -> list[Outcome]:
        return [*self._record.commit(*(ops for _, ops, _ in batch))]

    def close(self) -> None:
        """Commit what was gathered, and take no more."""
        self.flush()
        self._closed = True

    def _refuse_closed(self) -> None:
        if self._closed:
            raise JournalFailed(f"{self._record.name} is closed")


class MemoryKeeper:
    """Keeps one wave, or with *many* all those that are made in it; see `Keeper`."""

    def __init__(self, name: str = "memory", *, many: bool = False) -> None:
        self._name = name
        self._many: dict[str, MemoryRecord] | None = {} if many else None
        self._one = MemoryRecord(name)
        self._journals: dict[str | None, MemoryJournal] = {}

    def waves(self) -> list[str]:
        """The ids of the waves that are planned, oldest first. Raises `JournalFailed`."""
        waves = {self._id_of_one: self._one} if self._many is None else self._many
        return [wave for wave, record in waves.items() if record.is_planned()]

    def wave(self, wave: str | None = None) -> MemoryRecord:
        """The record of the *wave* with that id; always the same object."""
        if self._many is None and wave in (None, self._id_of_one):
            return self._one
        if wave is None:
            raise NotAJournal(f"{self._name} has many waves, and none of them is named")
        if self._many is None or wave not in self._many:
            raise JournalAbsent(f"there is no wave {wave} in {self._name}.")
        return self._many[wave]

    def new_wave(self, wave: str) -> MemoryRecord:
        """The record of a wave to be planned, with that id."""
        if self._many is None:
            raise WaveRefused(f"{self._name} is the journal of one wave: a second one cannot be put in it")
        if wave in self._many:
            raise WaveRefused(f"{self._name} has a wave {wave} already")
        self._many[wave] = MemoryRecord(f"{self._name}, wave {wave}", self._many.values())
        return self._many[wave]

    def journal(self, wave: str | None = None) -> MemoryJournal:
        """That wave's record for the running event loop; from now on `aclose` ends it. Raises as `wave` does."""
        if wave not in self._journals:
            self._journals[wave] = MemoryJournal(self.wave(wave))
        return self._journals[wave]

    def close(self) -> None:
        """Let go, where no journal was taken."""

    async def aclose(self) -> None:
        """Write what is pending, and let go."""
        for journal in self._journals.values():
            journal.close()
        self._journals = {}

    @property
    def _id_of_one(self) -> str:
        return str(self._one.facts().get("wave", "0"))
