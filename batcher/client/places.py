"""Where a wave's lines go on this side: a file, or whoever takes them; each knows how many of the service's lines it
has, so that reading goes on at the right one whatever happened in between.
"""

import os
import zlib
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import orjson

from batcher.life.result import Status
from batcher.locks import take
from batcher.wave.sink import SinkFailed

Provisional = Callable[[bytes], bool]
"""Whether a line stands at the end of its file only until the wave goes on: it may be gone when we come again."""

_BLOCK = 256 * 1024
_OPEN = frozenset({Status.NOT_SUBMITTED.value, Status.UNSETTLED.value})


def provisional_result(line: bytes) -> bool:
    """Whether a result line is a `Provisional` one."""
    return orjson.loads(line)["status"] in _OPEN


def provisional_verdict(line: bytes) -> bool:
    """Whether a verdict line is a `Provisional` one."""
    return not orjson.loads(line)["final"]


class Place(Protocol):
    """Takes a wave's lines, in the order of the service's own file."""

    edition: str | None  # the `ETag` of the lines that it has; None: it has none

    @property
    def count(self) -> int:
        """The number of the service's lines that are here."""
        ...

    @property
    def last(self) -> bytes | None:
        """The last line that is here, to be compared with the service's own; None: nobody can tell."""
        ...

    def begin(self, edition: str) -> None:
        """Keep that the lines to come are of this *edition*. Raises `SinkFailed`."""
        ...

    def restart(self) -> None:
        """Let go of all lines: the service's were written anew. Raises `SinkFailed`."""
        ...

    def step_back(self) -> None:
        """Take off what is provisional at the end. Raises `SinkFailed`."""
        ...

    def put(self, lines: bytes) -> None:
        """Take whole *lines*. Raises `SinkFailed`."""
        ...

    async def room(self) -> None:
        """Wait until there is room for more."""
        ...

    def sync(self) -> None:
        """Have everything on disk. Raises `SinkFailed`."""
        ...

    def close(self) -> None:
        """Let go of the file, if there is one."""
        ...


