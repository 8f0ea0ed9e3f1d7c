"""The one place where bytes leave: aiohttp's connections for a wave, one request at a time for each call.

What matters here is the line between "cannot have been acted on" and "may have been": it is crossed when the first
byte of the body is handed to a connection that is up, TLS included. Everything before is `RequestStage.NOT_SENT`.
"""

import os
import ssl
from collections.abc import Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import HttpProcessingError

from batcher._version import __version__
from batcher.clock import SystemClock
from batcher.drs import guesses, wire
from batcher.drs.answer import Answer, RequestStage
from batcher.drs.authorship import PROXY_LOGIN, speaker
from batcher.drs.cloud import HeldBack, HttpRequest
from batcher.drs.proxies import Proxies, ProxyRoute, ProxyTrial, UnusableProxy
from batcher.errors import UserError

USER_AGENT = f"batcher/{__version__}"
_SENT, _NOT_SENT = RequestStage.SENT, RequestStage.NOT_SENT  # Python looks for a member anew at each mention
_LEAST_S = 15.0  # that any answer is waited for, where so much is allowed


class AiohttpTransport:
    """A `Transport` over aiohttp; an async context manager.

    Connections are kept and used again, and given up before the other side is likely to. No redirect is followed and
    no cookie kept; `.netrc` is not read. A POST is never repeated, also where a kept connection turns out to be dead.
    *connect_timeout_s* covers waiting for a connection, name, TCP, proxy and TLS; *total_timeout_s* all of it,
    the answer's body included. *ca_bundle* replaces the system's authorities. *proxy* beats the proxy variables of the
    environment, which never apply to loopback. What a proxy has refused once is not asked of it again. *now* gives Unix
    seconds, for what an `Answer` says of when it was.
    """

    def __init__(
        self,
        *,
        limit: int = 32,
        connect_timeout_s: float = 10.0,
        total_timeout_s: float = 60.0,
        ca_bundle: Path | str | None = None,
        proxy: str | None = None,
        now: Callable[[], float] = SystemClock.now,
    ) -> None:
        self._limit = limit
        self._now = now
        self._timeout = _timeout(total_timeout_s, connect_timeout_s)
        # True is the system's authorities: aiohttp has loaded them already.
        self._tls = True if ca_bundle is None else trusting(ca_bundle)
        self._proxies = Proxies(proxy)
        self._session: aiohttp.ClientSession | None = None
        self._wire: wire.ConnectorClient | None = None

    def check(self, urls: Iterable[str]) -> None:
        """Raises `UserError` where a proxy that is named for one of *urls* cannot be used."""
        for url in urls:
            self._proxies.to(url)

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=self._limit, ssl=self._tls, keepalive_timeout=guesses.KEEP_ALIVE_S)
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": USER_AGENT},
            timeout=self._timeout,
            max_field_size=wire.LONGEST_FIELD,
            trust_env=False,  # it would look into .netrc and the proxy variables for every request
        )
        self._wire = None if wire.lacks() else wire.ConnectorClient(connector, USER_AGENT)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._wire is not None:
            self._wire.close()
        if self._session is not None:
            await self._session.close()

    def send(self, request: HttpRequest) -> Coroutine[Any, Any, Answer]:
        """Send *request* once and read the whole answer. Every trouble on the way is in the `Answer`."""
        if self._session is None:
            raise RuntimeError("use the transport as a context manager: `async with AiohttpTransport(…)`")
        try:
            route = self._proxies.to(request.url)
        except UnusableProxy as error:
            return self._barred(request, error.message)
        return self._send(request, route) if route.trial is None else self._try(request, route, route.trial)

    async def _barred(self, request: HttpRequest, why: str) -> Answer:
        return _Attempt(request, self._now).failed(why, "barred")

    async def _try(self, request: HttpRequest, route: ProxyRoute, trial: ProxyTrial) -> Answer:
        """Send *request* through a proxy, unless that has refused such a one."""
        await trial.enter()
        try:
            if (why := trial.refusal(route.origin)) is not None:
                return await self._barred(request, why)
            answer = await self._send(request, route)
            if answer.http_status == PROXY_LOGIN:
                trial.refused(None, "not sent: the proxy refused the login just now")
            elif answer.http_status is not None:
                trial.passed()
            return answer
        finally:
            trial.leave()

    def _shorter(self, patience: float) -> aiohttp.ClientTimeout:
        total_s = self._timeout.total or _LEAST_S
        least_s = min(total_s, max(_LEAST_S, total_s * patience))
        return _timeout(least_s, self._timeout.connect or least_s)

    async def _send(self, request: HttpRequest, route: ProxyRoute) -> Answer:
        attempt = _Attempt(request, self._now, route)
        timeout = self._timeout if request.patience >= 1.0 else self._shorter(request.patience)
        exchange = self._by_session if self._wire is None else self._wire.exchange
        try:
            body = await exchange(request, route, timeout, attempt)
        except aiohttp.ClientHttpProxyError as error:
            return attempt.failed(*_not_through(error, route))
        except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
            if attempt.held_back is not None:  # raised where aiohttp writes, it has made another error of it
                raise attempt.held_back from None
            return attempt.failed(*_explain(error, attempt, timeout, route))
        if body is None:
            return attempt.failed(f"the answer is longer than {request.answer_limit:,} bytes", "protocol")
        if not attempt.sent:
            return attempt.failed(wire.TOO_SOON, "network")
        return attempt.answered(body)

    async def _by_session(
        self, request: HttpRequest, route: ProxyRoute, timeout: aiohttp.ClientTimeout, attempt: "_Attempt"
    ) -> bytes | None:
        """What `wire.ConnectorClient` does, at thrice its cost, by what aiohttp promises."""
        assert self._session is not None  # noqa: S101 - `send` looks
        async with self._session.request(
            request.method,
            wire.as_it_is(request.url),
            data=TellingBody(request.body, attempt.leaving),
            headers={**request.headers, **route.in_request} if route.in_request else request.headers,
            allow_redirects=False,
            proxy=route.proxy,
            proxy_headers=route.in_connect,
            timeout=timeout,
        ) as response:
            attempt.heard(response.status, response.headers)
            body = await wire.read_whole(response.content, request.answer_limit)
            if body is None:
                response.close()
            return body


