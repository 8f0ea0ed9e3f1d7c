"""What one client may cost: sizes, places, and the time in which something has to happen on a connection.

Where each bound is kept:

- a client that sends nothing, or its headers a byte at a time: aiohttp's `keepalive_timeout`, counted from when the
  connection was made or last answered (`connections.SERVER_OPTIONS`);
- a body that does not come, or drips, or is far larger when unpacked: `upload`, chunk by chunk;
- a client that does not read, or is gone without a word: the kernel (`connections.listening`), and `sent` for streams;
- many connections: `connections.BoundedRunner`, so that clients never take the files that the waves need;
- many requests of a kind: `StreamQuota`.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web
from msgspec import Struct

from batcher.service.problem import Problem
from batcher.service.unpacking import unpacking
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

    Raises `Problem` 400, 408, 413 and 415. ConnectionError where the client has gone in the middle.
    """
    if request.content_length is not None and request.content_length > most_bytes:
        raise _too_large(most_bytes)
    packed = unpacking(",".join(request.headers.getall("Content-Encoding", [])))
    size = 0
    async for came in _as_it_comes(request, limits):
        for piece in packed.unpack(came):
            size += len(piece)
            if size > most_bytes:
                raise _too_large(most_bytes)
            yield piece
    packed.end()


async def _as_it_comes(request: web.Request, limits: ServiceLimits) -> AsyncIterator[bytes]:
    """The bytes of the body. Raises `Problem` 400 and 408."""
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
                "The body is not what its Content-Length or Transfer-Encoding says. Nothing of it was kept.",
                headers={"Connection": "close"},
            ) from error
        if not piece:
            return
        size += len(piece)
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
