"""The collector: result lines into the sink, in the order of settlement, many at a time where they come so."""

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush

from batcher.wave.sink import Sink, SinkFailed


class Collector:
    """Writes lines in the order of their numbers, gathering those that settle in one turn of the event loop.

    After the sink failed nothing more is written: *on_failure* is told once, and the journal has every line.
    """

    def __init__(self, sink: Sink, first_seq: int, on_failure: Callable[[SinkFailed], None]) -> None:
        self._sink = sink
        self._next = first_seq
        self._early: list[tuple[int, bytes]] = []
        self._on_failure = on_failure
        self._due = False
        self.failed = False

    def settled(self, seq: int, line: bytes) -> None:
        """Take the line of a result that is durable in the journal."""
        heappush(self._early, (seq, line))
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self, *, gaps: bool = False) -> None:
        """Write what is in line; with *gaps* also what waits for a number that never came."""
        self._due = False
        lines: list[bytes] = []
        while self._early and (gaps or self._early[0][0] == self._next):
            seq, line = heappop(self._early)
            self._next = seq + 1
            lines.append(line)
        if lines and not self.failed:
            try:
                self._sink.write(b"".join(lines))
            except SinkFailed as error:
                self.failed = True
                self._on_failure(error)
