"""Where result lines go: a file that is the operator's, or standard output.

The file is theirs, but while a wave runs only we write it: what someone else does to it is noticed and said.
"""

import os
import sys
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Protocol

import orjson
from msgspec import Struct

from batcher import streams
from batcher.clock import utc_now
from batcher.errors import BatcherError
from batcher.journal.files import followed
from batcher.journal.port import Record
from batcher.life.result import Status
from batcher.life.result_line import is_untouched
from batcher.whole import whole_bytes


class SinkFailed(BatcherError):
    """Results cannot be written; the text says where, why and the way out. The journal has them all."""


class ReaderGone(SinkFailed):
    """Whoever read the results went away; there is no more to be done for them."""


class Sink(Protocol):
    """Takes whole result lines."""

    def write(self, lines: bytes) -> None:
        """Write *lines*, each with its newline. Raises `SinkFailed`."""
        ...

    def sync(self) -> None:
        """Have everything on disk. Raises `SinkFailed`."""
        ...

    @property
    def size(self) -> int | None:
        """Bytes written in all; None where lines cannot be taken back."""
        ...

    def close(self) -> None:
        """Let go of where the lines go."""
        ...


class StandardOutput:
    """Result lines to standard output."""

    size = None

    def write(self, lines: bytes) -> None:
        """Write *lines*. Raises `SinkFailed`, and `ReaderGone` where nobody reads any more."""
        try:
            sys.stdout.buffer.write(lines)
            sys.stdout.buffer.flush()
        except OSError as error:
            raise _unwritten(error) from error
        if (trouble := streams.trouble()) is not None:
            raise _unwritten(trouble)

    def sync(self) -> None:
        """Nothing to do: what reads the other end has it."""

    def close(self) -> None:
        """Nothing to do."""


def _unwritten(error: OSError) -> SinkFailed:
    if streams.is_reader_gone(error):
        return ReaderGone("whoever read standard output went away. The journal has every result")
    return SinkFailed(f"cannot write results to standard output: {error.strerror or error}")


class ResultsFile:
    """Appends to a file, and notices when it is no longer the one that it was."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            self.size: int = os.fstat(self._fd).st_size
        except OSError as error:
            raise SinkFailed(f"cannot open {path} for results: {error.strerror}") from error

    def write(self, lines: bytes) -> None:
        """Append *lines*. Raises `SinkFailed`.

        A write that fits only in part is taken back, so that no torn line stays.
        """
        self._check()
        written = 0
        try:
            while written < len(lines):
                written += self._append(memoryview(lines)[written:])
        except OSError as error:
            self._take_back()
            raise SinkFailed(f"cannot write results to {self.path}: {error.strerror}; {_WAY_OUT}") from error
        self.size += len(lines)

    def sync(self) -> None:
        """Have the file on disk. Raises `SinkFailed`."""
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise SinkFailed(f"cannot write results to {self.path}: {error.strerror}; {_WAY_OUT}") from error

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def _append(self, part: memoryview) -> int:
        """Append as much of *part* as fits; how much that was. Raises OSError."""
        return os.write(self._fd, part)

    def _check(self) -> None:
        ours = os.fstat(self._fd)
        try:
            there = self.path.stat()
        except OSError as error:
            raise SinkFailed(f"{self.path} was deleted or moved while the wave was running; {_WAY_OUT}") from error
        if (there.st_ino, there.st_dev) != (ours.st_ino, ours.st_dev):
            raise SinkFailed(f"{self.path} was replaced by another file while the wave was running; {_WAY_OUT}")
        if ours.st_size != self.size:
            raise SinkFailed(f"{self.path} was changed by something else while the wave was running; {_WAY_OUT}")

    def _take_back(self) -> None:
        try:
            os.ftruncate(self._fd, self.size)
        except OSError:
            return  # the torn line is repaired on resume


_WAY_OUT = "every result is in the journal: run the same command again to have the file written anew"


def _go_on(_: int) -> None:
    pass


class Mended(Struct, frozen=True, kw_only=True):
    """What had to be done to make the results file say what the journal says; *said* is for people."""

    appended: int = 0
    aside: Path | None = None
    said: str | None = None


def mend(path: Path, lines: Callable[[], Iterable[bytes]], before: Callable[[int], None] = _go_on) -> Mended:
    """Make the file at *path* hold exactly what *lines* gives, anew at each call.

    It may lack some at its end (a crash), end in a torn line, or go on after them with the provisional lines of a
    stopped wave, which are taken off. Anything else is someone's edit: that file is kept aside.
    *before* is called with the place in the file from which it says something else; where it raises, the file stays as
    it is. Raises `SinkFailed`.
    """
    path = followed(path)
    try:
        return _mend(path, lines, before)
    except OSError as error:
        raise SinkFailed(f"cannot write results to {path}: {error.strerror}") from error


def _mend(path: Path, lines: Callable[[], Iterable[bytes]], before: Callable[[int], None]) -> Mended:
    if not path.exists():
        written = write_all(path, lines())
        return Mended(appended=written, said=f"{path} was gone and is written again" if written else None)
    rest = iter(lines())
    missing: list[bytes] = []
    with path.open("rb") as file:
        agreed = 0
        for line in rest:
            if file.read(len(line)) != line:
                missing = [line]
                break
            agreed += len(line)
        before(agreed)
        file.seek(agreed)
        torn = file.readline()
        if not (missing and missing[0].startswith(torn)) and not all(map(_provisional, chain([torn], file))):
            return _anew(path, lines())
    os.truncate(path, agreed)
    appended = _append(path, chain(missing, rest))
    if not appended:
        return Mended()
    return Mended(appended=appended, said=f"{path} lacked the last {appended} results: they are written again")


def _provisional(line: bytes) -> bool:
    """Whether *line* is one of those that end the file of a stopped wave; the last may be torn."""
    if not line.endswith(b"\n") or is_untouched(line):
        return True
    try:
        status = orjson.loads(line)["status"]
    except (ValueError, KeyError, TypeError):
        return False
    return status in (Status.NOT_SUBMITTED, Status.UNSETTLED)


def _append(path: Path, lines: Iterable[bytes]) -> int:
    appended = 0
    with path.open("ab") as file:
        for line in lines:
            file.write(line)
            appended += 1
        file.flush()
        os.fsync(file.fileno())
    return appended


def _anew(path: Path, lines: Iterable[bytes]) -> Mended:
    stamp = utc_now().strftime("%Y%m%dT%H%M%SZ")
    aside = path.with_name(f"{path.name}.edited-{stamp}")
    path.rename(aside)
    written = write_all(path, lines)
    return Mended(
        appended=written,
        aside=aside,
        said=f"{path} does not hold what the journal holds (someone edited it?): kept as {aside}, and written anew",
    )


def write_all(path: Path, lines: Iterable[bytes]) -> int:
    """Write *lines* to *path* in one step: whole or not at all. Returns how many. Raises OSError."""
    count = 0
    with whole_bytes(path) as file:
        for line in lines:
            file.write(line)
            count += 1
    return count


def sink_to(results: Path | None, output: Sink | None, record: Record) -> Sink:
    """Where the lines go: to the file *results*; else to *output*, standard output unless given, which gets the lines
    of earlier runs as well. Raises `SinkFailed`, `JournalFailed`."""
    if results is not None:
        return ResultsFile(results)
    output = output or StandardOutput()
    for line in record.lines():
        output.write(line)
    return output
