"""Writing a file whole or not at all: beside it first, and into its place in one step when all of it is on disk."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TextIO
from uuid import uuid4


@contextmanager
def whole_text(path: Path, *, encoding: str = "utf-8", newline: str | None = None) -> Iterator[TextIO]:
    """A text file that takes the place of *path* when the context ends well. Raises OSError."""
    with whole(path) as fd, open(fd, "w", encoding=encoding, newline=newline, closefd=False) as out:
        yield out


@contextmanager
def whole_bytes(path: Path) -> Iterator[BinaryIO]:
    """The same for bytes."""
    with whole(path) as fd, open(fd, "wb", closefd=False) as out:
        yield out


@contextmanager
def whole(path: Path) -> Iterator[int]:
    """The same as a file descriptor, which is closed at the end.

    A link is followed, not replaced. A device or a pipe (`/dev/stdout`) has no place to be taken: it is written as it
    is. The file keeps its mode.
    """
    path = led_to(path)
    mode = _mode(path)
    if mode is not None and not stat.S_ISREG(mode):
        yield from _written(os.open(path, os.O_WRONLY | os.O_CLOEXEC))
        return
    draft = draft_beside(path)
    try:
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    except OSError as error:  # it is about the file that was asked for, whose name a person knows
        raise OSError(error.errno, error.strerror, str(path)) from error
    try:
        if mode is not None:
            os.fchmod(fd, stat.S_IMODE(mode))
        yield from _written(fd, sync=True)
        draft.replace(path)
        sync_folder(path.parent)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def led_to(path: Path) -> Path:
    """Where *path* leads, all links followed. Raises OSError where they lead in a circle, under every Python."""
    try:
        real = path.resolve()
    except RuntimeError as error:  # so before Python 3.13
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from error
    if real.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    return real


def is_at(fd: int, path: Path) -> bool:
    """Whether the open file *fd* is the one at *path*: another may have taken its place since it was opened."""
    ours = os.fstat(fd)
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return (ours.st_ino, ours.st_dev) == (there.st_ino, there.st_dev)


def draft_beside(path: Path) -> Path:
    """A name beside *path* that nothing has: hidden, and short enough whatever the file's own is."""
    return path.with_name(f".{path.name[:40]}.{uuid4().hex[:12]}.draft")


def sync_folder(folder: Path) -> None:
    """Have on disk which files *folder* has; not every file system knows how, and none needs it to go on."""
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _written(fd: int, *, sync: bool = False) -> Iterator[int]:
    try:
        yield fd
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)
