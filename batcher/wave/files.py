"""The files of a wave: where its journal lies, who holds it, and how an old one is put aside."""

import fcntl
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import platformdirs

from batcher.errors import UserError


class WaveRefused(UserError):
    """The wave cannot begin or go on as asked; nothing was sent. The text says why and the way out."""


def journal_beside(results: Path) -> Path:
    """The journal of the wave whose results go to *results*."""
    return results.with_name(f"{results.name}.journal")


def journal_of_output(digest: str) -> Path:
    """The journal of a wave whose results go to standard output, by its manifest's digest."""
    folder = platformdirs.user_state_path("batcher", appauthor=False) / "waves"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder / f"{digest.removeprefix('sha256:')[:32]}.journal"


class Lock:
    """Holds a journal for this process. The kernel lets go of it with the process: no stale lock is possible."""

    def __init__(self, journal: Path) -> None:
        """Take the lock, creating an empty journal file if there is none. Raises `WaveRefused`."""
        self._fd = _take(journal)

    def release(self) -> None:
        """Let go."""
        os.close(self._fd)


def _take(journal: Path) -> int:
    while True:
        try:
            fd = os.open(journal, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError as error:
            raise WaveRefused(
                f"there is no folder {journal.parent} to write in: make it, or choose another -o"
            ) from error
        except OSError as error:
            raise WaveRefused(f"cannot open the journal {journal}: {error.strerror}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(fd, journal):
                return fd
        except BlockingIOError as error:
            os.close(fd)
            raise WaveRefused(
                f"another batcher is running this wave: it holds {journal}. Wait for it, or choose another -o"
            ) from error
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # the file was moved or removed between opening and locking


def _is_at(fd: int, path: Path) -> bool:
    ours = os.fstat(fd)
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return (ours.st_ino, ours.st_dev) == (there.st_ino, there.st_dev)


def remove_journal(journal: Path) -> None:
    """Remove a journal that holds nothing."""
    for path in _parts(journal):
        path.unlink(missing_ok=True)


def put_aside(*files: Path) -> list[Path]:
    """Rename *files* (a journal with its companions), so that a new wave can take their names. Returns the new names.

    Raises OSError.
    """
    files = tuple(file for file in files if file.exists())
    now = datetime.now(UTC)
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
    return [journal, journal.with_name(f"{journal.name}-wal"), journal.with_name(f"{journal.name}-shm")]
