"""The results of a wave in a shared database, line by line to whoever takes them one after the other."""

from collections import Counter
from typing import Protocol

from batcher.life.result import Status
from batcher.wave.export import NumberedRecord
from batcher.wave.rebuild import open_lines
from batcher.wave.sink import Sink

_PAGE = 1000  # lines read at a time


class SharedResults(Protocol):
    """Brings the wave's lines to where they go."""

    said: str | None

    def go_on(self) -> int:
        """Bring what was settled since; how many lines. Raises `SinkFailed`, `JournalFailed`."""
        ...

    def finish(self, now: float) -> Counter[Status]:
        """Bring a line for each entry that is still open; how many, by status. Raises as `go_on` does."""
        ...

    def close(self) -> None:
        """Let go of where they go."""
        ...


class LineOutput:
    """The lines of *record* to *sink*, those of earlier runs first; what was written cannot be taken back."""

    said: str | None = None

    def __init__(self, record: NumberedRecord, sink: Sink) -> None:
        self._record = record
        self._sink = sink
        self._last = -1

    def go_on(self) -> int:
        """Write what was settled since; how many lines. Raises `SinkFailed`, `JournalFailed`."""
        written = 0
        while lines := self._record.numbered_lines(self._last, _PAGE):
            self._sink.write(b"".join(line for _, line in lines))
            self._last = lines[-1][0]
            written += len(lines)
        return written

    def finish(self, now: float) -> Counter[Status]:
        """Write a line for each entry that is still open at *now* (Unix seconds); how many of each status.

        Raises `SinkFailed`, `JournalFailed`.
        """
        counts: Counter[Status] = Counter()
        for status, line in open_lines(self._record, now):
            self._sink.write(line)
            counts[status] += 1
        self._sink.sync()
        return counts

    def close(self) -> None:
        """Let go of where the lines go."""
        self._sink.close()