class FilePlace:
    """A file that holds the service's lines, and nothing else. *note* keeps the edition, durably, before a line of it
    is written.

    It is made with the first line. What is torn at its end, by a crash, is taken off when it is opened. Raises
    `SinkFailed`; nobody else writes to it meanwhile.
    """

    def __init__(self, path: Path, provisional: Provisional, edition: str | None, note: Callable[[str], None]) -> None:
        self.path = path
        self.edition = edition
        self._provisional = provisional
        self._note = note
        self._fd: int | None = None
        self._size = 0
        self.count = 0
        if path.exists():
            self._open()

    @property
    def last(self) -> bytes | None:
        """The last line that is here, to be compared with the service's own; None: nobody can tell."""
        if self._fd is None or not self._size:
            return None
        return self._last_line(self._fd, self._size)

    def begin(self, edition: str) -> None:
        """Keep that the lines to come are of this *edition*."""
        if edition != self.edition:
            self._note(edition)
            self.edition = edition

    def restart(self) -> None:
        """Let go of all lines: the service's were written anew."""
        if self._fd is not None:
            self._cut(0)
            self.count = 0
        self.edition = None

    def step_back(self) -> None:
        """Take off what is provisional at the end."""
        if self._fd is None:
            return
        size, gone = self._size, 0
        while size and self._provisional(line := self._last_line(self._fd, size)):
            size -= len(line)
            gone += 1
        if gone:
            self._cut(size)
            self.count -= gone

    def put(self, lines: bytes) -> None:
        """Take whole *lines*. What fits only in part is taken back, so that no torn line stays."""
        fd = self._open() if self._fd is None else self._fd
        self._check(fd)
        written = 0
        try:
            while written < len(lines):
                written += os.pwrite(fd, memoryview(lines)[written:], self._size + written)
        except OSError as error:
            self._cut(self._size)
            raise self._failed(error) from error
        self._size += len(lines)
        self.count += lines.count(b"\n")

    async def room(self) -> None:
        """Wait until there is room for more lines."""

    def sync(self) -> None:
        """Have everything on disk."""
        if self._fd is None:
            return
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Let go of the file, if there is one."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def make(self) -> None:
        """Have the file there, if only an empty one. Raises `SinkFailed`."""
        if self._fd is None:
            self._open()

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        try:
            fd = self._fd = take(self.path, lambda: os.open(self.path, flags, 0o644))
            size = os.fstat(fd).st_size
            self._size = size - self._torn(fd, size)
            if self._size != size:
                self._cut(self._size)
            self.count = sum(block.count(b"\n") for block in iter(lambda: os.read(fd, _BLOCK), b""))
        except (BlockingIOError, PermissionError) as error:
            raise SinkFailed(f"{self.path} is being written by another process") from error
        except OSError as error:
            raise self._failed(error) from error
        return fd

    @staticmethod
    def _torn(fd: int, size: int) -> int:
        """How many bytes stand behind the last whole line."""
        at = size
        while at > 0:
            begin = max(0, at - _BLOCK)
            found = os.pread(fd, at - begin, begin).rfind(b"\n")
            if found >= 0:
                return size - (begin + found + 1)
            at = begin
        return size

    @staticmethod
    def _last_line(fd: int, size: int) -> bytes:
        """The last line of the first *size* bytes, which end with one."""
        at, found = size - 1, -1
        while at > 0 and found < 0:
            begin = max(0, at - _BLOCK)
            found = os.pread(fd, at - begin, begin).rfind(b"\n")
            at = begin if found < 0 else begin + found + 1
        return os.pread(fd, size - at, at)

    def _check(self, fd: int) -> None:
        ours = os.fstat(fd)
        try:
            there = self.path.stat()
        except OSError as error:
            raise SinkFailed(f"{self.path} was deleted or moved while it was written; {_WAY_OUT}") from error
        if (there.st_ino, there.st_dev) != (ours.st_ino, ours.st_dev):
            raise SinkFailed(f"{self.path} was replaced by another file while it was written; {_WAY_OUT}")
        if ours.st_size != self._size:
            raise SinkFailed(f"{self.path} was changed by something else while it was written; {_WAY_OUT}")

    def _cut(self, size: int) -> None:
        assert self._fd is not None  # noqa: S101 - whoever cuts has opened it
        try:
            os.ftruncate(self._fd, size)
        except OSError as error:
            raise self._failed(error) from error
        self._size = size

    def _failed(self, error: OSError) -> SinkFailed:
        return SinkFailed(f"cannot write {self.path}: {error.strerror}; {_WAY_OUT}")


_WAY_OUT = "the service has every line, and the same command brings those that are missing"


class GivenPlace:
    """Hands each line to *give*, once: what was given cannot be taken back, so that of lines which were written anew
    only those are given that say something else than before.

    Provisional lines are given as they come, at the wave's end. Lines on the same entry are told by `index`.
    """

    last: bytes | None = None

    def __init__(self, give: Callable[[bytes], None], provisional: Provisional) -> None:
        self.edition: str | None = None
        self.count = 0
        self._give = give
        self._provisional = provisional
        self._open = 0  # lines at the end that are provisional
        self._given = array("Q")  # by index: 1 + the checksum of the line that was given; 0: none was

    def begin(self, edition: str) -> None:
        """Keep that the lines to come are of this *edition*."""
        self.edition = edition

    def restart(self) -> None:
        """Let go of all lines: the service's were written anew."""
        self.count, self._open, self.edition = 0, 0, None

    def step_back(self) -> None:
        """Take off what is provisional at the end."""
        self.count -= self._open
        self._open = 0

    def put(self, lines: bytes) -> None:
        """Take whole *lines*."""
        for line in lines.splitlines(keepends=True):
            self.count += 1
            self._open = self._open + 1 if self._provisional(line) else 0
            index, said = int(orjson.loads(line)["index"]), 1 + zlib.crc32(line)
            if index >= len(self._given):
                self._given.frombytes(bytes(8 * (index + 1 - len(self._given))))
            if self._given[index] != said:
                self._given[index] = said
                self._give(line)

    async def room(self) -> None:
        """Wait until there is room for more lines."""

    def sync(self) -> None:
        """Have everything on disk."""

    def close(self) -> None:
        """Let go of the file, if there is one."""
