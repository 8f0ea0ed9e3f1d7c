"""A small middleman on loopback: a reverse proxy in front of one upstream, and a forward proxy that leads there too.

    async with Middleman(sim.url, date=lambda: time.time() + 7) as gateway:
        ...                                            # gateway.url is the endpoint, or the proxy
        gateway.show(pages.BARE_404, seconds=8)        # it answers in the cloud's place for a while
        gateway.asked("create-compare-task")           # what came, and what was passed on

Whatever address a request names, it goes to *upstream*: `CONNECT` as well. `ThreadedMiddleman` has a thread of its own.
"""

import asyncio
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.connections import Listening
from tests.middleman import pages

_HOP = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"proxy-authorization"})
_PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it arrived. *passed_on* is how many times it went upstream."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    passed_on: int


@dataclass(slots=True)
class _Shown:
    page: bytes
    only: str
    after: int
    seconds: float | None
    left: int | None
    until: float | None = None  # by the loop's clock, from the first request that gets it


@dataclass(slots=True, kw_only=True)
class Behaviour:
    """How a middleman treats what it passes on.

    *date* gives the Unix seconds that replace the cloud's `Date`; None: it is passed on as it is. *repeats* tells which
    requests go upstream twice, as some proxies do when the first answer is late: the second answer is the one passed
    back. *idle_s*: a connection without a request for so long is closed. *connect* is the answer to `CONNECT` that
    refuses it; None: a tunnel is opened. *lost* is what it says where upstream gives no whole answer. *adds* are
    headers of its own.
    """

    date: Callable[[], float] | None = None
    repeats: Callable[[Asked], bool] = lambda _: False
    idle_s: float | None = None
    connect: bytes | None = None
    lost: bytes = pages.BAD_GATEWAY
    adds: dict[str, str] = field(default_factory=dict)


