"""The collector: result lines into the sink, in the order of settlement, many at a time where they come so."""

import asyncio
from collections.abc import Iterable
from heapq import heappop, heappush

from batcher.wave.sink import ReaderGone, Sink, SinkFailed
from batcher.wave.stop import Stop, StopKind, Stopping

_GATHER_S = 0.01  # lines are written together that come so close upon each other


class Collector:
    """Writes lines in the order of their numbers, gathering those that settle within a moment.

    A sink that fails stops the wave. After that nothing more is written; the journal has every line.
    """

    def __init__(self, sink: Sink, first_seq: int, stopping: Stopping) -> None:
        self._sink = sink
        self.next = first_seq  # the number of the first line that was not written yet
        self._early: list[tuple[int, bytes]] = []
        self._stopping = stopping
        self._timer: asyncio.TimerHandle | None = None
        self.failed = False

    def settled(self, seq: int, line: bytes) -> None:
        """Take the line of a result that is durable in the journal."""
        heappush(self._early, (seq, line))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_GATHER_S, self.flush)

    def flush(self) -> None:
        """Write what is in line; what waits for an earlier number goes on waiting. Nothing is left to do later."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines: list[bytes] = []
        while self._early and self._early[0][0] == self.next:
            self.next, line = self.next + 1, heappop(self._early)[1]
            lines.append(line)
        self.write(lines)

    def finish(self, lines: Iterable[bytes]) -> None:
        """Write *lines*, which are all that the journal has from number `next` on, instead of what still waits.

        They are more where a worker was cancelled between the journal and here.
        """
        self._early.clear()
        self.write(list(lines))

    def write(self, lines: list[bytes]) -> None:
        """Write *lines* now, unless the sink has failed."""
        if not lines or self.failed:
            return
        try:
            self._sink.write(b"".join(lines))
        except SinkFailed as error:
            self.failed = True
            self._stopping.stop(stop_for(error))


class NoLines(Collector):
    """For who runs a part of a wave whose lines somebody else writes: the journal has them."""

    def __init__(self, stopping: Stopping) -> None:
        super().__init__(_Nowhere(), 0, stopping)

    def settled(self, seq: int, line: bytes) -> None:
        """Nothing to do."""


class _Nowhere:
    size = None

    def write(self, lines: bytes) -> None:
        """Nothing to do."""

    def sync(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


def stop_for(error: SinkFailed) -> Stop:
    """The reason that a sink which failed is."""
    return Stop(StopKind.READER if isinstance(error, ReaderGone) else StopKind.RESULTS, str(error))
