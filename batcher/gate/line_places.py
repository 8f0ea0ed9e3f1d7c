"""Where the lines of a file stand, for reading one again: half a byte a line."""

from array import array
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar

from batcher.errors import UserError

L = TypeVar("L")

_EVERY = 16  # lines; those between are gone through


class LinePlaces:
    """The places of a file's lines. They are told one after the other, whole, with their newlines."""

    def __init__(self) -> None:
        self._starts = array("Q")
        self._lines = 0
        self._end = 0

    def __len__(self) -> int:
        return self._lines

    def add(self, line: bytes) -> None:
        """Take note of the next *line*."""
        if not self._lines % _EVERY:
            self._starts.append(self._end)
        self._lines += 1
        self._end += len(line)

    def before(self, number: int) -> tuple[int, int]:
        """The place and the number of a line that is a few lines before that with the 0-based *number*, or itself."""
        first = number - number % _EVERY
        return self._starts[number // _EVERY], first


class LineReader:
    """Reads lines of the opened *file* at *path* by their numbers, 0-based."""

    def __init__(self, file: BinaryIO, path: Path, places: LinePlaces) -> None:
        self._file = file
        self._path = path
        self._places = places
        self._next = -1  # the line that stands where the file is read on

    def read(self, number: int, parsed: Callable[[Path, int, bytes], L]) -> L:
        """What the line with this *number* holds. Raises `UserError` where it is no whole line (any more)."""
        start, first = self._places.before(number)
        if not first <= self._next <= number:
            self._file.seek(start)
            self._next = first
        while self._next < number:
            self._file.readline()
            self._next += 1
        line = self._file.readline()
        self._next += 1
        if not line.endswith(b"\n"):
            self._next = -1
            raise changed(self._path)
        return parsed(self._path, number + 1, line)


def changed(path: Path) -> UserError:
    """That the file at *path* is not what it was."""
    return UserError(f"{path} was written anew while it was read: run the same command again.")
