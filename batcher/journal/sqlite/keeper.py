"""The keepers of records in an SQLite file: of one wave, of many, or of one to be looked into.

Many waves share the file, its thread and its syncs, and do not see each other: see `places.py`. Whatever format a file
is of (`schema.py`), it stays of that format, and is gone on with in it.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from batcher.journal.errors import JournalAbsent, JournalFailed, NotAJournal, WaveRefused
from batcher.journal.group_commit import GroupCommit, Handed, Outcome, each_alone
from batcher.journal.held_journal import SignKeeper
from batcher.journal.ops import Happened, Op, Receipt
from batcher.journal.port import PlanWriter, Record
from batcher.journal.sqlite.file import ReadFile, WrittenFile
from batcher.journal.sqlite.places import Places
from batcher.journal.sqlite.plan import planning_alone, planning_beside
from batcher.journal.sqlite.record import SqliteRecord
from batcher.journal.sqlite.writing import WaveWriter
from batcher.life.events import Intended
from batcher.logger import get_logger

log = get_logger("batcher.journal")
P = ParamSpec("P")
T = TypeVar("T")


class WrittenRecord(SqliteRecord):
    """The record of one wave in a file that is open to be written: a `MutableRecord`."""

    def __init__(self, file: WrittenFile, places: Places, wave: str | None) -> None:
        super().__init__(file.database, places, wave)
        self.writer = WaveWriter(places)
        self._file = file

    def planning(self) -> AbstractContextManager[PlanWriter]:
        """Write the wave's plan while it lasts. Where it is left before `PlanWriter.finish`, nothing was planned."""
        planning = planning_alone if self.places.is_alone else planning_beside
        return planning(self._file.database, self.places)

    def commit(self, *groups: Sequence[Op]) -> list[Receipt | None]:
        """Make the ops of all *groups* durable, in order, all or none."""
        return commit(self._file, [(self, ops) for ops in groups])


def commit(file: WrittenFile, groups: Sequence[tuple[WrittenRecord, Sequence[Op]]]) -> list[Receipt | None]:
    """Make all *groups* durable in one transaction; the receipt of each. Raises `JournalFailed`."""
    records = {record for record, _ in groups}
    receipts: list[Receipt | None] = [None] * len(groups)
    try:
        file.cover()
        with file.database.transaction() as db:
            if len(records) == 1:
                return records.pop().writer.write(db, [ops for _, ops in groups])
            for record in records:
                numbers = [number for number, (whose, _) in enumerate(groups) if whose is record]
                written = record.writer.write(db, [groups[number][1] for number in numbers])
                for number, receipt in zip(numbers, written, strict=True):
                    receipts[number] = receipt
    except BaseException:
        for record, _ in groups:
            record.writer.forget()
        raise
    return receipts


class SqliteJournal:
    """The record of one wave that runs: a `Journal`, over the thread of its file."""

    def __init__(self, record: WrittenRecord, group: GroupCommit[WrittenRecord]) -> None:
        self._record = record
        self._group = group

    def record(self, *ops: Op) -> Awaitable[Receipt | None]:
        """Make *ops* durable, in order, all or none. Raises `JournalFailed`."""
        return self._group.write(self._record, ops)  # cancelling it takes nothing back

    async def ask(self, question: Callable[Concatenate[Record, P], T], *args: P.args, **more: P.kwargs) -> T:
        """The answer to *question*, a method of `Record`: `await journal.ask(Record.events, 7)`."""
        own: Callable[..., T] = getattr(self._record, question.__name__)
        answer: T = await self._group.ask(lambda: own(*args, **more))  # type: ignore[assignment]
        return answer


