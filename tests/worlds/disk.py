"""The world's disk: what a process wrote, what of it is durable, and what is left of it after a death.

The journal is the keeper in memory, which answers as every keeper does, and the results file the real `ResultsFile`.
What is simulated lies around them: how long a sync takes, whether a commit that was under way at the death came through
(a keeper makes that all or nothing), how much of what was written but never synced a power cut takes away, and disks
without space.
"""

import asyncio
import errno
import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from batcher.journal.errors import JournalFailed
from batcher.journal.files import WaveFiles
from batcher.journal.group_commit import Handed, Outcome, resolve
from batcher.journal.memory_record import MemoryRecord
from batcher.journal.ops import Op, Receipt
from batcher.journal.port import PlanWriter, Record
from batcher.wave.sink import ResultsFile
from tests.worlds.process import Process
from tests.worlds.spec import Faults

P = ParamSpec("P")
T = TypeVar("T")


class Disk:
    """Outlives processes: the record of the wave, and the path of the results file."""

    def __init__(self, results: Path, database: list[MemoryRecord] | None = None) -> None:
        """*database* are the records of all waves that share one, to which this one's is added."""
        self.record = MemoryRecord(results.name, beside=database)
        if database is not None:
            database.append(self.record)
        self.results = results
        self.full_until = float("-inf")  # true time
        self._copy: object | None = None
        self.is_planning = False
        self._results_copy: bytes | None = None

    def copy(self) -> None:
        """Somebody copies the journal and the results file. Not in the middle of a transaction, as SQLite sees to."""
        if self.is_planning:
            return
        self._copy = self.record.copy()
        self._results_copy = self.results.read_bytes() if self.results.exists() else None

    def restore(self, what: str) -> bool:
        """Put the copy of the journal back, and that of the results ("both"), or without ("journal", "gone")."""
        if self._copy is None:
            return False
        self.record.restore(self._copy)
        if what != "journal":
            self.results.unlink(missing_ok=True)
        if what == "both" and self._results_copy is not None:
            self.results.write_bytes(self._results_copy)
        return True

    def close(self) -> None:
        """Throw it away."""
        for path in (self.results, WaveFiles.of(self.results).verdicts):
            path.unlink(missing_ok=True)


class MortalRecord:
    """A record whose every commit the process that opens its wave with it can die at; it answers as *disk*'s does."""

    def __init__(self, disk: Disk, process: Process) -> None:
        self._disk = disk
        self._process = process

    def __getattr__(self, question: str) -> Any:
        return getattr(self._disk.record, question)

    def commit(self, *groups: Sequence[Op]) -> list[Receipt | None]:
        """See `MutableRecord.commit`."""
        self._process.step_or_die("commit while opening")
        receipts = self._disk.record.commit(*groups)
        self._process.step_or_die("committed while opening")
        return receipts

    @contextmanager
    def planning(self) -> Iterator[PlanWriter]:
        """See `MutableRecord.planning`."""
        self._disk.is_planning = True
        try:
            with self._disk.record.planning() as plan:
                yield MortalPlan(plan, self._process)
        finally:
            self._disk.is_planning = False
        self._process.step_or_die("committed the plan")


class MortalPlan:
    """A plan that may never be finished."""

    def __init__(self, plan: PlanWriter, process: Process) -> None:
        self._plan = plan
        self._process = process

    def __getattr__(self, question: str) -> Any:
        return getattr(self._plan, question)

    def finish(self, facts: Mapping[str, Any]) -> None:
        """See `PlanWriter.finish`."""
        self._process.step_or_die("commit the plan")
        self._plan.finish(facts)


