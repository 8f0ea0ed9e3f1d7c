"""What happens to a wave, as events with ids: a client that was away goes on where it was, or is told to read anew.

A feed keeps its last events only. Nobody who listens has a queue: each reads from what is kept, at its own speed, so
that however many listen and however slowly they read, it costs nothing more.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import orjson

KEPT = 128


class Feed:
    """The events of one wave."""

    def __init__(self) -> None:
        self._epoch = uuid4().hex[:12]  # ids of another feed, of an earlier process say, name nothing here
        self._kept: deque[tuple[int, bytes]] = deque(maxlen=KEPT)
        self._next = 1
        self._came = asyncio.Event()
        self.listeners = 0

    def publish(self, event: str, data: Any) -> None:
        """Tell of something. *data* is told as JSON."""
        number, self._next = self._next, self._next + 1
        self._kept.append((number, _block(f"{self._epoch}-{number}", event, data)))
        self.wake()

    def wake(self) -> None:
        """Let those who wait for the next event look at what there is."""
        came, self._came = self._came, asyncio.Event()
        came.set()

    @property
    def came(self) -> asyncio.Event:
        """What is set with the next event."""
        return self._came

    def knows(self, seen: str | None) -> bool:
        """Whether all events after the one with the id *seen* are kept."""
        number = self._number(seen)
        return number is not None and (not self._kept or number + 1 >= self._kept[0][0])

    def snapshot(self, event: str, data: Any) -> bytes:
        """*data* as an event for one listener: how things stand as of the last event."""
        return _block(self.last_id, event, data)

    @property
    def last_id(self) -> str:
        """The id of the last event."""
        return f"{self._epoch}-{self._next - 1}"

    async def since(self, seen: str | None, is_over: Callable[[], bool]) -> AsyncIterator[bytes]:
        """Each event after the one with the id *seen*, and each that comes until *is_over*; a comment where nothing has
        come for a while. Where those after *seen* are not all kept, `reset` comes first: read anew what you show."""
        self.listeners += 1
        try:
            at = self._number(seen)
            if at is None:
                at = self._next - 1
                if seen is not None:
                    yield _block(self.last_id, "reset", {"reason": "events were missed: read the wave anew"})
            while True:
                came = self._came
                if at < self._next - 1:
                    first = self._kept[0][0]
                    if at + 1 < first:
                        at = self._next - 1
                        yield _block(self.last_id, "reset", {"reason": "events were missed: read the wave anew"})
                        continue
                    at, block = self._kept[at + 1 - first]
                    yield block
                    continue
                if is_over():
                    return
                try:
                    async with asyncio.timeout(15.0):
                        await came.wait()
                except TimeoutError:
                    yield b": nothing new\n\n"
        finally:
            self.listeners -= 1

    def _number(self, seen: str | None) -> int | None:
        epoch, _, number = (seen or "").partition("-")
        if epoch != self._epoch or not number.isdecimal() or len(number) > 18:
            return None
        return int(number) if int(number) < self._next else None


def _block(id: str, event: str, data: Any) -> bytes:
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (id.encode(), event.encode(), orjson.dumps(data))
