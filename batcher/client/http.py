"""Every request to a service: sent again through lost connections and restarts where that is safe, and told plainly
where the service says no.

No redirect is followed and no cookie kept, so that the token goes to no other host.
"""

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, BinaryIO, NoReturn, Self, TypeVar

import aiohttp
import orjson
from yarl import URL

from batcher.client.access import Access
from batcher.client.errors import NotReached, ServiceLost, ServiceRefused, StreamBroken
from batcher.client.problems import refused
from batcher.clock import Clock, SystemClock
from batcher.drs.proxies import Proxies
from batcher.drs.transport import USER_AGENT, trusting
from batcher.durations import rough_duration
from batcher.errors import UserError
from batcher.logger import get_logger
from batcher.text import printable

log = get_logger("batcher.client")
T = TypeVar("T")

PATIENCE_S = 20.0  # that a service may not answer, in a command that asks once
FIRST_S, LONGEST_S = 0.2, 5.0  # between two attempts
_SILENCE_S = 60.0  # without a byte of a stream, after which it is asked for anew
_CONNECT_S = 10.0
_ANSWER_S = 60.0
_MOST = 64 * 1024 * 1024  # bytes of an answer that is held in memory
_MOST_REFUSED = 16 * 1024 * 1024  # bytes of one that says no, which may tell a million findings: the first will do
_LATER = frozenset({408, 429, 502, 503, 504})  # it may go well a moment later
_NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)

Body = Callable[[], AsyncIterator[bytes]] | bytes | None
"""A request's body; a stream is made anew for each attempt."""