def _timeout(total_s: float, connect_s: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=total_s, connect=min(connect_s, total_s))


def _sound(text: str) -> str:
    """*text* as one that can be written: aiohttp lets bytes through that are none, as lone surrogates."""
    return text.encode(errors="replace").decode()


class _Attempt:
    """What is known of one request under way. It does not know its body: that would be a cycle, which with all that
    hangs on it stays in memory until the collector of garbage comes."""

    __slots__ = ("_headers", "_now", "_on_sent", "_through", "held_back", "sent", "sent_at", "status")

    def __init__(self, request: HttpRequest, now: Callable[[], float], route: ProxyRoute | None = None) -> None:
        self._now = now
        self.sent_at = now()
        self.sent = False
        self.status: int | None = None
        self._headers: dict[str, str] = {}
        self._on_sent = request.on_sent
        self.held_back: HeldBack | None = None
        self._through = route.trial if route is not None and route.tunnel else None

    def leaving(self) -> None:
        """The body is about to be handed to the connection. Raises `HeldBack`: then it must not be."""
        if self.sent:
            return
        self.sent_at = self._now()
        if self._through is not None:
            self._through.passed()
        if self._on_sent is not None:
            try:
                self._on_sent()
            except HeldBack as error:
                self.held_back = error
                raise
        self.sent = True

    def heard(self, status: int, headers: Mapping[str, str]) -> None:
        """The answer's head is here."""
        self.status = status
        self._headers = {name.lower(): value if value.isascii() else _sound(value) for name, value in headers.items()}

    def answered(self, body: bytes) -> Answer:
        """The whole answer is here."""
        return Answer(
            stage=self._stage,
            sent_at=self.sent_at,
            answered_at=self._now(),
            http_status=self.status,
            headers=self._headers,
            body=body,
        )

    def failed(self, error: str, kind: str) -> Answer:
        """No whole answer will come."""
        return Answer(
            stage=self._stage,
            sent_at=self.sent_at,
            answered_at=self._now(),
            headers=self._headers,
            error=_sound(error),
            error_kind=kind,
        )

    @property
    def _stage(self) -> RequestStage:
        return _SENT if self.sent else _NOT_SENT


