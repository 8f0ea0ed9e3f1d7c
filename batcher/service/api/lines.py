"""Lines of a file that grows, from a given one on: page by page, or on and on until the wave has ended.

A reader holds one piece of the file in memory, and gets the next when it has taken that: a slow one costs nobody
anything. Lines are counted from the file's beginning, as they stand in it. Where lines are taken back (entries are
taken up again, say), the file is another one afterwards: it has a new edition, and every reader begins anew.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

_PIECE = 256 * 1024  # bytes that are read at once
_LOOK_S = 5.0  # seconds, at most, until it is looked whether somebody is still there
_LONGEST = 16 * 1024 * 1024  # bytes of a line; none of ours is near that


class LineSource(Struct, frozen=True, kw_only=True):
    """Where lines come from. *most* tells how many lines of the file count by now, None for all that are whole;
    *is_over* whether none will come any more, *grew* gives what is set when either may have changed."""

    path: Path
    most: Callable[[], int | None]
    is_over: Callable[[], bool]
    grew: Callable[[], asyncio.Event]


class _Reader:
    """The open file, and how far it was read. Used from one thread at a time."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.lines = 0  # that were read, or left out
        self._offset = 0

    def skip(self, count: int) -> bool:
        """Leave out lines until *count* of them were passed; whether there were so many."""
        while self.lines < count:
            piece = os.pread(self.fd, _PIECE, self._offset)
            if not piece:
                self._to_line_start()
                return False
            found = piece.count(b"\n")
            if self.lines + found <= count:
                self.lines += found
                self._offset += len(piece)
                continue
            for _ in range(count - self.lines):
                at = piece.index(b"\n") + 1
                piece = piece[at:]
                self._offset += at
            self.lines = count
        self._to_line_start()
        return True

    def _to_line_start(self) -> None:
        """Go on from where the last whole line ended."""
        if self._offset and os.pread(self.fd, 1, self._offset - 1) != b"\n":
            back = os.pread(self.fd, min(_LONGEST, self._offset), max(0, self._offset - _LONGEST))
            self._offset -= len(back) - (back.rfind(b"\n") + 1)

    def next(self, most: int | None) -> bytes:
        """The next whole lines, of which *most* lines of the file count; empty where there is none yet."""
        size = _PIECE
        while True:
            piece = os.pread(self.fd, size, self._offset)
            end = piece.rfind(b"\n") + 1
            if end or len(piece) < size or size >= _LONGEST:
                break
            size *= 4
        piece = piece[:end]
        count = piece.count(b"\n")
        if most is not None and self.lines + count > most:
            keep = max(0, most - self.lines)
            end = 0
            for _ in range(keep):
                end = piece.index(b"\n", end) + 1
            piece, count = piece[:end], keep
        self.lines += count
        self._offset += len(piece)
        return piece

    def is_at(self, path: Path) -> bool:
        """Whether the file is still the one at *path*."""
        ours = os.fstat(self.fd)
        try:
            there = path.stat()
        except OSError:
            return False
        return (there.st_ino, there.st_dev) == (ours.st_ino, ours.st_dev)


async def pieces(source: LineSource, after: int, *, follow: bool) -> AsyncIterator[bytes]:
    """The lines behind the first *after*, some whole ones at a time; with *follow* on to the wave's end.

    Ends early where the file was written anew: what was read so far is void then. An empty piece says that there is
    nothing yet.
    """
    reader: _Reader | None = None
    try:
        while True:
            grew, over, most = source.grew(), source.is_over(), source.most()
            if reader is None:
                reader = await asyncio.to_thread(_opened, source.path)
            if reader is not None:
                if reader.lines < after:
                    await asyncio.to_thread(reader.skip, after if most is None else min(after, most))
                while reader.lines >= after and (piece := await asyncio.to_thread(reader.next, most)):
                    yield piece
            if over or not follow:
                return
            if reader is not None and not await asyncio.to_thread(reader.is_at, source.path):
                return
            yield b""
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await grew.wait()
    finally:
        if reader is not None:
            os.close(reader.fd)


def _opened(path: Path) -> _Reader | None:
    try:
        return _Reader(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
    except FileNotFoundError:
        return None
