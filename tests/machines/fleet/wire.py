"""The way of one worker to the database: it can be cut, or stalled, so that nothing is heard and nothing is reset."""

import asyncio
from contextlib import suppress


class FleetWire:
    """Hands bytes on between whoever connects to its port and the port *target*, while the `async with` lasts."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self._is_cut = False
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> "FleetWire":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self._is_cut = True
        self.drop()
        for task in tuple(self._tasks):
            task.cancel()

    def cut(self) -> None:
        """Nobody gets through, and what was connected is cut."""
        self._is_cut = True
        self.drop()

    def stall(self) -> None:
        """Nothing gets through, and nothing is cut."""
        self._flows.clear()

    def mend(self) -> None:
        """All is well again; what stalled arrives."""
        self._is_cut = False
        self._flows.set()

    def drop(self) -> None:
        """Cut what is connected."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self._is_cut:
            writer.transport.abort()
            return
        with suppress(OSError, asyncio.CancelledError):
            await self._flows.wait()
            there, further = await asyncio.open_connection("127.0.0.1", self.target)
            self._writers |= {writer, further}
            try:
                await asyncio.gather(self._carry(reader, further), self._carry(there, writer))
            finally:
                self._writers -= {writer, further}
                writer.transport.abort()
                further.transport.abort()
            return
        writer.transport.abort()

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                await self._flows.wait()
                sink.write(data)
                await sink.drain()
        sink.transport.abort()
