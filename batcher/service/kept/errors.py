"""What the service's own files and database may answer instead of what was asked; nothing else gets past `kept`."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from batcher.errors import BatcherError

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_SQLITE_NO_ROOM = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_WRITE})


class StoreFailed(BatcherError):
    """The service's own database or files cannot be read or written; the text says which, and why.

    *is_full*: for want of room. *may_be_done*: it broke off so that what was asked for may have been done.
    """

    def __init__(self, text: str, *, is_full: bool = False, may_be_done: bool = False) -> None:
        super().__init__(text)
        self.is_full = is_full
        self.may_be_done = may_be_done


class AuditFailed(StoreFailed):
    """What is about to be done cannot be recorded, and so must not be done."""


def is_no_room(error: BaseException) -> bool:
    """Whether *error*, of a file or of SQLite, says that there is no room left."""
    if isinstance(error, OSError):
        return error.errno in _NO_ROOM
    return getattr(error, "sqlite_errorcode", None) in _SQLITE_NO_ROOM


@contextmanager
def storing(what: str) -> Iterator[None]:
    """Tells of trouble with *what*, "the service's database DIR/service.sqlite" say. Raises `StoreFailed`.

    A client that is gone, or does not get on, is no such trouble.
    """
    try:
        yield
    except (ConnectionError, TimeoutError):
        raise
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise StoreFailed(f"{what} fails: {reason}", is_full=is_no_room(error)) from error
