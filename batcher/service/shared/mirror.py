"""What a service keeps on its own disk of the waves in a database: copies, made as somebody looks, for its readers.

Nothing counts that is here alone: the folder may be lost at any moment, and goes with the service.
"""

import asyncio
import errno
import fcntl
import os
import shutil
import tempfile
import threading
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from batcher.clock import Clock
from batcher.errors import UserError
from batcher.journal.errors import JournalAbsent, JournalFailed, NotAJournal
from batcher.journal.place import WavePlace
from batcher.journal.postgres.address import Address
from batcher.journal.postgres.keeper import PostgresKeeper, PostgresWrittenRecord
from batcher.journal.postgres.link import DatabaseLink
from batcher.life.result import Status
from batcher.machines.verdicts_export import VerdictsExport
from batcher.service.kept.errors import StoreFailed, is_no_room, storing
from batcher.service.kept.folders import DataFolder, Folder
from batcher.service.kept.register import WaveRow
from batcher.service.models import State
from batcher.service.shared.database import HASTY
from batcher.service.shared.register import SharedRegister
from batcher.wave.export import ResultsExport
from batcher.wave.rebuild import count_open
from batcher.wave.sink import SinkFailed
from batcher.whole import sync_folder

_PREFIX = "batcher-service-"
_OPEN_AT_ONCE = 32  # copies that are kept ready to go on
_MOST_FOLDERS = 200  # of waves that nobody reads at the moment
_TIDY_EVERY_S = 60.0
_MARK = """
SELECT w.next_seq, w.counts::text, (SELECT count(*) FROM events e WHERE e.wave = w.number AND e.kind = 'reopened'),
    w.next_verdict, w.verdicts::text, coalesce(o.follow, false)
FROM waves w LEFT JOIN wave_orders o ON o.wave = w.number WHERE w.id = %s AND w.planned
"""


class MirrorFolder(DataFolder):
    """A folder of copies, of the waves in the database at *address*."""

    def __init__(self, path: Path, address: Address) -> None:
        super().__init__(path)
        self._database = WavePlace(address)

    def wave(self, id: str, format: str, encoding: str | None = None) -> Folder:
        """The folder of the copies of the wave with this *id*."""
        return Folder(self.waves / id, format, encoding, self._database.at(id))

    def admit(self, draft: Path, id: str) -> None:
        """Take the *draft* folder as that of the wave *id*. Raises OSError."""
        draft.rename(self.waves / id)
        sync_folder(self.waves)