class TellingBody(aiohttp.Payload):
    """The request's body, which says when it is handed to the connection.

    Headers and body leave together in one write, and aiohttp refuses to write into a connection that is closing: then
    no byte has left.
    """

    def __init__(self, value: bytes, leaving: Callable[[], None]) -> None:
        super().__init__(value, content_type="application/json")
        self._size = len(value)
        self._leaving = leaving

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        content: bytes = self._value
        return content.decode(encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        connection = getattr(writer, "transport", None)
        if connection is None or not connection.is_closing():
            self._leaving()
        await writer.write(self._value)


def trusting(ca_bundle: Path | str) -> ssl.SSLContext:
    """TLS that trusts the authorities in the PEM file *ca_bundle* alone. Raises `UserError`."""
    try:
        return ssl.create_default_context(cafile=ca_bundle)
    except OSError as error:
        raise UserError(
            f"{ca_bundle} cannot be used as certificate authorities ({_reason(error)}): give a PEM file of certificates"
        ) from error


def _explain(error: Exception, attempt: _Attempt, timeout: aiohttp.ClientTimeout, route: ProxyRoute) -> tuple[str, str]:
    """What happened, for people, and its kind. Nothing of the request is quoted, nor foreign text of the answer."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return f"no connection within {timeout.connect:g} s", "timeout"
        case TimeoutError() if attempt.status is not None:
            return f"the answer (status {attempt.status}) was not whole within {timeout.total:g} s", "timeout"
        case TimeoutError():
            return f"no answer within {timeout.total:g} s", "timeout"
        case aiohttp.ClientProxyConnectionError():
            return f"no connection to the proxy: {_reason(error.os_error)}", "network"
        case aiohttp.ClientConnectorDNSError():
            whose = "the host's" if route.proxy is None else "the proxy's"  # which resolves the host's itself
            return f"{whose} name could not be resolved: {_reason(error.os_error)}", "network"
        case aiohttp.ClientConnectorCertificateError():
            reason = _reason(error.certificate_error)
            return f"the server's certificate is not trusted: {reason} (--ca-bundle names whom to trust)", "network"
        case aiohttp.ClientConnectorSSLError():
            return f"TLS failed: {_reason(error.os_error)}", "network"
        case aiohttp.ClientConnectorError():
            return f"no connection: {_reason(error.os_error)}", "network"
        case aiohttp.ServerDisconnectedError():
            return "the connection was closed before an answer came", "network"
        case aiohttp.ServerConnectionError():
            return wire.TOO_SOON, "network"
        case aiohttp.ClientPayloadError():
            return f"the answer (status {attempt.status}) broke off", "network"
        case HttpProcessingError() | aiohttp.ClientResponseError():
            return "the answer is no HTTP", "foreign"
        case aiohttp.ClientConnectionResetError() if not attempt.sent:
            return "the connection was closed before the request could leave", "network"
        case OSError():
            return f"the connection broke: {_reason(error)}", "network"
        case _:
            return f"the connection broke ({type(error).__name__})", "network"


def _not_through(error: aiohttp.ClientHttpProxyError, route: ProxyRoute) -> tuple[str, str]:
    """What a proxy's answer to `CONNECT` says, and its kind. It is kept in mind where it must not be asked again."""
    assert route.trial is not None  # noqa: S101 - there is a proxy
    headers = {name.lower(): _sound(value) for name, value in (error.headers or {}).items()}
    by = speaker(headers)
    said = f"status {error.status}" + (f" from {by}" if by else "")
    host = route.origin.partition("://")[2]
    if error.status in (401, PROXY_LOGIN):
        has_login = route.in_connect is not None
        why = "does not take the user name and password it was given" if has_login else "wants a user name and password"
        how = ": correct them" if has_login else ": put USER:PASSWORD@ before its host"
        how += " in --proxy or the proxy variable; nothing more is asked of it, lest it lock the account"
        route.trial.refused(None, f"not sent: the proxy refused the login just now ({said})")
        return f"the proxy {why} ({said}){how}", "barred"
    if error.status == 403:
        why = f"the proxy does not allow connections to {host} ({said}): that is its own rule, not the cloud's"
        route.trial.refused(route.origin, f"not sent: {why}")
        return why, "barred"
    return f"the proxy could not open the way to {host} ({said})", "network"


def _reason(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError):
        return getattr(error, "verify_message", "") or error.reason or "handshake failed"
    if isinstance(error, ConnectionError) and error.errno:
        return os.strerror(error.errno)  # asyncio's own text is for programmers
    words = getattr(error, "strerror", None) or type(error).__name__
    return str(words)
