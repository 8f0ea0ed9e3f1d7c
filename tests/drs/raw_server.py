"""A server on loopback that does, connection by connection, what a test's script says. No HTTP library behind it."""

import asyncio
import re
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.connections import Listening

PEM = Path(__file__).with_name("loopback.pem")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@dataclass
class Peer:
    """One accepted connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    server: "RawServer"

    async def request(self) -> bytes:
        """Read one whole request; its head, and its body after the blank line. Raises at the end of the connection."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        body = await self.reader.readexactly(int(length[1])) if length else b""
        self.server.requests.append(head + body)
        return head + body

    async def say(self, data: bytes) -> None:
        """Send *data*."""
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Drop the connection without a farewell."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()


Script = Callable[[Peer], Awaitable[None]]


@dataclass
class RawServer:
    """Serves connection i by script i, later ones by the last. *requests* are those that arrived whole."""

    scripts: tuple[Script, ...]
    tls: bool = False
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http{'s' if self.tls else ''}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        context = None
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(PEM)
        self._listening = Listening(self._serve, tls=context)
        self.port = await self._listening.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._listening.end()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        script = self.scripts[min(self.connections, len(self.scripts) - 1)]
        self.connections += 1
        try:
            await script(Peer(reader, writer, self))
        except (asyncio.IncompleteReadError, OSError):
            pass  # the client has gone
        finally:
            writer.close()


def serve(*scripts: Script, tls: bool = False) -> RawServer:
    """A server with these scripts; an async context manager."""
    return RawServer(scripts, tls=tls)


def always(response: bytes) -> Script:
    """Answer every request of the connection with *response*."""

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.say(response)

    return script


def once(response: bytes) -> Script:
    """Answer one request with *response*, and close."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.say(response)

    return script


async def silent(peer: Peer) -> None:
    """Read what comes, and never answer."""
    await peer.reader.read(-1)