@contextmanager
def mirror_folder(address: Address) -> Iterator[MirrorFolder]:
    """A folder of copies that is gone afterwards, where temporary files are; and so are those of services that died.

    Raises `UserError` where there can be none.
    """
    _forget_dead()
    try:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX))
    except OSError as error:
        raise UserError(
            f"there is no room for copies of manifests and lines in {tempfile.gettempdir()}: {error.strerror}. Name "
            "another folder with TMPDIR."
        ) from None
    try:
        data = MirrorFolder(path, address)
        with data:
            yield data
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _forget_dead() -> None:
    """Remove the folders of services that were killed: nobody holds them."""
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):
            if left.is_symlink() or left.stat().st_uid != os.getuid():
                continue
            held = os.open(left / "service.lock", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(held)


class RecordMark(Struct, frozen=True):
    """What the database says of a wave's lines: it changes whenever one comes or goes.

    *reopened* is how many results were taken back so far; *wanted* says that verdicts are.
    """

    next_seq: int
    counts: str
    reopened: int
    next_verdict: int
    verdicts: str
    wanted: bool


class _Copy(Struct):
    """The lines of a wave here. *mark* is what the database said when they were brought in line, *run* which run that
    was of; *is_ended* tells that the lines of what stayed open are there as well. *verdicts*: there are some."""

    export: ResultsExport
    mark: RecordMark
    run: int
    is_ended: bool
    verdicts: VerdictsExport | None = None

    def close(self) -> None:
        """Let go of the files."""
        self.export.close()
        if self.verdicts is not None:
            self.verdicts.close()


class Mirror:
    """Copies of manifests and results in *data*, brought in line as somebody looks."""

    def __init__(self, data: MirrorFolder, register: SharedRegister, address: Address, clock: Clock) -> None:
        self._data = data
        self._register = register
        self._address = address
        self._clock = clock
        self._making = threading.Lock()
        self._keeper: PostgresKeeper | None = None
        self._copies: OrderedDict[str, _Copy] = OrderedDict()
        self._locks: dict[str, asyncio.Lock] = {}
        self._tidy_at = 0.0  # monotonic

    async def manifest(self, row: WaveRow) -> Folder:
        """The wave's folder with its manifest. Raises `StoreFailed`."""
        folder = self._data.wave(row.id, row.format, row.encoding)
        async with self._locks.setdefault(row.id, asyncio.Lock()):
            await self._with_manifest(row, folder)
        return folder

    async def bring(self, row: WaveRow) -> Folder:
        """The wave's folder with its manifest, and with its results as far as they go by now. Raises `StoreFailed`."""
        folder = self._data.wave(row.id, row.format, row.encoding)
        async with self._locks.setdefault(row.id, asyncio.Lock()):
            await self._with_manifest(row, folder)
            if row.is_begun:
                task = asyncio.create_task(asyncio.to_thread(self._bring, row, folder))
                try:
                    await asyncio.shield(task)
                except asyncio.CancelledError:
                    await asyncio.wait({task})
                    raise
        return folder

    async def left_open(self, row: WaveRow) -> Counter[Status]:
        """The entries of a wave that have no result, by the status that they are given. Raises `StoreFailed`."""

        def work() -> Counter[Status]:
            record = self._record(row.id)
            return count_open(record) if record is not None else Counter()

        try:
            return await asyncio.to_thread(work)
        except JournalFailed as error:
            raise StoreFailed(f"the database {self._address} cannot be used: {error.reason}") from error

    async def _with_manifest(self, row: WaveRow, folder: Folder) -> None:
        if await asyncio.to_thread(folder.manifest.exists):
            return
        with storing(f"the folder {self._data.waves}"):
            await asyncio.to_thread(folder.path.mkdir, mode=0o700, parents=True, exist_ok=True)
            draft = folder.path / "incoming"
            await self._register.fetch_manifest(row, draft)
            await asyncio.to_thread(draft.replace, folder.manifest)

    def _bring(self, row: WaveRow, folder: Folder) -> None:
        """In a thread: have the results in line."""
        try:
            record = self._record(row.id)
            if record is None:  # it is still to be planned
                return
            mark = record_mark(self._link(), row.id)
            assert mark is not None  # noqa: S101 - it is planned
            copy = self._copies.get(row.id)
            ends = row.state is State.STOPPED
            if copy is not None and folder.results.exists() and copy.run == row.runs and copy.is_ended == ends:
                if copy.mark == mark:
                    return
                if not ends:
                    copy.export.go_on()
                    self._bring_verdicts(copy, record, mark)
                    copy.mark = mark
                    self._copies.move_to_end(row.id)
                    return
            self._begin_copy(row, folder, record, mark, ends=ends)
        except JournalFailed as error:
            raise StoreFailed(f"the database {self._address} cannot be used: {error.reason}") from error
        except (SinkFailed, UserError, OSError) as error:
            raise StoreFailed(f"the copy {folder.results} cannot be made: {error}", is_full=_no_room(error)) from error

    def _begin_copy(
        self, row: WaveRow, folder: Folder, record: PostgresWrittenRecord, mark: RecordMark, *, ends: bool
    ) -> None:
        if (before := self._copies.pop(row.id, None)) is not None:
            before.close()
        copy = _Copy(export=ResultsExport(record, folder.results), mark=mark, run=row.runs, is_ended=ends)
        try:
            copy.export.go_on()
            if ends:
                copy.export.finish(row.ended_at or self._clock.now())
            self._bring_verdicts(copy, record, mark)
            if ends and copy.verdicts is not None:
                copy.verdicts.finish(row.ended_at or self._clock.now(), row.reason or "the wave was stopped")
        except BaseException:
            copy.close()
            raise
        self._copies[row.id] = copy
        while len(self._copies) > _OPEN_AT_ONCE:
            _, oldest = self._copies.popitem(last=False)
            oldest.close()

    def _bring_verdicts(self, copy: _Copy, record: PostgresWrittenRecord, mark: RecordMark) -> None:
        """Have the verdicts in line as well, where there are any. What was taken back takes its verdict along."""
        assert self._keeper is not None  # noqa: S101 - *record* is of it
        if copy.verdicts is None:
            if not (mark.wanted or mark.next_verdict):
                return
            copy.verdicts = VerdictsExport(self._keeper.verdicts(record.number), copy.export.path)
        elif copy.mark.reopened != mark.reopened:
            copy.verdicts.anew()
        copy.verdicts.go_on()

    async def tidy(self, used: Collection[str]) -> None:
        """Remove copies where there are many, those first that were read the longest ago; but none of waves *used*."""
        now = self._clock.monotonic()
        if now < self._tidy_at:
            return
        self._tidy_at = now + _TIDY_EVERY_S
        folders = await asyncio.to_thread(self._folders)
        for path in folders[: max(0, len(folders) - _MOST_FOLDERS)]:
            if path.name not in used and not self._locks.setdefault(path.name, asyncio.Lock()).locked():
                async with self._locks.pop(path.name):
                    if (copy := self._copies.pop(path.name, None)) is not None:
                        copy.close()
                    await asyncio.to_thread(self._data.discard, path)

    def _folders(self) -> list[Path]:
        """The folders of copies, those first in which something was changed the longest ago."""
        found = []
        for path in self._data.waves.iterdir():
            with suppress(OSError):
                found.append((path.stat().st_mtime, path))
        return [path for _, path in sorted(found)]

    def _record(self, id: str) -> PostgresWrittenRecord | None:
        with self._making:
            if self._keeper is None:
                try:
                    self._keeper = PostgresKeeper(self._address, patience=HASTY, program="batcher (serves, copies)")
                except NotAJournal as error:  # it was prepared for a newer version since this service began
                    raise StoreFailed(str(error)) from error
        try:
            record = self._keeper.wave(id)
        except JournalAbsent:
            return None
        return record if record.is_planned() else None

    def _link(self) -> DatabaseLink:
        assert self._keeper is not None  # noqa: S101 - whoever asks has a record of it
        return self._keeper.link

    def close(self) -> None:
        """Let go of all copies."""
        for copy in self._copies.values():
            with suppress(UserError):  # the folder goes as well
                copy.close()
        self._copies.clear()
        if self._keeper is not None:
            self._keeper.close()


def record_mark(link: DatabaseLink, id: str) -> RecordMark | None:
    """What the database says of the lines of the planned wave with that id. Raises `JournalFailed`."""
    row = link.row(_MARK, (id,))
    return None if row is None else RecordMark(*row)


def _no_room(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and (is_no_room(cause) or cause.errno == errno.ENOSPC):
            return True
        cause = cause.__cause__
    return False