class LoopJournal:
    """A `Journal` without a thread: groups share a sync, as in `GroupCommit`, but in virtual time."""

    def __init__(self, disk: Disk, process: Process, rng: random.Random, sync_s: float, faults: Faults) -> None:
        self._disk = disk
        self._process = process
        self._rng = rng
        self._sync_s = sync_s
        self._full, self._unreadable = faults.disk_full, faults.disk_unreadable
        self._loop = asyncio.get_running_loop()
        self._pending: list[Handed[MemoryRecord]] = []
        self._syncing: list[Handed[MemoryRecord]] = []
        self._idle = asyncio.Event()
        self._idle.set()
        process.at_death.append(self._at_death)

    async def record(self, *ops: Op) -> Receipt | None:
        """See `Journal.record`."""
        if not self._process.step("record"):
            await self._process.never()
        return await asyncio.shield(self.submit(ops))

    def submit(self, ops: Sequence[Op]) -> "asyncio.Future[Receipt | None]":
        """Hand *ops* over; the future is done when they are durable."""
        done: asyncio.Future[Receipt | None] = self._loop.create_future()
        self._pending.append((self._disk.record, ops, done))
        if not self._syncing:
            self._begin()
        return done

    async def ask(self, question: Callable[Concatenate[Record, P], T], *args: P.args, **more: P.kwargs) -> T:
        """See `Journal.ask`."""
        await self._idle.wait()
        if self._process.dead:
            await self._process.never()
        if self._unreadable and self._rng.random() < self._unreadable:
            self._process.say("the journal cannot be read")
            self._process.journal_was_unreadable = True
            raise JournalFailed("cannot read the journal: disk I/O error")
        answer: T = getattr(self._disk.record, question.__name__)(*args, **more)
        return answer

    def _begin(self) -> None:
        self._syncing, self._pending = self._pending, []
        self._idle.clear()
        self._loop.call_later(self._sync_s, self._synced)

    def _synced(self) -> None:
        if not self._process.step("sync"):
            return
        batch, self._syncing = self._syncing, []
        resolve(batch, self._commit([ops for _, ops, _ in batch]))
        self._process.step("synced")
        if self._pending:
            self._begin()
        else:
            self._idle.set()

    def _commit(self, groups: list[Sequence[Op]]) -> list[Outcome]:
        now = self._loop.time()
        if now >= self._disk.full_until and self._rng.random() < self._full:
            self._disk.full_until = now + self._rng.choice((0.0, 2.0, 5.0, 60.0))
            self._process.say(f"the journal's disk is full until {self._disk.full_until:.3f}")
            return [JournalFailed("cannot write the journal: database or disk is full")] * len(groups)
        if now < self._disk.full_until:
            return [JournalFailed("cannot write the journal: database or disk is full")] * len(groups)
        return [*self._disk.record.commit(*groups)]

    def _at_death(self) -> None:
        """The commit under way is on disk, or it is not; what waits behind it is not."""
        if self._syncing and self._rng.random() < 0.5:
            self._process.say("the commit under way came through")
            self._disk.record.commit(*(ops for _, ops, _ in self._syncing))


class WorldFile(ResultsFile):
    """The real results file, on a disk that may fill up, lose what was not synced, and tear what was being written."""

    def __init__(self, path: Path, process: Process, rng: random.Random, full: float) -> None:
        super().__init__(path)
        self._process = process
        self._rng = rng
        self._full_chance = full
        self._full = False
        self._synced = self.size
        process.at_death.append(self._at_death)

    def write(self, lines: bytes) -> None:
        """See `Sink.write`."""
        if not self._process.step("write results"):
            return
        self._full = self._full or self._rng.random() < self._full_chance
        super().write(lines)
        self._process.step("results written")

    def sync(self) -> None:
        """See `Sink.sync`; the machine's own disk is not asked."""
        if self._process.step("sync results"):
            self._synced = self.size

    def _append(self, part: memoryview) -> int:
        if not self._full:
            return super()._append(part)
        fits = self._rng.randrange(len(part))
        if fits and self._rng.random() < 0.5:
            return super()._append(part[:fits])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _at_death(self) -> None:
        size = os.fstat(self._fd).st_size
        if self._process.power and size > self._synced:
            os.ftruncate(self._fd, self._rng.randint(self._synced, size))
