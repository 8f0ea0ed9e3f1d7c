"""What one client may cost: sizes, places, and the time in which something has to happen on a connection.

Where each bound is kept:

- a client that sends nothing, or its headers a byte at a time: aiohttp's `keepalive_timeout`, counted from when the
  connection was made or last answered (`SERVER_OPTIONS`);
- a body that does not come, or drips: `upload`, chunk by chunk;
- a client that does not read, or is gone without a word: the kernel (`listening`), and `sent` for streams;
- many connections: `BoundedRunner`, so that clients never take the files that the waves need;
- many requests of a kind: `StreamQuota`.
"""

import asyncio
import logging
import resource
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

from aiohttp import web
from msgspec import Struct

from batcher.service.problem import Problem
from batcher.service.traffic import Unparsed
from batcher.text import counted


class ServiceLimits(Struct, frozen=True, kw_only=True):
    """The bounds; times are seconds."""

    upload_bytes: int = 1024 * 1024 * 1024  # of one manifest
    small_body_bytes: int = 64 * 1024  # of any other request
    entries: int = 2_000_000  # of one manifest
    connections: int = 2000  # open at once; as many files stay free for the waves' own
    streams: int = 500  # open at once: event streams, results that are followed
    streams_each: int = 50  # of one token, or of one address where there are no tokens
    uploads: int = 16  # under way at once
    uploads_each: int = 4
    idle_s: float = 30.0  # in which something of a body has to come, or to be taken
    least_bytes_per_s: float = 1024.0  # of a body, over all of it, after the first *idle_s*


# For `web.AppRunner`. Headers have to be there within `keepalive_timeout`, and an idle connection is closed after it.
SERVER_OPTIONS: dict[str, Any] = {
    "keepalive_timeout": 30.0,
    "max_line_size": 8190,
    "max_field_size": 8190,
    "max_headers": 64,
    "lingering_time": 5.0,
    "access_log": logging.getLogger("batcher.service.http"),  # it is the guard that writes a request's line
    "access_log_class": Unparsed,
}
_SILENT_S = 30  # in which the other side has to take what was sent to it, or the kernel ends the connection


class BoundedRunner(web.AppRunner):
    """An `AppRunner` that has at most *most* connections open at once: those above are ended as they come."""

    __slots__ = ("_most",)

    def __init__(self, app: web.Application, most: int, **options: Any) -> None:
        super().__init__(app, **options)
        self._most = max(1, min(most, _file_limit() // 2))

    @property
    def server(self) -> web.Server | None:
        """What makes the protocol of each connection."""
        server = super().server
        return None if server is None else cast("web.Server", partial(self._protocol, server))

    @property
    def open_connections(self) -> int:
        """How many there are."""
        server = super().server
        return 0 if server is None else len(server.connections)

    def _protocol(self, server: web.Server) -> asyncio.BaseProtocol:
        return server() if len(server.connections) < self._most else _TurnedAway()


class _TurnedAway(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).abort()


def _file_limit() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 20 if soft == resource.RLIM_INFINITY else soft


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there, and whose connections end when the other side is gone or takes nothing.

    Raises OSError.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (("TCP_KEEPIDLE", _SILENT_S), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
            _set_where_known(bound, name, value)
        _set_where_known(bound, "TCP_USER_TIMEOUT", _SILENT_S * 1000)  # also for a window that stays shut
        bound.bind(address)
        bound.listen(1024)
        bound.setblocking(False)
    except BaseException:
        bound.close()
        raise
    return bound


def _set_where_known(bound: socket.socket, name: str, value: int) -> None:
    option = getattr(socket, name, None)
    if option is not None:
        bound.setsockopt(socket.IPPROTO_TCP, option, value)


class StreamQuota:
    """So many at once of one kind, and so many of one client. *noun* is what they are, for people: "open stream"."""

    def __init__(self, noun: str, most: int, most_each: int) -> None:
        self._noun = noun
        self._most = most
        self._most_each = most_each
        self._taken: Counter[str] = Counter()

    @property
    def taken(self) -> int:
        """How many there are now."""
        return self._taken.total()

    @contextmanager
    def one(self, client: str) -> Iterator[None]:
        """A place for *client* while the context lasts. Raises `Problem`."""
        if self._taken[client] >= self._most_each:
            raise Problem(
                429,
                f"You have {counted(self._most_each, self._noun)} already, and there may be no more for one client: "
                "close one first.",
                headers={"Retry-After": "10"},
            )
        if self.taken >= self._most:
            raise Problem(
                503,
                f"The service has {counted(self._most, self._noun)}, as many as it takes: try again in a while.",
                headers={"Retry-After": "10"},
            )
        self._taken[client] += 1
        try:
            yield
        finally:
            self._taken[client] -= 1
            if not self._taken[client]:
                del self._taken[client]


async def upload(request: web.Request, most_bytes: int, limits: ServiceLimits) -> AsyncIterator[bytes]:
    """The request's body, piece by piece as it comes: never more than *most_bytes*, unpacked, and never for ever.

    Raises `Problem` 400, 413 and 408. ConnectionError where the client has gone in the middle.
    """
    if request.content_length is not None and request.content_length > most_bytes:
        raise _too_large(most_bytes)
    loop = asyncio.get_running_loop()
    began, size = loop.time(), 0
    while True:
        try:
            async with asyncio.timeout(limits.idle_s):
                piece = await request.content.readany()
        except TimeoutError:
            raise _too_slow(f"Nothing came for {limits.idle_s:g} s.") from None
        except web.RequestPayloadError as error:
            raise Problem(
                400,
                "The body is not what its Content-Encoding or Transfer-Encoding says. Nothing of it was kept: send it "
                "as it is, without them, or encoded as they say.",
                headers={"Connection": "close"},
            ) from error
        if not piece:
            return
        size += len(piece)
        if size > most_bytes:
            raise _too_large(most_bytes)
        took = loop.time() - began
        if took > limits.idle_s and size < took * limits.least_bytes_per_s:
            raise _too_slow(f"{size:,} bytes in {took:.0f} s are too few.")
        yield piece


async def small_body(request: web.Request, limits: ServiceLimits) -> bytes:
    """A body that is held in memory: of everything but a manifest. Raises as `upload` does."""
    return b"".join([piece async for piece in upload(request, limits.small_body_bytes, limits)])


def _too_large(most_bytes: int) -> Problem:
    return Problem(
        413,
        f"The body is larger than the {most_bytes:,} bytes the service takes: split the manifest into several waves.",
        headers={"Connection": "close"},
    )


def _too_slow(what: str) -> Problem:
    return Problem(408, f"{what} Send it again, as a whole: nothing of it was kept.", headers={"Connection": "close"})


async def sent(writing: Awaitable[Any], limits: ServiceLimits) -> None:
    """Write to a stream, for a client that may not read. Raises ConnectionError where it takes nothing for too long."""
    try:
        async with asyncio.timeout(limits.idle_s):
            await writing
    except TimeoutError:
        raise ConnectionResetError("the client reads nothing") from None
