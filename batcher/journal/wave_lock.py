"""Who has a wave: a lock on a file of its own beside the journal, which also says how far the journal was.

Not on the journal itself: on NFS, SMB and some others `flock` is a lock on the bytes of the file, as SQLite's locks
are, and would keep our own SQLite out. The lock file stays where it is when the wave ends, with what it says.
"""

import errno
import fcntl
import os
from pathlib import Path

from msgspec.structs import replace

from batcher.journal.errors import WaveRefused
from batcher.journal.files import lock_file_of
from batcher.journal.filesystem import elsewhere, file_system_of, named
from batcher.journal.sign_of_life import SIZE, SignOfLife
from batcher.locks import is_taken, take


class WaveLock:
    """Holds a wave for this process. The kernel lets go of it with the process: no stale lock is possible.

    It is not inherited by a program that this one starts. A child that is forked without `exec` has it as well, until
    `release` or until both have ended.
    """

    def __init__(self, journal: Path) -> None:
        """Take the lock of the wave with this *journal*, an empty one if there is none. Raises `WaveRefused`."""
        self.journal = journal
        self._path = lock_file_of(journal)
        self._fd = _take(self._path, journal)
        self._old: int | None = None
        try:
            _make(journal)
            if not _locks_bytes(self._path, journal):
                self._old = _take(journal, journal)
        except BaseException:
            self.release()
            raise
        system = file_system_of(self._path)
        self._inode = os.fstat(self._fd).st_ino if system is not None and system.numbers_stay else None

    def release(self) -> None:
        """Let go of the wave."""
        for fd in (self._old, self._fd):
            if fd is not None:
                fcntl.flock(fd, fcntl.LOCK_UN)  # a forked child may have it open, too
                os.close(fd)

    def sign(self) -> SignOfLife | None:
        """What the file says of the journal; None: nothing yet."""
        return SignOfLife.of(os.pread(self._fd, SIZE, 0))

    def was_copied(self, sign: SignOfLife) -> bool:
        """Whether the file that holds *sign* is not the one it was written to: a copy, restored or moved here."""
        return None not in (sign.inode, self._inode) and sign.inode != self._inode

    def write(self, wave: str, generation: int) -> None:
        """Say that the *wave*'s journal is at *generation*; durable when this returns. Raises OSError."""
        self._put(SignOfLife(wave=wave, generation=generation, inode=self._inode).line())

    def hand_over(self, journal: Path | None) -> None:
        """The journal was renamed to *journal* (None: there was none): its sign goes with it. Raises OSError."""
        if journal is not None and (sign := self.sign()) is not None:
            beside = lock_file_of(journal)
            beside.write_bytes(sign.line())
            number = beside.stat().st_ino if self._inode is not None else None
            beside.write_bytes(replace(sign, inode=number).line())
        self.clear()

    def forget(self) -> None:
        """The wave was never planned, or is taken back: leave no trace of it."""
        if self._old is None:
            self.clear()  # where the machines that share it may see it late, the file stays
        else:
            self._path.unlink(missing_ok=True)  # whoever waits to lock it sees then that it is not there any more

    def clear(self) -> None:
        """Say nothing of a journal any more: a new wave begins. Raises OSError."""
        if self.sign() is not None:
            self._put(b" " * SIZE)

    def _put(self, body: bytes) -> None:
        os.pwrite(self._fd, body, 0)
        os.fsync(self._fd)


def is_held(journal: Path) -> bool:
    """Whether some process has the wave with this *journal*, as far as this machine can tell."""
    return is_taken(lock_file_of(journal))


def _take(path: Path, journal: Path) -> int:
    def opened() -> int:
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError as error:
            raise WaveRefused(
                f"there is no folder {journal.parent} to write in: make it, or choose another -o"
            ) from error
        except OSError as error:
            what = "the journal" if path == journal else "the journal's lock"
            raise WaveRefused(f"cannot open {what} {path}: {error.strerror}. {_WRITABLE}") from error

    try:
        return take(path, opened)
    except OSError as error:
        raise _not_locked(error, path, journal) from error


_WRITABLE = (
    "A journal lies where it can be written: mend that there, name another place for a new wave (-o, --journal), or "
    "copy the wave's files, RESULTS*, to where there is room and the right to write"
)


def _not_locked(error: OSError, path: Path, journal: Path) -> WaveRefused:
    if error.errno in (errno.EWOULDBLOCK, errno.EACCES):  # the latter on SMB
        return WaveRefused(
            f"another batcher is running this wave: it holds {path}. Wait for it; a wave of its own takes another -o, "
            "and another --journal where that is named"
        )
    return WaveRefused(
        f"{named(path)} gives no lock on {path} ({error.strerror}), and without one two processes could run this wave. "
        f"{elsewhere(journal)}; or have locks enabled there"
    )


def _make(journal: Path) -> None:
    """An empty journal for its owner alone, where there is none."""
    try:
        os.close(os.open(journal, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        pass
    except OSError as error:
        raise WaveRefused(f"cannot make the journal {journal}: {error.strerror}. {_WRITABLE}") from error


def _locks_bytes(path: Path, journal: Path) -> bool:
    """Whether `flock`, which we hold on *path*, is a lock on bytes there, as SQLite's are. Raises `WaveRefused`.

    Where it is, we could not lock the journal and use it; nor could an older batcher, which locked the journal itself,
    ever begin a wave. Where it is not, that one has to be kept out, and has to be seen.
    """
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return True
        raise _not_locked(error, path, journal) from error
    finally:
        os.close(fd)  # which gives the bytes free again
    return False
