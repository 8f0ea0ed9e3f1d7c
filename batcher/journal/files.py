"""The files of a wave, `WaveFiles`: which they are, and how old ones are put aside."""

import os
import tempfile
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import platformdirs
from msgspec import Struct

from batcher.clock import utc_now
from batcher.errors import UserError
from batcher.journal.errors import WaveRefused
from batcher.whole import led_to

_JOURNAL, _VERDICTS = ".journal", ".verdicts.jsonl"  # what their names end in
_LONGEST = 100  # bytes of a socket's path; Linux allows 107, macOS 103
_LONGEST_FOLDER = 60  # of these, for the runtime folder; a name of ours below it takes the rest


def followed(path: Path) -> Path:
    """Where *path* leads, if it is a symbolic link, and *path* itself if not.

    A link given for the results stays: the wave belongs to the file that it leads to, and its other files lie beside
    that one. Raises `WaveRefused`.
    """
    if not path.name:
        raise WaveRefused(f"{path} is a folder: name a file in it")
    if not path.is_symlink():
        return path
    try:
        return led_to(path)
    except OSError as error:
        raise WaveRefused(f"{path} is a link that leads nowhere: {error.strerror}") from error


class WaveFiles(Struct, frozen=True):
    """The files of a wave, told once from what was typed, and handed on from there.

    *results* is where they go, a link followed; None: standard output, or not known. *journal* is the file that the
    wave's record is in, *wave* its id there where that is a database of many. *is_named* tells that the journal was
    named, and is not simply the one beside the results: it may be another wave's.
    """

    results: Path | None
    journal: Path
    is_named: bool = False
    wave: str | None = None

    @classmethod
    def of(cls, results: Path, journal: Path | None = None) -> "WaveFiles":
        """Those of the wave whose results go to *results*; *journal* is one that was named. Raises `WaveRefused`."""
        there = followed(results)
        if journal is not None:
            return cls(there, followed(journal), is_named=True)
        beside = _journal_beside(there)
        with suppress(WaveRefused):  # a link that leads nowhere is refused when it is opened
            beside = followed(beside)
        return cls(there, beside)

    @classmethod
    def of_run(cls, results: Path | None, journal: Path | None, digest: str) -> "WaveFiles":
        """Those of the wave that is to be run: see `of`, and `of_output` where no *results* are named. Raises
        `WaveRefused`."""
        return cls.of_output(digest, journal) if results is None else cls.of(results, journal)

    @classmethod
    def of_output(cls, digest: str, journal: Path | None = None) -> "WaveFiles":
        """Those of a wave whose results go to standard output, by its manifest's *digest*. Raises `WaveRefused`."""
        return cls(None, followed(journal or _journal_of_output(digest)), is_named=journal is not None)

    @classmethod
    def of_journal(cls, journal: Path, wave: str | None = None) -> "WaveFiles":
        """Those of the *wave* in *journal*, wherever its results go."""
        return cls(None, journal, is_named=True, wave=wave)

    @property
    def is_followed(self) -> bool:
        """Whether there are verdicts of it. A file without a line is none: a watch that could not begin leaves one."""
        try:
            return self.verdicts.stat().st_size > 0
        except (FileNotFoundError, NotADirectoryError):
            return False

    @property
    def verdicts(self) -> Path:
        """Where its verdicts stand: `wave.jsonl` has them in `wave.verdicts.jsonl`.

        Raises `UserError` where its results go to no file.
        """
        if self.results is None:
            raise UserError("verdicts are written beside the results: name a file with -o, or leave --wait out.")
        return self.results.with_name(f"{self.results.name.removesuffix('.jsonl')}{_VERDICTS}")

    @property
    def lock(self) -> Path:
        """The file whose lock says who has the wave, and which holds the journal's sign of life."""
        return lock_file_of(self.journal)

    @property
    def log(self) -> Path:
        """The journal's write-ahead log."""
        return log_of(self.journal)

    @property
    def socket(self) -> Path:
        """Where the wave listens for orders: beside the journal, or, where that path is too long for a socket, in the
        user's runtime folder under a name made from it. Raises OSError."""
        suffix = "" if self.wave is None else f".{self.wave}"
        beside = self.journal.absolute().with_name(f"{self.journal.name}{suffix}.sock")
        if len(os.fsencode(beside)) <= _LONGEST:
            return beside
        name = sha256(os.fsencode(self.journal.resolve()) + suffix.encode()).hexdigest()[:24]
        return runtime_folder() / f"{name}.sock"

    @property
    def told(self) -> tuple[Path, ...]:
        """What tells of the wave besides its journal: its results and its verdicts, where they go to files."""
        return () if self.results is None else (self.results, self.verdicts)

    @property
    def all(self) -> tuple[Path, ...]:
        """Every file that it may have, but for its socket."""
        return (*self.told, self.journal, self.log, self.journal.with_name(f"{self.journal.name}-shm"), self.lock)


def journal_in_place(results: Path) -> Path:
    """The place beside *results* where its journal lies, should it be there. Raises `WaveRefused`."""
    return _journal_beside(followed(results))


def _journal_beside(results: Path) -> Path:
    return results.with_name(f"{results.name}{_JOURNAL}")


def is_verdicts(path: Path) -> bool:
    """Whether *path* has the name of a verdicts file: `wave*.jsonl` in a shell catches those as well."""
    return path.name.endswith(_VERDICTS)


def lock_file_of(journal: Path) -> Path:
    """The lock file of *journal*."""
    return journal.with_name(f"{journal.name}.lock")


def log_of(journal: Path) -> Path:
    """Where the write-ahead log of *journal* lies."""
    return journal.with_name(f"{journal.name}-wal")


def runtime_folder() -> Path:
    """Where sockets lie whose place beside the journal has too long a path."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and len(os.fsencode(runtime)) < _LONGEST_FOLDER:
        return Path(runtime, "batcher")
    return Path(tempfile.gettempdir(), f"batcher-{os.getuid()}")


def _journal_of_output(digest: str) -> Path:
    try:
        folder = platformdirs.user_state_path("batcher", appauthor=False) / "waves"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home
        why = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else "there is none"
        raise WaveRefused(
            f"with -o - the journal lies in the user's state folder, which cannot be used ({why}). Name another place "
            "with --journal"
        ) from None
    return folder / f"{digest.removeprefix('sha256:')[:32]}{_JOURNAL}"


def remove_journal(journal: Path) -> None:
    """Remove a journal that holds nothing."""
    for path in _parts(journal):
        path.unlink(missing_ok=True)


def put_aside(*files: Path) -> list[Path]:
    """Rename *files* (a journal with its companions), so that a new wave can take their names. Returns the new names.

    Raises OSError.
    """
    files = tuple(file for file in files if file.exists())
    now = utc_now()
    while any(_aside(file, now).exists() for file in files):
        now += timedelta(seconds=1)  # two in one second
    for file in files:
        for part, new in zip(_parts(file), _parts(_aside(file, now)), strict=True):
            if part.exists():
                part.rename(new)  # its log beside it, under a name by which it is found
    return [_aside(file, now) for file in files]


def _aside(path: Path, at: datetime) -> Path:
    return path.with_name(f"{path.name}.{at:%Y%m%dT%H%M%SZ}")


def _parts(journal: Path) -> list[Path]:
    return [journal, log_of(journal), journal.with_name(f"{journal.name}-shm")]
