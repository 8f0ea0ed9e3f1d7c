"""A copy of the service's data folder while it runs: a folder that a service can be started on as it is.

What is copied when, so that no part of the copy is ahead of what it depends on:

1. `audit.jsonl`, to its last whole line. It may lack what the database knows: it is filled up from there at the start.
2. `service.sqlite`, in one snapshot. A wave in it has its folder. From here on waves may only get further.
3. Each of those waves: results and verdicts, to their last whole line, then the journal, in one snapshot. Results and
   verdicts are never ahead of the journal, as in a running wave; what they lack is written anew from it. The journal is
   at least as far as the wave's row, as after a death.

Whoever starts on the copy does not know what the service went on to send. So each wave is marked as restored, in its
row and in its journal: every entry is looked up in the cloud before it is sent. The mark is in what was copied, so it
does not matter how the copy gets to its place.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from hashlib import file_digest
from pathlib import Path
from typing import Any, BinaryIO

from msgspec import Struct
from msgspec.structs import replace

from batcher import exits
from batcher.errors import UserError
from batcher.journal.errors import JournalFailed, NotAJournal
from batcher.journal.files import WaveFiles
from batcher.journal.sqlite.copying import copy_journal
from batcher.journals import reading
from batcher.service.kept.database import APPLICATION_ID, FORMAT
from batcher.service.kept.folders import DataFolder, Folder
from batcher.service.kept.register import WaveRow, decode, encode
from batcher.service.models import State
from batcher.wave.prior_run_check import LOOKS_FIRST
from batcher.whole import draft_beside, sync_folder

SUMS = "SHA256SUMS"
_PIECE = 1024 * 1024
_KIND = ("application_id", "user_version")
_MEANWHILE = "it was taken up again while the backup was made: start goes on with it"


class BackedUp(Struct, frozen=True, kw_only=True):
    """What is in a backup. *damaged* are sentences about waves whose journal could not be read: their files were copied
    as they are."""

    waves: int
    entries: int
    size: int
    damaged: tuple[str, ...]


def back_up(data: Path, target: Path, now: float) -> BackedUp:
    """Copy the service's *data* to *target*, which is made: whole, or not at all. *now* is Unix seconds. Blocks.

    Raises `UserError`.
    """
    source = DataFolder(data)
    _check(source, target)
    draft = draft_beside(target.absolute())
    try:
        draft.mkdir(mode=0o700)
        made = _copy(source, DataFolder(draft), now)
        _sum(draft)
        _sync(draft)
        if target.exists():
            target.rmdir()
        draft.rename(target)
        sync_folder(target.absolute().parent)
    except OSError as error:
        where = error.filename or target
        raise UserError(
            f"the backup {target} cannot be made: {where}: {error.strerror}.", exit_code=exits.STOPPED
        ) from error
    except sqlite3.Error as error:
        raise UserError(
            f"the database {source.database} cannot be copied: {error}.", exit_code=exits.STOPPED
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return made


def _check(source: DataFolder, target: Path) -> None:
    """Raises `UserError` where there is nothing to copy, or no place to copy it to."""
    if not source.database.is_file():
        raise UserError(f"there is no data of a service in {source.path}: name its folder with --data.")
    if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
        raise UserError(f"{target} is there already: a backup is a new folder, name another.")
    if not target.absolute().parent.is_dir():
        raise UserError(f"there is no folder {target.absolute().parent} to make the backup in.")
    if target.resolve().is_relative_to(source.path.resolve()):
        raise UserError(f"{target} is in the folder that is to be copied: name a place elsewhere.")


def _copy(source: DataFolder, copy: DataFolder, now: float) -> BackedUp:
    for folder in (copy.incoming, copy.waves):
        folder.mkdir(mode=0o700)
    _whole_lines(source.path / "audit.jsonl", copy.path / "audit.jsonl")
    rows = _database(source, copy)
    damaged: list[str] = []
    copied = [_wave(row, source, copy, now, damaged) for row in rows]
    _restorable(copied, {row.id: row for row in _rows_of(source.database)}, copy.database)
    return BackedUp(
        waves=len(rows),
        entries=sum(row.entries for row in rows),
        size=sum(path.stat().st_size for path in _files(copy.path)),
        damaged=tuple(damaged),
    )


def _database(source: DataFolder, copy: DataFolder) -> list[WaveRow]:
    """Copy the service's database; its waves. Raises `UserError`, `sqlite3.Error`."""
    with closing(_opened(source.database)) as db, closing(sqlite3.connect(copy.database)) as target:
        if _kind_of(db) != (APPLICATION_ID, FORMAT):
            raise UserError(f"{source.database} is no database that this batcher can read.")
        db.backup(target)
    with closing(sqlite3.connect(copy.database)) as target:
        target.execute("PRAGMA journal_mode = DELETE")
        return _rows(target)


