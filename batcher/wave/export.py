"""A results file as a copy of a wave that is recorded elsewhere: in a database, by whichever machines run it.

The file says what the record says, byte for byte what a wave of this machine alone would have written, in the order in
which results became durable. It may be given up at any time: the next export goes on where it ends, and what anybody
else wrote there is kept aside.
"""

import errno
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from batcher.errors import UserError
from batcher.journal.files import WaveFiles, followed
from batcher.journal.port import Record
from batcher.life.result import Status
from batcher.locks import take
from batcher.wave.known_files import RESULTS, refuse_known
from batcher.wave.older import refuse_untold
from batcher.wave.rebuild import open_lines
from batcher.wave.sink import ResultsFile, mend, write_all

_PAGE = 1000  # lines read at a time


class ExportTaken(UserError):
    """Another process writes this results file at the moment."""


class NumberedRecord(Record, Protocol):
    """A record that tells the numbers of its lines, which a ruling may have made gaps in."""

    def numbered_lines(self, after: int, limit: int) -> list[tuple[int, bytes]]:
        """The next result lines behind number *after*, each with its number. Raises `JournalFailed`."""
        ...


class ResultsExport:
    """The lines of *record* in the file *path*, which nobody else writes meanwhile.

    *said* is what had to be done to what was there, for people; None: nothing.
    """

    def __init__(self, record: NumberedRecord, path: Path) -> None:
        """Bring the file in line. Raises `UserError` where it is another wave's or being written, `SinkFailed`,
        `JournalFailed`."""
        self._record = record
        self.path = followed(path)
        self.said: str | None = None
        self._last, self._count = -1, 0  # the number of the last line that is there, and how many are
        self._last_line: bytes | None = None
        self._sink: ResultsFile | None = None
        files = WaveFiles.of(self.path)
        if files.journal.exists():
            raise UserError(
                f"{path} is the results file of another wave, whose journal is {files.journal}: choose another."
            )
        refuse_known("-o", self.path, but=[RESULTS])
        self._lock: int | None = _lock(files.lock, path)
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def go_on(self) -> int:
        """Append what was settled since; how many lines. Where a ruling has taken a line back, all is written anew.

        Raises `SinkFailed`, `JournalFailed`, OSError.
        """
        assert self._sink is not None  # noqa: S101 - until it is closed
        before = self._count
        stands = self._last_line is None or self._record.numbered_lines(self._last - 1, 1) == [
            (self._last, self._last_line)
        ]
        while stands and (lines := self._record.numbered_lines(self._last, _PAGE)):
            self._sink.write(b"".join(line for _, line in lines))
            self._note(*lines[-1], len(lines))
        if not stands or sum(self._record.status_counts().values()) < self._count:
            self._sink.close()
            write_all(self.path, self._lines())
            self._sink = ResultsFile(self.path)
        return max(0, self._count - before)

    def finish(self, now: float) -> Counter[Status]:
        """Append a line for each entry that is still open at *now* (Unix seconds), as a wave does that stops; they go
        when it goes on. How many of each status. Raises `SinkFailed`, `JournalFailed`."""
        assert self._sink is not None  # noqa: S101 - until it is closed
        counts: Counter[Status] = Counter()
        for status, line in open_lines(self._record, now):
            self._sink.write(line)
            counts[status] += 1
        self._sink.sync()
        return counts

    @property
    def count(self) -> int:
        """How many settled results are in the file."""
        return self._count

    def close(self) -> None:
        """Let go of the file."""
        if self._sink is not None:
            self._sink.close()
            self._sink = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _begin(self) -> None:
        mended = mend(self.path, self._lines, refuse_untold(self._record, self.path))
        self.said = mended.said if mended.aside else self.said
        self._sink = ResultsFile(self.path)

    def _lines(self) -> Iterator[bytes]:
        """Every line that there is, counted while it is given out."""
        self._last, self._count, self._last_line = -1, 0, None
        while lines := self._record.numbered_lines(self._last, _PAGE):
            for number, line in lines:
                self._note(number, line, 1)
                yield line

    def _note(self, last: int, line: bytes, more: int) -> None:
        """So many *more* lines are there, of which *line* is the last, with the number *last*."""
        self._last, self._last_line = last, line
        self._count += more


def _lock(path: Path, results: Path) -> int:
    def opened() -> int:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    try:
        return take(path, opened)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES) and path.exists():
            raise ExportTaken(f"another process writes {results} at the moment: it holds {path}.") from error
        raise UserError(f"cannot write {results}: {path}: {error.strerror}.") from error
