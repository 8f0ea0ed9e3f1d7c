"""The service's connections: the socket, how many there may be, and how long each may take."""

import asyncio
import logging
import resource
import socket
from functools import partial
from typing import Any, cast

from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import LineTooLong

from batcher.service.headers import add_headers
from batcher.service.problem import Problem
from batcher.service.traffic import Unparsed

_LONGEST_LINE = 8190  # bytes of the request line, or of a header
_MOST_HEADERS = 64

# For `BoundedRunner`. Headers have to be there within `keepalive_timeout`, and an idle connection is closed after it.
SERVER_OPTIONS: dict[str, Any] = {
    "keepalive_timeout": 30.0,
    "max_line_size": _LONGEST_LINE,
    "max_field_size": _LONGEST_LINE,
    "max_headers": _MOST_HEADERS,
    "lingering_time": 5.0,
    "auto_decompress": False,  # see `unpacking`
    "access_log": logging.getLogger("batcher.service.http"),  # it is the guard that writes a request's line
    "access_log_class": Unparsed,
}
_SILENT_S = 30  # in which the other side has to take what was sent to it, or the kernel ends the connection


class BoundedRunner(web.AppRunner):
    """An `AppRunner` that has at most *most* connections open at once: those above are ended as they come.

    *options* are those of each connection, see `SERVER_OPTIONS`.
    """

    __slots__ = ("_most", "_options")

    def __init__(self, app: web.Application, most: int, *, shutdown_timeout: float, **options: Any) -> None:
        super().__init__(app, shutdown_timeout=shutdown_timeout, **options)
        self._most = max(1, min(most, _file_limit() // 2))
        self._options = options

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
        if len(server.connections) >= self._most:
            return _TurnedAway()
        return _Connection(server, loop=asyncio.get_running_loop(), **self._options)


class _TurnedAway(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).abort()


class _Connection(web.RequestHandler):
    """A connection that answers with a problem document also to what cannot be read as a request."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer. Of what was sent it tells nothing: it may be anything, a token too."""
        super().handle_error(request, status, exc, message)  # it is logged; raises where an answer is on its way
        response = _unreadable(status, exc).response()
        add_headers(response)
        response.force_close()
        return response


async def expected(request: web.Request) -> web.StreamResponse | None:
    """What is said to a request with `Expect`: go on, or that it cannot be had."""
    if request.version < HttpVersion11:
        return None
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # of the answer nothing was sent yet
        return None
    return Problem(417, "Of what Expect may ask for, the service knows 100-continue alone: leave it out.").response()


def _unreadable(status: int, error: BaseException | None) -> Problem:
    if isinstance(error, LineTooLong):
        return Problem(
            431,
            f"The address or a header is longer than the service takes, which is {_LONGEST_LINE:,} bytes.",
        )
    if status == 400:
        return Problem(
            400,
            f"This is no HTTP/1.1 request that can be read, or has over {_MOST_HEADERS} headers. Nothing was done.",
        )
    return Problem(status, "This is a defect of the service; its log has the cause. What was accepted is safe.")


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
