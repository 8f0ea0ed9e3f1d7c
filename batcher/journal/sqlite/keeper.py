"""The keeper of a wave's record in an SQLite file: to be written, or to be looked into."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from batcher.journal.errors import JournalFailed
from batcher.journal.hold import SignKeeper
from batcher.journal.ops import Happened, Op
from batcher.journal.port import Plan, Record
from batcher.journal.sqlite.file import ReadFile, WrittenFile
from batcher.journal.sqlite.group_commit import GroupCommit, Handed
from batcher.journal.sqlite.plan import SqlitePlan
from batcher.journal.sqlite.record import SqliteRecord
from batcher.journal.sqlite.writing import write_ops
from batcher.life.events import Intended
from batcher.logger import get_logger

log = get_logger("batcher.journal")
P = ParamSpec("P")
T = TypeVar("T")


class WrittenRecord(SqliteRecord):
    """See `MutableRecord`."""

    def __init__(self, file: WrittenFile) -> None:
        super().__init__(file.database)
        self._file = file

    @contextmanager
    def planning(self) -> Iterator[Plan]:
        """See `MutableRecord.planning`."""
        database = self._file.database
        with database.writing() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield SqlitePlan(database)
            finally:
                if db.in_transaction:
                    db.rollback()

    def commit(self, *groups: Sequence[Op]) -> None:
        """See `MutableRecord.commit`."""
        self._file.cover()
        with self._file.database.transaction() as db:
            write_ops(db, (op for ops in groups for op in ops))


class SqliteJournal:
    """See `Journal`."""

    def __init__(self, record: SqliteRecord, group: GroupCommit) -> None:
        self._record = record
        self._group = group

    async def record(self, *ops: Op) -> None:
        """See `Journal.record`."""
        await self._group.write(ops)  # cancelling it takes nothing back

    async def ask(self, question: Callable[Concatenate[Record, P], T], *args: P.args, **more: P.kwargs) -> T:
        """See `Journal.ask`."""
        own: Callable[..., T] = getattr(self._record, question.__name__)
        answer: T = await self._group.ask(lambda: own(*args, **more))  # type: ignore[assignment]
        return answer


class SqliteKeeper:
    """Keeps the wave in the file at *path*; see `Keeper`."""

    def __init__(self, path: Path, *, synced: bool = True) -> None:
        """Open or create it. Without *synced*, commits are not waited for until they are on disk: for a rehearsal,
        which no power cut can cost anything. Raises `NotAJournal`, `WaveRefused`, `JournalFailed`."""
        self.file = WrittenFile.open(path, synced=synced)
        self._record = WrittenRecord(self.file)
        self._group: GroupCommit | None = None

    def wave(self) -> WrittenRecord:
        """See `Keeper.wave`."""
        return self._record

    def journal(self) -> SqliteJournal:
        """See `Keeper.journal`."""
        if self._group is None:
            self._group = GroupCommit(self._commit, self._record.name)
        return SqliteJournal(self._record, self._group)

    def identity(self) -> tuple[str | None, int]:
        """See `Generations.identity`."""
        return self.file.identity()

    def keep_sign(self, keeper: SignKeeper) -> None:
        """See `Generations.keep_sign`."""
        self.file.keep_sign(keeper)

    def close(self) -> None:
        """See `Keeper.close`."""
        self.file.close()

    async def aclose(self) -> None:
        """See `Keeper.aclose`."""
        if self._group is not None:
            await self._group.aclose()
        try:
            self._rescue()
        finally:
            self.file.close()

    def _commit(self, batch: list[Handed]) -> list[tuple[list[Handed], Exception | None]]:
        """See `Commit`."""
        if self.file.is_there():
            return [(batch, self._committed(batch))]
        # Somebody took the file away. What the cloud told still goes in, and is rescued at the end; but nothing new
        # is sent on the word of a file that nobody would find.
        why = f"the journal {self._record.name} or its -wal was deleted or moved while the wave was running"
        intents = [handed for handed in batch if _intends(handed[0])]
        told = [handed for handed in batch if not _intends(handed[0])]
        return [(intents, JournalFailed(why)), (told, self._committed(told))]

    def _committed(self, batch: list[Handed]) -> Exception | None:
        try:
            self._record.commit(*(ops for ops, _ in batch))
        except Exception as error:  # noqa: BLE001 - also a defect: an op that no journal can hold
            return error
        return None

    def _rescue(self) -> None:
        """If the file was taken away, leave its content where it can be found, and say where."""
        if self.file.is_there():
            return
        name = self._record.name
        try:
            path = self.file.rescue()
        except (JournalFailed, OSError) as error:
            reason = error.reason if isinstance(error, JournalFailed) else str(error)
            log.error("journal.lost", journal=name, reason=reason)
        else:
            log.error("journal.deleted", journal=name, kept=str(path))


class SqliteReader:
    """The wave in the file at *path*, to be looked into, also while it runs; nothing in its folder is changed."""

    def __init__(self, path: Path) -> None:
        """Raises OSError, `NotAJournal`, `JournalFailed`."""
        self.file = ReadFile(path)
        self._record = SqliteRecord(self.file.database)

    def wave(self) -> SqliteRecord:
        """The record of the wave, planned or not."""
        return self._record

    @property
    def was_changed(self) -> bool:
        """Whether the file was written since it was opened, so that what was read may be void."""
        return self.file.was_changed

    def identity(self) -> tuple[str | None, int]:
        """See `Generations.identity`."""
        return self.file.identity()

    def close(self) -> None:
        """Let go of it."""
        self.file.close()


def _intends(ops: Sequence[Op]) -> bool:
    return any(isinstance(op, Happened) and isinstance(op.event, Intended) for op in ops)