class Middleman:
    """See the module. *behaviour* may be replaced at any time; *connections* counts those that were opened to it."""

    def __init__(
        self,
        upstream: str,
        *,
        date: Callable[[], float] | None = None,
        repeats: Callable[[Asked], bool] = lambda _: False,
        idle_s: float | None = None,
        connect: bytes | None = None,
        lost: bytes = pages.BAD_GATEWAY,
        adds: dict[str, str] | None = None,
    ) -> None:
        self.behaviour = Behaviour(
            date=date, repeats=repeats, idle_s=idle_s, connect=connect, lost=lost, adds=adds or {}
        )
        self.connections = 0
        self.port = 0
        self._upstream = urlsplit(upstream)
        self._asked: list[Asked] = []
        self._shown: list[_Shown] = []

    @property
    def url(self) -> str:
        """Its own address, as an endpoint or as a proxy."""
        return f"http://127.0.0.1:{self.port}"

    def asked(self, call: str = "") -> list[Asked]:
        """The requests that came so far whose target ends in *call*."""
        return [asked for asked in self._asked if asked.target.endswith(call)]

    def show(
        self, page: bytes, *, seconds: float | None = None, times: int | None = None, only: str = "", after: int = 0
    ) -> None:
        """Answer with *page* in the cloud's place: requests whose target ends in *only*, once *after* of them have been
        passed on; for *seconds* from the first one, or so many *times*, or, with neither, until `clear`."""
        self._shown.append(_Shown(page, only, after, seconds, times))

    def clear(self) -> None:
        """Show no page any more."""
        self._shown.clear()

    async def __aenter__(self) -> Self:
        self._listening = Listening(self._serve, backlog=256)
        self.port = await self._listening.start(self.port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._listening.end()

    # --- one connection ---------------------------------------------------------------------------------------

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, OSError, TimeoutError):
            pass  # one side has gone
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Take one request and answer it; False: the connection ends."""
        async with asyncio.timeout(self.behaviour.idle_s):
            head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        body = await reader.readexactly(int(length[1])) if length else b""
        asked = _read(head, body)
        if asked.method == "CONNECT" and self.behaviour.connect is None:
            self._asked.append(asked)
            await self._tunnel(reader, writer)
            return False
        answer, times = await self._answer(asked, head)
        self._asked.append(Asked(asked.method, asked.target, asked.headers, body, times))
        writer.write(answer)
        await writer.drain()
        return answer != pages.HANG_UP and asked.method != "CONNECT"

    async def _answer(self, asked: Asked, head: bytes) -> tuple[bytes, int]:
        """The answer, and how many times the request was passed on."""
        if asked.method == "CONNECT":
            assert self.behaviour.connect is not None
            return self.behaviour.connect, 0
        if (page := self._page(asked)) is not None:
            return page, 0
        times = 2 if self.behaviour.repeats(asked) else 1
        answer = b""
        for _ in range(times):
            answer = await self._pass_on(head, asked)
        return answer, times

    def _page(self, asked: Asked) -> bytes | None:
        now = asyncio.get_running_loop().time()
        for shown in self._shown:
            if not asked.target.endswith(shown.only):
                continue
            passed = sum(one.passed_on > 0 for one in self.asked(shown.only))
            if passed < shown.after or shown.left == 0 or (shown.until is not None and now >= shown.until):
                continue
            if shown.until is None and shown.seconds is not None:
                shown.until = now + shown.seconds
            if shown.left is not None:
                shown.left -= 1
            return shown.page
        return None

    # --- towards the cloud ------------------------------------------------------------------------------------

    async def _pass_on(self, head: bytes, asked: Asked) -> bytes:
        """Send the request upstream, once; its whole answer, or what this one says where there is none."""
        lines = head.split(b"\r\n")[1:-2]
        kept = [line for line in lines if line.partition(b":")[0].strip().lower() not in _HOP]
        parts = urlsplit(asked.target)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        first = f"{asked.method} {target} HTTP/1.1".encode()
        try:
            reader, writer = await self._reach()
        except OSError:
            return self.behaviour.lost
        try:
            writer.write(b"\r\n".join([first, *kept, b"Connection: close", b"", b""]) + asked.body)
            async with asyncio.timeout(_PATIENCE_S):
                answer = await reader.read()
        except (OSError, TimeoutError):
            return self.behaviour.lost
        finally:
            writer.close()
        return self._rewritten(answer)

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self._upstream.hostname, self._upstream.port, limit=2**24)

    def _rewritten(self, answer: bytes) -> bytes:
        head, blank, body = answer.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head + b"\r\n")
        if not blank or (length and len(body) < int(length[1])):
            return self.behaviour.lost
        first, *lines = head.split(b"\r\n")
        named = [(line.partition(b":")[0].strip().lower(), line) for line in lines]
        own_date = self.behaviour.date
        kept = [line for name, line in named if name not in _HOP and not (own_date and name == b"date")]
        if own_date is not None:
            kept.append(b"Date: " + formatdate(own_date(), usegmt=True).encode())
        kept += [f"{name}: {value}".encode("latin-1") for name, value in self.behaviour.adds.items()]
        return b"\r\n".join([first, *kept, b"", b""]) + body

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await self._reach()
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                while data := await source.read(65536):
                    sink.write(data)
                    await sink.drain()
            sink.close()

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(copy(reader, there_writer))
                group.create_task(copy(there_reader, writer))
        finally:
            there_writer.close()


class ThreadedMiddleman:
    """A `Middleman` in a thread of its own, for tests that run batcher's commands; a context manager."""

    def __init__(self, middleman: Middleman) -> None:
        self._middleman = middleman
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="middleman", daemon=True)

    def __enter__(self) -> Middleman:
        self._thread.start()
        return asyncio.run_coroutine_threadsafe(self._middleman.__aenter__(), self._loop).result(_PATIENCE_S)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        ending = self._middleman.__aexit__(None, None, None)
        asyncio.run_coroutine_threadsafe(ending, self._loop).result(_PATIENCE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE_S)
        self._loop.close()


def _read(head: bytes, body: bytes) -> Asked:
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _ = first.split(" ", 2)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Asked(method, target, headers, body, 0)
