"""Where everything lies: the service's data folder, and in it a folder a wave, with the files that `batcher run` makes.

DIR/service.sqlite          the service's own: waves, idempotency keys, who did what
DIR/service.lock            held by the one service that uses the folder
DIR/incoming/               manifests on their way in; emptied at every start
DIR/waves/ID/manifest.csv   the manifest as it was handed in (.csv, .json or .jsonl)
DIR/waves/ID/results.jsonl  and beside it its journal and verdicts: every command works on them
DIR/waves/ID/entries.sqlite what entries are found by; made anew where it is missing
"""

import errno
import fcntl
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path

import platformdirs

from batcher import exits
from batcher.errors import UserError
from batcher.journal.beside import journal_of
from batcher.journal.files import WaveFiles
from batcher.journal.place import JournalPlace, WavePlace
from batcher.service.kept.errors import is_no_room
from batcher.whole import sync_folder

_ID = re.compile(r"[a-z0-9]{12}")


class Folder:
    """The folder of one wave; *format* and *encoding* (None: UTF-8) are those of its manifest.

    *place* is that of the wave's record, where it is in a database; None: it is beside the results.
    """

    def __init__(self, path: Path, format: str, encoding: str | None = None, place: WavePlace | None = None) -> None:
        self.path = path
        self.format = format
        self.encoding = encoding
        self.place = place

    @property
    def record(self) -> JournalPlace:
        """Where the wave's record is. Raises `JournalAbsent`, `JournalUnusable`."""
        return journal_of(self.results, self.place)

    @property
    def manifest(self) -> Path:
        """The manifest as it was handed in."""
        return self.path / f"manifest.{self.format}"

    @property
    def results(self) -> Path:
        """The results file; there is none before the wave has begun."""
        return self.path / "results.jsonl"

    @property
    def journal(self) -> Path:
        """The path of the wave's journal."""
        return WaveFiles.of(self.results).journal

    @property
    def verdicts(self) -> Path:
        """The verdicts; there is none where nothing is followed."""
        return WaveFiles.of(self.results).verdicts

    @property
    def entries(self) -> Path:
        """What entries are found by."""
        return self.path / "entries.sqlite"


class DataFolder:
    """The service's data, held by one service at a time while the context lasts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    @property
    def database(self) -> Path:
        """The service's own database."""
        return self.path / "service.sqlite"

    @property
    def incoming(self) -> Path:
        """Where manifests are on their way in."""
        return self.path / "incoming"

    @property
    def waves(self) -> Path:
        """Where the waves are."""
        return self.path / "waves"

    def wave(self, id: str, format: str, encoding: str | None = None) -> Folder:
        """The folder of the wave with this *id*."""
        return Folder(self.waves / id, format, encoding)

    def __enter__(self) -> "DataFolder":
        """Make what is missing, and take it. Raises `UserError` where another service has it, or it cannot be used."""
        try:
            for folder in (self.path, self.incoming, self.waves):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(self.path / "service.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.__exit__()
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES) and error.filename is None:
                raise UserError(
                    f"another batcher serves {self.path}: stop it first, or name another folder with --data."
                ) from None
            where = error.filename or self.path
            code = exits.STOPPED if is_no_room(error) else exits.USAGE
            raise UserError(
                f"{where} cannot be used for the service's data: {error.strerror}.", exit_code=code
            ) from None
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def tidy(self, known: set[str]) -> None:
        """Remove what never became a wave: uploads that were cut off, and folders that no wave of *known* ids has.

        A folder with a journal in it stays: something may have been sent.
        """
        for left in self.incoming.iterdir():
            shutil.rmtree(left, ignore_errors=True)
        for left in self.waves.iterdir():
            if _ID.fullmatch(left.name) and left.name not in known and not any(left.glob("*.journal*")):
                shutil.rmtree(left, ignore_errors=True)

    def admit(self, draft: Path, id: str) -> None:
        """Make the *draft* folder that of the wave *id*; durable when this returns. Raises OSError."""
        sync_folder(draft)
        draft.rename(self.waves / id)
        sync_folder(self.waves)

    def discard(self, *folders: Path) -> None:
        """Remove what did not become a wave."""
        for folder in folders:
            with suppress(OSError):
                shutil.rmtree(folder)

    def free_bytes(self) -> int:
        """How much room is left where the data lies. Raises OSError."""
        return shutil.disk_usage(self.path).free


def default_data() -> Path:
    """The user's data folder. Raises `UserError` for a user without a home."""
    try:
        return platformdirs.user_data_path("batcher", appauthor=False) / "service"
    except RuntimeError:
        raise UserError("this user has no home to keep the service's data in: name a folder with --data.") from None
