"""A listening socket of a test, and the owner of what it accepts.

asyncio holds the handler of a connection by that connection alone. Once the peer has gone, a handler that waits for
something else (its own connection onward) is garbage: it may be collected in the middle, and pytest fails whichever
test runs then.
"""

import asyncio
import ssl
from collections.abc import Callable, Coroutine

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[object, object, None]]


class Listening:
    """Serves every connection to a port of loopback with *serve*, from `start` to `end`; no handler is left then."""

    def __init__(self, serve: Serve, *, tls: ssl.SSLContext | None = None, backlog: int = 100) -> None:
        self._serve = serve
        self._tls = tls
        self._backlog = backlog
        self._handlers: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def start(self, port: int = 0) -> int:
        """Listen on *port*, or on a free one; which it is."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", port, ssl=self._tls, backlog=self._backlog)
        return int(self._server.sockets[0].getsockname()[1])

    async def end(self) -> None:
        """Listen no more, cancel the handlers, and drop what is connected."""
        self._server.close()
        for handler, writer in self._handlers.items():
            handler.cancel()
            writer.transport.abort()
        await asyncio.gather(*self._handlers, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._handlers[handler] = writer
        handler.add_done_callback(self._handlers.pop)
