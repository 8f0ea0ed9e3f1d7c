"""One request and its answer over a connection that aiohttp dials: no session between the two.

aiohttp's connector knows names, address families, TLS, proxies, tunnels and the pool; its protocol and its parser read
the answer. What `ClientSession` puts around them (redirects, cookies, tracing, a request and a response object, a task
that writes) a wave has no use for, and pays for with each entry. Only some of what is used here is promised by aiohttp:
`lacks` says what, and `batcher.drs.transport` goes by `ClientSession` where something of it is not there.
"""

import asyncio
import inspect
import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Protocol

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import RawResponseMessage
from multidict import CIMultiDict
from yarl import URL

from batcher.drs.cloud import HttpRequest
from batcher.drs.proxies import ProxyRoute

TOO_SOON = "the connection brought an answer before the request had left"
LONGEST_FIELD = 64 * 1024  # bytes of a header: IAM's tokens grow with the roles of their user
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # in a header: it would begin one of its own
_MOST_HEADS = 256  # kept ready-made
_SWITCHING = 101  # the only interim answer that is the last one

Headers = Mapping[str, str]


class Told(Protocol):
    """Who is told how far a request is."""

    def leaving(self) -> None:
        """The request is handed to the connection."""
        ...

    def heard(self, status: int, headers: Headers) -> None:
        """The head of the answer is here."""
        ...


