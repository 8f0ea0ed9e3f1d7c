"""Locks on files, which the kernel lets go of with the process that holds them: none is ever stale."""

import errno
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path

from batcher.whole import is_at

_TRIES, _BETWEEN_S = 10, 0.02


def take(path: Path, opened: Callable[[], int]) -> int:
    """Open the file at *path* by *opened*, and lock it: nobody else has it from now on. Its descriptor.

    Raises what *opened* raises, and OSError where the file cannot be locked: `BlockingIOError`, or on SMB
    `PermissionError`, where another process has it. Blocks for a moment before that: who only asks, by `is_taken`, has
    the lock for microseconds, and nobody is to be refused for it.
    """
    while True:
        fd = opened()
        try:
            _lock(fd)
            if is_at(fd, path):
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # the file was moved, removed or replaced between opening and locking


def _lock(fd: int) -> None:
    for left in range(_TRIES - 1, -1, -1):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except OSError as error:
            if not left or error.errno not in (errno.EWOULDBLOCK, errno.EACCES):  # the latter on SMB
                raise
        time.sleep(_BETWEEN_S)


def is_taken(path: Path) -> bool:
    """Whether some process holds the file at *path*, as far as this machine can tell."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(fd)
    return False