def _kind_of(db: sqlite3.Connection) -> tuple[int, int]:
    try:
        (application,), (version,) = (db.execute(f"PRAGMA {name}").fetchone() for name in _KIND)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
            raise
        return 0, 0
    return application, version


def _opened(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=30)


def _rows_of(database: Path) -> list[WaveRow]:
    with closing(_opened(database)) as db:
        return _rows(db)


def _rows(db: sqlite3.Connection) -> list[WaveRow]:
    return [decode(row) for (row,) in db.execute("SELECT row FROM waves ORDER BY number")]


def _wave(row: WaveRow, source: DataFolder, copy: DataFolder, now: float, damaged: list[str]) -> WaveRow:
    """Copy the files of a wave; its row as it is to be in the copy. Raises OSError."""
    wave, to = (folder.wave(row.id, row.format, row.encoding) for folder in (source, copy))
    to.path.mkdir(mode=0o700)
    shutil.copyfile(wave.manifest, to.manifest)
    for path in (wave.results, wave.verdicts):
        _whole_lines(path, to.path / path.name)
    _index(wave, to)
    counts: dict[str, int] = {}
    try:
        is_begun = copy_journal(wave.journal, to.journal, {LOOKS_FIRST: True})
        if is_begun:
            with reading(to.journal) as record:
                counts = {status.value: count for status, count in record.status_counts().items()}
    except (JournalFailed, NotAJournal, UserError) as error:
        _as_it_is(wave, to)
        is_begun = True
        damaged.append(f"wave {row.id}: {str(error).removesuffix('.')}. Its files were copied as they are")
    if not is_begun:
        for path in (to.results, to.verdicts):
            path.unlink(missing_ok=True)
    changes: dict[str, Any] = {"is_restored": True, "is_begun": row.is_begun or is_begun}
    changes["editions"] = dict.fromkeys(("results", "verdicts"), (-1, int(now)))  # whoever read on reads anew
    if row.is_final and counts:
        changes["counts"] = counts
    return replace(row, **changes)


def _index(wave: Folder, to: Folder) -> None:
    """Copy what its entries are found by, if it can be: it holds nothing that cannot be had again."""
    if not wave.entries.exists():
        return
    try:
        with closing(_opened(wave.entries)) as db, closing(sqlite3.connect(to.entries)) as copy:
            db.backup(copy)
            copy.execute("UPDATE read SET ino = -1")  # the lines are in another file now
            copy.commit()
    except sqlite3.Error:
        to.entries.unlink(missing_ok=True)


def _restorable(rows: list[WaveRow], latest: dict[str, WaveRow], database: Path) -> None:
    """Put *rows* into the copied *database*. A wave that had ended in it and was taken up again before its files were
    copied is stopped there; *latest* has the rows as they were after that."""
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        for row in rows:
            after = latest.get(row.id, row)
            if row.is_final and (not after.is_final or after.runs != row.runs):
                row = replace(row, state=State.STOPPED, exit_code=exits.STOPPED, reason=_MEANWHILE)
            db.execute("UPDATE waves SET state = ?, row = ? WHERE id = ?", (row.state, encode(row), row.id))
        db.execute("COMMIT")


def _as_it_is(wave: Folder, to: Folder) -> None:
    for path in WaveFiles.of(wave.results).all:
        with suppress(FileNotFoundError):
            shutil.copyfile(path, to.path / path.name)


def _whole_lines(path: Path, target: Path) -> None:
    """Copy the whole lines that *path* has by now, if it is there. Raises OSError."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file, target.open("xb") as out:
        left = os.fstat(file.fileno()).st_size
        for piece in _pieces(file, left):
            out.write(piece)
        out.flush()
        os.ftruncate(out.fileno(), _end_of_lines(target, out.tell()))


def _pieces(file: BinaryIO, left: int) -> Iterator[bytes]:
    while left and (piece := file.read(min(left, _PIECE))):
        yield piece
        left -= len(piece)


def _end_of_lines(path: Path, size: int) -> int:
    """The length of the whole lines in the first *size* bytes of *path*."""
    with path.open("rb") as file:
        while size:
            begin = max(0, size - _PIECE)
            file.seek(begin)
            at = file.read(size - begin).rfind(b"\n")
            if at >= 0:
                return begin + at + 1
            size = begin
    return 0


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _sum(folder: Path) -> None:
    """Write what `sha256sum --check` reads, so that a backup that was carried about can be told to be whole."""
    lines = []
    for path in _files(folder):
        with path.open("rb") as file:
            lines.append(f"{file_digest(file, 'sha256').hexdigest()}  {path.relative_to(folder)}\n")
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def _sync(folder: Path) -> None:
    for path in _files(folder):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    for path in [path for path in folder.rglob("*") if path.is_dir()]:
        sync_folder(path)
    sync_folder(folder)