class ConnectorClient:
    """Sends requests over the connections of *connector*, each once. *user_agent* is what they say of themselves."""

    def __init__(self, connector: aiohttp.BaseConnector, user_agent: str) -> None:
        self._connector = connector
        self._agent = {"User-Agent": user_agent}
        self._loop = asyncio.get_running_loop()
        self._deadlines = _Deadlines(self._loop)
        self._dials: dict[str, aiohttp.ClientRequest] = {}  # by origin, where no proxy is between
        # Heads but for the length of the body: by all that is in them, and the last one by whose they are.
        self._heads: dict[tuple[str, str, tuple[tuple[str, str], ...]], bytes] = {}
        self._last: tuple[str, str, Headers, bytes] = ("", "", {}, b"")

    async def exchange(
        self, request: HttpRequest, route: ProxyRoute, timeout: aiohttp.ClientTimeout, told: Told
    ) -> bytes | None:
        """The body of the answer to *request*; None where it is longer than the request allows.

        *timeout* is for all of it, and for the way to a connection. Raises what aiohttp raises; `HttpProcessingError`
        where the answer is no HTTP.
        """
        dial = self._dial(route)
        data = b"%b%d\r\n\r\n%b" % (self._head(request, route, dial), len(request.body), request.body)
        due = self._loop.time() + (timeout.total or math.inf)
        try:
            connection = await self._connector.connect(dial, traces=[], timeout=timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError from error
        self._deadlines.begin(connection, due)
        try:
            protocol, transport = _untouched(connection)
            protocol.set_response_params(
                skip_payload=request.method == "HEAD", read_until_eof=True, max_field_size=LONGEST_FIELD
            )
            told.leaving()
            transport.write(data)
            message, content = await protocol.read()
            while 100 <= message.code < 200 and message.code != _SWITCHING:
                message, content = await protocol.read()
            told.heard(message.code, message.headers)
            body = _at_hand(content)
            if body is None:
                body = await read_whole(content, request.answer_limit)
        except BaseException as error:
            connection.close()
            if self._deadlines.is_over(connection) and isinstance(error, Exception):
                raise TimeoutError from error
            raise
        if self._deadlines.is_over(connection):
            connection.close()
            raise TimeoutError
        if body is None or len(body) > request.answer_limit:
            connection.close()
            return None
        if transport.get_write_buffer_size():  # it was answered before all of it was read
            connection.close()
        else:
            connection.release()
        return body

    def close(self) -> None:
        """Nothing is sent any more."""
        self._deadlines.close()

    def _dial(self, route: ProxyRoute) -> aiohttp.ClientRequest:
        """What tells the connector where to, and with what headers requests to there begin."""
        if route.proxy is not None:  # the connector writes into what it is given then
            in_connect = CIMultiDict({**self._agent, **(route.in_connect or {})})
            return self._request(route.origin, proxy=route.proxy, proxy_headers=in_connect)
        found = self._dials.get(route.origin)
        if found is None:
            found = self._dials[route.origin] = self._request(route.origin)
        return found

    def _request(
        self, origin: str, proxy: URL | None = None, proxy_headers: CIMultiDict[str] | None = None
    ) -> aiohttp.ClientRequest:
        return aiohttp.ClientRequest(
            "GET",
            URL(origin, encoded=True),
            headers=self._agent,
            loop=self._loop,
            proxy=proxy,
            proxy_headers=proxy_headers,
        )

    def _head(self, request: HttpRequest, route: ProxyRoute, dial: aiohttp.ClientRequest) -> bytes:
        method, url, headers, head = self._last
        if request.headers is headers and request.url is url and request.method == method:  # as ever in a wave
            return head
        about = request.method, request.url, tuple(request.headers.items())
        found = self._heads.get(about)
        if found is None:
            if len(self._heads) >= _MOST_HEADS:  # signed requests have each their own
                self._heads.clear()
            found = self._heads[about] = _head(request, route, dial).encode()
        self._last = request.method, request.url, request.headers, found
        return found


def _head(request: HttpRequest, route: ProxyRoute, dial: aiohttp.ClientRequest) -> str:
    """The head of a request up to the length of its body. Raises ValueError where a header would begin another."""
    url = as_it_is(request.url)
    is_whole = route.proxy is not None and not route.tunnel
    target = str(url.with_fragment(None)) if is_whole else url.raw_path_qs
    fields = CIMultiDict(dial.headers)
    fields.update({**request.headers, **route.in_request})
    fields.setdefault("Content-Type", "application/json")
    fields.pop("Content-Length", None)
    lines = [f"{request.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    if any(map(_CONTROL.search, lines)):
        raise ValueError("a control character in the head of a request")
    return "\r\n".join([*lines, "Content-Length: "])


class _Deadlines:
    """Ends exchanges that take too long, with one timer for all: nearly none ever does."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._due: dict[Connection, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, connection: Connection, due: float) -> None:
        """What goes on over *connection* must be over when *due*, by the loop's clock."""
        self._due[connection] = due
        if self._timer is None or due < self._timer.when():
            self._set(due)

    def is_over(self, connection: Connection) -> bool:
        """Whether the exchange over *connection*, which has ended, was ended from here."""
        return self._due.pop(connection, None) is None

    def close(self) -> None:
        """Ring no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _set(self, due: float) -> None:
        self.close()
        self._timer = self._loop.call_at(due, self._ring)

    def _ring(self) -> None:
        self._timer, now = None, self._loop.time()
        for connection in [connection for connection, due in self._due.items() if due <= now]:
            del self._due[connection]
            if (transport := connection.transport) is not None:
                transport.abort()  # which wakes who reads
        if self._due:
            self._set(min(self._due.values()))


def _untouched(connection: Connection) -> tuple[ResponseHandler, asyncio.Transport]:
    """What *connection* is made of; raises where nothing can be asked on it."""
    protocol, transport = connection.protocol, connection.transport
    if protocol is None or transport is None or transport.is_closing():
        raise aiohttp.ClientConnectionResetError("it was closed before anything left")
    if protocol.should_close:
        raise aiohttp.ServerConnectionError(TOO_SOON)
    return protocol, transport


def _at_hand(content: aiohttp.StreamReader) -> bytes | None:
    """All of *content*, where it came together with the head; None where there may be more."""
    if content.at_eof():
        return b""
    if not content.is_eof() or content.exception() is not None:
        return None
    return b"".join(content._buffer)  # reading would resume the parser, which has ended


async def read_whole(content: aiohttp.StreamReader, limit: int) -> bytes | None:
    """All of *content*, so that the connection lives on; None, with a rest unread, where it is longer than *limit*."""
    chunks: list[bytes] = []
    length = 0
    while not content.at_eof():
        chunk = await content.readany()
        length += len(chunk)
        if length > limit:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


@lru_cache(maxsize=1024)
def as_it_is(url: str) -> URL:
    """*url* for aiohttp, byte for byte: it has been signed like this."""
    return URL(url, encoded=True)


@lru_cache(maxsize=1)
def lacks() -> tuple[str, ...]:
    """What `ConnectorClient` builds on without a promise of aiohttp, and is not there as it was. Empty: all is."""
    handler, connection = ResponseHandler, Connection
    takes: dict[Callable[..., object], set[str]] = {
        aiohttp.BaseConnector.connect: {"self", "req", "traces", "timeout"},
        aiohttp.ClientRequest.__init__: {"self", "method", "url", "headers", "loop", "proxy", "proxy_headers"},
        handler.set_response_params: {"self", "skip_payload", "read_until_eof", "max_field_size"},
        handler.read: {"self"},
    }
    has: dict[type, tuple[str, ...]] = {
        handler: ("should_close",),
        connection: ("protocol", "transport", "close", "release"),
        aiohttp.StreamReader: ("at_eof", "exception", "is_eof", "readany", "_buffer"),
        RawResponseMessage: ("code", "headers"),
    }
    wrong = [call.__qualname__ for call, names in takes.items() if not _takes(call, names)]
    wrong += [f"{kind.__name__}.{name}" for kind, names in has.items() for name in names if not hasattr(kind, name)]
    return tuple(wrong)


def _takes(call: Callable[..., object], names: set[str]) -> bool:
    """Whether *call* can be given these arguments, and needs no other."""
    parameters = inspect.signature(call).parameters
    needed = {name for name, parameter in parameters.items() if parameter.default is parameter.empty}
    return needed <= names <= set(parameters)
