"""A small IAM on a real socket that answers as a test tells it to, and keeps what it was asked."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from batcher.drs.transport import AiohttpTransport


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass(slots=True)
class IamServer:
    """*answer* is called with each request; *asked* keeps them; while *gate* is cleared, answers wait;
    *arrived* is set by the first request."""

    answer: Callable[[Asked], web.Response]
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        asked = Asked(str(request.rel_url), dict(request.headers), await request.read())
        self.asked.append(asked)
        self.arrived.set()
        await self.gate.wait()
        return self.answer(asked)


@asynccontextmanager
async def serving(answer: Callable[[Asked], web.Response]) -> AsyncIterator[IamServer]:
    server = IamServer(answer)
    server.gate.set()
    runner = web.ServerRunner(web.Server(server.handle), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        server.gate.set()
        await runner.cleanup()


def transport() -> AiohttpTransport:
    return AiohttpTransport(limit=16, connect_timeout_s=5.0, total_timeout_s=5.0)


def token(value: str = "MIItoken-one", *, life_s: int = 86400, project: str | None = "p1") -> web.Response:
    """IAM's 201: the token in a header; issued at a time that has nothing to do with our clock."""
    begun = 1_700_000_000
    told: dict[str, Any] = {"issued_at": stamp(begun), "expires_at": stamp(begun + life_s)}
    if project is not None:
        told["project"] = {"id": project, "name": "eu-west-101"}
    return web.json_response({"token": told}, status=201, headers={"X-Subject-Token": value})


def stamp(at: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def error(status: int, message: str = "no", code: str | None = None, **headers: str) -> web.Response:
    """An error in IAM's own shape, or with a code in the other one."""
    body: dict[str, Any] = {"error": {"message": message, "code": status, "title": "x"}}
    if code is not None:
        body = {"error_code": code, "error_msg": message}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.json_response(body, status=status, headers=named)