class SqliteKeeper:
    """Keeps the wave in the file at *path*, or with *many* all those that are made in it; see `Keeper`."""

    def __init__(self, path: Path, *, many: bool = False, synced: bool = True) -> None:
        """Open or create it. Without *synced*, commits are not waited for until they are on disk: for a rehearsal,
        which no power cut can cost anything. Raises `NotAJournal`, `WaveRefused`, `JournalFailed`."""
        self.file = WrittenFile.open(path, many=many, synced=synced)
        self._records: dict[str | None, WrittenRecord] = {}
        if not many:
            self._records[None] = WrittenRecord(self.file, Places(), None)
        self._group: GroupCommit[WrittenRecord] | None = None

    def waves(self) -> list[str]:
        """The ids of the waves that are planned, oldest first. Raises `JournalFailed`."""
        return waves_in(self.file)

    def wave(self, wave: str | None = None) -> WrittenRecord:
        """The record of the *wave* with that id; always the same object."""
        if wave not in self._records:
            self._records[wave] = WrittenRecord(self.file, places_of(self.file, wave), wave)
        return self._records[wave]

    def new_wave(self, wave: str) -> WrittenRecord:
        """The record of a wave to be planned, with that id."""
        if None in self._records:
            raise WaveRefused(f"{self.file.path} is the journal of one wave: a second one cannot be put in it")
        with self.file.database.transaction() as db:
            if db.execute("SELECT 1 FROM waves WHERE id = ?", (wave,)).fetchone():
                raise WaveRefused(f"{self.file.path} has a wave {wave} already")
            db.execute("INSERT INTO waves (id) VALUES (?)", (wave,))
        return self.wave(wave)

    def journal(self, wave: str | None = None) -> SqliteJournal:
        """That wave's record for the running event loop; from now on `aclose` ends it. Raises as `wave` does."""
        if self._group is None:
            self._group = GroupCommit(self._commit, self.file.database.name)
        return SqliteJournal(self.wave(wave), self._group)

    def identity(self) -> tuple[str | None, int]:
        """The name of the wave, None where it was begun by a version without names, and the journal's generation."""
        return self.file.identity()

    def keep_sign(self, keeper: SignKeeper) -> None:
        """From now on *keeper* has the journal's sign of life: see `batcher.journal.sign_of_life`.

        Raises `JournalFailed`.
        """
        self.file.keep_sign(keeper)

    def close(self) -> None:
        """Let go, where no journal was taken."""
        self.file.close()

    async def aclose(self) -> None:
        """Write what is pending, and let go."""
        if self._group is not None:
            await self._group.aclose()
        try:
            self._rescue()
        finally:
            self.file.close()

    def _commit(self, batch: list[Handed[WrittenRecord]]) -> list[Outcome]:
        """Write what was handed over to the thread; what became of each."""
        if self.file.is_there():
            return each_alone(self._committed, batch)
        # Somebody took the file away. What the cloud told still goes in, and is rescued at the end; but nothing new
        # is sent on the word of a file that nobody would find.
        why = f"the journal {self.file.path} or its -wal was deleted or moved while the wave was running"
        told = [number for number, (_, ops, _) in enumerate(batch) if not _intends(ops)]
        outcomes: list[Outcome] = [JournalFailed(why)] * len(batch)
        for number, outcome in zip(told, each_alone(self._committed, [batch[n] for n in told]), strict=True):
            outcomes[number] = outcome
        return outcomes

    def _committed(self, batch: list[Handed[WrittenRecord]]) -> list[Outcome]:
        return [*commit(self.file, [(record, ops) for record, ops, _ in batch])]

    def _rescue(self) -> None:
        """If the file was taken away, leave its content where it can be found, and say where."""
        if self.file.is_there():
            return
        name = str(self.file.path)
        try:
            path = self.file.rescue()
        except (JournalFailed, OSError) as error:
            reason = error.reason if isinstance(error, JournalFailed) else str(error)
            log.error("journal.lost", journal=name, reason=reason)
        else:
            log.error("journal.deleted", journal=name, kept=str(path))


class SqliteReader:
    """The file at *path*, to be looked into, also while its waves run; nothing in its folder is changed."""

    def __init__(self, path: Path) -> None:
        """Raises OSError, `NotAJournal`, `JournalFailed`."""
        self.file = ReadFile(path)

    def waves(self) -> list[str]:
        """The ids of the waves that are planned, oldest first. Raises `JournalFailed`."""
        return waves_in(self.file)

    def wave(self, wave: str | None = None) -> SqliteRecord:
        """The record of the *wave* with that id, or of the one wave that the file is of. For the errors see
        `Keeper.wave`."""
        return SqliteRecord(self.file.database, places_of(self.file, wave), wave)

    @property
    def was_changed(self) -> bool:
        """Whether the file was written since it was opened, so that what was read may be void."""
        return self.file.was_changed

    def identity(self) -> tuple[str | None, int]:
        """The name of the wave, None where it was begun by a version without names, and the journal's generation."""
        return self.file.identity()

    def close(self) -> None:
        """Let go of it."""
        self.file.close()


def waves_in(file: WrittenFile | ReadFile) -> list[str]:
    """The ids of the waves that are planned in *file*. Raises `JournalFailed`."""
    if not file.has_many:
        name, _ = file.identity()
        return [name or "0"] if SqliteRecord(file.database).is_planned() else []
    rows = file.database.rows("SELECT number, id FROM waves ORDER BY number")
    return [wave for number, wave in rows if SqliteRecord(file.database, Places(number)).is_planned()]


def places_of(file: WrittenFile | ReadFile, wave: str | None) -> Places:
    """Where *file* has the *wave* with that id; None: the one wave that it is of. For the errors see `Keeper.wave`."""
    if wave is None:
        if file.has_many:
            raise NotAJournal(f"{file.path} is a database of many waves, and none of them is named")
        return Places()
    if not file.has_many:
        if wave in waves_in(file):
            return Places()
        raise JournalAbsent(f"there is no wave {wave} in {file.path}.")
    row = file.database.row("SELECT number FROM waves WHERE id = ?", (wave,))
    if row is None:
        raise JournalAbsent(f"there is no wave {wave} in {file.path}.")
    return Places(row[0])


def _intends(ops: Sequence[Op]) -> bool:
    return any(isinstance(op, Happened) and isinstance(op.event, Intended) for op in ops)