class ServiceClient:
    """Speaks to one service; an async context manager. *patience_s* is how long it may not answer.

    Calls raise `ServiceRefused` where it says no, and `ServiceLost` where it does not answer for that long.
    """

    def __init__(
        self,
        access: Access,
        *,
        patience_s: float = PATIENCE_S,
        clock: Clock | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.access = access
        self.patience_s = patience_s
        self._clock = clock or SystemClock()
        self._rng = rng or random.Random()
        self._proxies = Proxies(access.proxy)
        self._proxies.to(access.url)  # unusable ones are found out before anything is done
        self._tls = True if access.ca_bundle is None else trusting(access.ca_bundle)
        self._session: aiohttp.ClientSession | None = None
        self._lost_at: float | None = None  # monotonic; None: it answered the last time

    async def __aenter__(self) -> Self:
        headers = {"User-Agent": USER_AGENT, "Accept": "*/*"}
        if self.access.token is not None:
            headers["Authorization"] = f"Bearer {self.access.token}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=self._tls, keepalive_timeout=10.0),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=headers,
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    # --- what can be asked ------------------------------------------------------------------------------

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """The JSON at *path*."""
        return orjson.loads(await self.read(path, query))

    async def read(self, path: str, query: Mapping[str, str] | None = None) -> bytes:
        """What is at *path*, as it is."""
        return await self.lasting(lambda: self._once("GET", path, query), repeatable=True)

    async def download(self, path: str, query: Mapping[str, str], out: BinaryIO) -> None:
        """Write what is at *path* to *out*, from where that stands, however long it is; from there again where the
        connection breaks off. *out* can be cut (a file)."""
        began = out.tell()

        async def attempt() -> None:
            out.seek(began)
            out.truncate()
            try:
                async with self._request("GET", path, query, None, {}, total_s=None) as answer:
                    if answer.status >= 300:
                        said = await _body(answer)
                    else:
                        async for piece in answer.content.iter_any():
                            out.write(piece)
            except (aiohttp.ClientError, ConnectionError, TimeoutError) as error:
                raise self._not_reached(error) from error
            if answer.status >= 300:
                self._say_no(answer, said)

        await self.lasting(attempt, repeatable=True)

    async def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        repeatable: bool,
        already: Callable[[], Awaitable[Any | None]] | None = None,
    ) -> Any:
        """Have something changed; the JSON that it answers with.

        Where it is not *repeatable*, a request that may have got there is not sent again. *already* looks, when a
        repeat is refused with 409, whether the first one had done it, and gives the answer then.
        """
        content = None if body is None else orjson.dumps(dict(body))
        headers = {} if content is None else {"Content-Type": "application/json"}
        attempts = 0

        async def attempt() -> bytes:
            nonlocal attempts
            attempts += 1
            return await self._once(method, path, None, content, headers)

        try:
            return orjson.loads(await self.lasting(attempt, repeatable=repeatable))
        except ServiceRefused as error:
            if error.status != 409 or attempts < 2 or already is None or (found := await already()) is None:
                raise
            return found

    async def upload(self, path: str, query: Mapping[str, str], body: Body, headers: Mapping[str, str]) -> Any:
        """Hand in a stream, under an `Idempotency-Key` in *headers*, which makes it safe to repeat."""
        return orjson.loads(
            await self.lasting(lambda: self._once("POST", path, query, body, headers, total_s=None), repeatable=True)
        )

    @asynccontextmanager
    async def stream(
        self, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> AsyncIterator[tuple[str, AsyncIterator[bytes]]]:
        """A stream at *path*: its `ETag`, and its pieces as they come, once.

        Raises `ServiceRefused`, and `StreamBroken` where it breaks off or does not begin.
        """
        try:
            async with self._request("GET", path, query, None, headers, total_s=None) as answer:
                if answer.status in _LATER or answer.status >= 500:
                    raise StreamBroken(f"HTTP {answer.status}")
                if answer.status >= 300:
                    raise self._refused(answer, await _body(answer))
                self._reached()
                yield answer.headers.get("ETag", ""), _until_silent(answer)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            if _is_hopeless(error):
                raise UserError(self._untrusted(error)) from error
            raise StreamBroken(_reason(error)) from error

    # --- how it is asked --------------------------------------------------------------------------------

    async def lasting(self, attempt: Callable[[], Awaitable[T]], *, repeatable: bool) -> T:
        """What *attempt* gives, made as often as it takes. Raises `ServiceLost`."""
        began, pause_s, sent = self._clock.monotonic(), FIRST_S, False
        while True:
            try:
                answer = await attempt()
            except NotReached as error:
                trouble = error
                sent = sent or trouble.sent
            else:
                self._reached()
                return answer
            if trouble.sent and not repeatable:
                raise ServiceLost(
                    f"{self.access.url} did not answer ({trouble.why}): whether it has done what was asked for is not "
                    "known. Look before you ask again.",
                    sent=True,
                )
            waited_s = self._clock.monotonic() - began
            if waited_s >= self.patience_s:
                told, why = rough_duration(waited_s), trouble.why.rstrip(".")
                raise ServiceLost(
                    f"the service at {self.access.url} has given no answer to go by for {told}: {why}.", sent=sent
                )
            self._unreached(trouble.why)
            await self._clock.sleep(max(trouble.after_s or 0.0, pause_s * self._rng.uniform(0.5, 1.0)))
            pause_s = min(LONGEST_S, pause_s * 2)

    async def _once(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Body = None,
        headers: Mapping[str, str] | None = None,
        total_s: float | None = _ANSWER_S,
    ) -> bytes:
        """One attempt; the body of an answer that says yes. Raises `NotReached`, `ServiceRefused`."""
        try:
            async with self._request(method, path, query, body, headers or {}, total_s=total_s) as answer:
                said = await _body(answer)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._not_reached(error) from error
        if answer.status >= 300:
            self._say_no(answer, said)
        return said

    def _not_reached(self, error: Exception) -> NotReached:
        """An attempt that came to nothing. Raises `UserError` where no waiting mends it."""
        if _is_hopeless(error):
            raise UserError(self._untrusted(error)) from error
        return NotReached(_reason(error), sent=not isinstance(error, _NOT_SENT))

    def _say_no(self, answer: aiohttp.ClientResponse, body: bytes) -> NoReturn:
        """Raise what an answer other than 2xx is."""
        told = self._refused(answer, body)
        if answer.status in _LATER:
            raise NotReached(told.message, sent=False, after_s=_after_s(answer))
        raise told

    @asynccontextmanager
    async def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Body,
        headers: Mapping[str, str],
        *,
        total_s: float | None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        assert self._session is not None, "use it as a context manager"  # noqa: S101
        url = URL(self.access.url + path, encoded=True).with_query(dict(query or {}))
        way = self._proxies.to(self.access.url)
        async with self._session.request(
            method,
            url,
            data=body() if callable(body) else body,
            headers={**headers, **way.in_request},
            allow_redirects=False,
            proxy=way.proxy,
            proxy_headers=way.in_connect,
            timeout=aiohttp.ClientTimeout(total=total_s, connect=_CONNECT_S, sock_read=_SILENCE_S),
        ) as answer:
            yield answer

    def _refused(self, answer: aiohttp.ClientResponse, body: bytes) -> ServiceRefused:
        return refused(self.access.url, answer.status, answer.content_type, answer.headers.get("Location"), body)

    def _untrusted(self, error: BaseException) -> str:
        return (
            f"the service at {self.access.url} cannot be trusted: {printable(str(error), 300)}. Name the authorities "
            "that its certificate comes from with --ca-bundle."
        )

    def _unreached(self, why: str) -> None:
        if self._lost_at is None:
            self._lost_at = self._clock.monotonic()
            log.warning("client.unreachable", service=self.access.url, reason=why)

    def _reached(self) -> None:
        if self._lost_at is not None:
            gone_s = self._clock.monotonic() - self._lost_at
            self._lost_at = None
            log.info("client.reached", service=self.access.url, after_s=round(gone_s, 1))

    async def pause(self, attempts: int, why: str) -> None:
        """Wait before the next of so many *attempts* at a stream, which broke for that reason."""
        if attempts:
            self._unreached(why)
        pause_s = min(LONGEST_S, FIRST_S * 2 ** min(attempts, 10))
        await self._clock.sleep(pause_s * self._rng.uniform(0.5, 1.0))


async def _until_silent(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The pieces of a stream. It ends where none comes for long: nothing may be new, or the connection may be dead."""
    try:
        async for piece in answer.content.iter_any():
            yield piece
    except aiohttp.SocketTimeoutError:
        return


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    """The whole body, or of one that says no as much as anybody reads. Raises `UserError` where it is longer than any
    answer of a service."""
    pieces, length = [], 0
    async for piece in answer.content.iter_any():
        pieces.append(piece)
        length += len(piece)
        if answer.status >= 400 and length > _MOST_REFUSED:
            answer.close()
            break
        if length > _MOST:
            raise UserError(f"an answer of the service is longer than {_MOST // 1024 // 1024} MiB.")
    return b"".join(pieces)


def _after_s(answer: aiohttp.ClientResponse) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return float(min(int(text), 60)) if text.isdecimal() and text.isascii() and len(text) < 6 else None


def _is_hopeless(error: BaseException) -> bool:
    """Whether no waiting mends it: a certificate that is not trusted."""
    return isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError)


def _reason(error: BaseException) -> str:
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the connection broke off"
    if isinstance(error, TimeoutError):
        return "it takes too long"
    if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.strerror:
        return printable(error.os_error.strerror, 200)
    return printable(str(error) or type(error).__name__, 200)
