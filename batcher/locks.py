"""Locks on files, which the kernel lets go of with the process that holds them: none is ever stale."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from batcher.whole import is_at


def take(path: Path, opened: Callable[[], int]) -> int:
    """Open the file at *path* by *opened*, and lock it: nobody else has it from now on. Its descriptor.

    Raises what *opened* raises, and OSError where the file cannot be locked: `BlockingIOError`, or on SMB
    `PermissionError`, where another process has it.
    """
    while True:
        fd = opened()
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if is_at(fd, path):
                return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # the file was moved, removed or replaced between opening and locking


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
