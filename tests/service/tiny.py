"""A tiny service behind the real door, on a real socket: what `guard` and its neighbours do, without any wave."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
from aiohttp import ClientSession, web

from batcher.clock import SystemClock
from batcher.service.connections import SERVER_OPTIONS, BoundedRunner, listening
from batcher.service.guard import Guard, who_of
from batcher.service.limits import ServiceLimits, StreamQuota, sent, upload
from batcher.service.login import LoginRoutes
from batcher.service.roles import Role
from batcher.service.tokens import TokensFile, new_token

LEAST = {
    "/read": Role.READ,
    "/submit": Role.SUBMIT,
    "/approve": Role.APPROVE,
    "/admin": Role.ADMIN,
    "/upload": Role.SUBMIT,
    "/stream": Role.READ,
    "/broken": Role.READ,
}


async def _who(request: web.Request) -> web.Response:
    who = who_of(request)
    return web.json_response({"name": who.name, "role": who.role.word, "address": who.address})


async def _open(_: web.Request) -> web.Response:
    return web.Response(text="open to all")


async def _large(_: web.Request) -> web.Response:
    return web.Response(body=b"x" * 20_000_000)


async def _broken(_: web.Request) -> web.Response:
    raise RuntimeError("password=hunter2hunter2 is in here")


class Tiny:
    """The service's address, its guard, and how to speak to it."""

    def __init__(self, tokens: Path | None, limits: ServiceLimits) -> None:
        self.limits = limits
        self.guard = Guard(
            None if tokens is None else TokensFile(tokens),
            lambda request: LEAST.get(request.path),
            clock=SystemClock(),
        )
        self.streams = StreamQuota("open stream", limits.streams, limits.streams_each)
        self.url = ""
        self.client: ClientSession
        self.port = 0
        self.open_connections: Callable[[], int]

    def app(self) -> web.Application:
        app = web.Application()
        self.guard.attach(app)
        login = LoginRoutes(self.guard, self.limits)
        app.router.add_post("/v1/session", login.begin)
        app.router.add_get("/v1/session", login.look)
        app.router.add_delete("/v1/session", login.end)
        for path in ("/read", "/submit", "/approve", "/admin"):
            app.router.add_get(path, _who)
            app.router.add_post(path, _who)
        app.router.add_get("/open", _open)
        app.router.add_get("/large", _large)
        app.router.add_get("/broken", _broken)
        app.router.add_post("/upload", self._upload)
        app.router.add_get("/stream", self._stream)
        return app

    async def _upload(self, request: web.Request) -> web.Response:
        pieces = [len(piece) async for piece in upload(request, self.limits.upload_bytes, self.limits)]
        return web.json_response({"bytes": sum(pieces)})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        with self.streams.one(who_of(request).name):
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b"open\n")
            while True:  # a heartbeat: nothing else tells that a client is gone
                await asyncio.sleep(0.02)
                await sent(response.write(b":\n"), self.limits)


@asynccontextmanager
async def tiny(
    tokens: Path | None = None, limits: ServiceLimits | None = None, **options: float
) -> AsyncIterator[Tiny]:
    """Serve one on a free port."""
    service = Tiny(tokens, limits or ServiceLimits())
    runner = BoundedRunner(
        service.app(), service.limits.connections, shutdown_timeout=0.1, **{**SERVER_OPTIONS, **options}
    )
    await runner.setup()
    try:
        await web.SockSite(runner, listening("127.0.0.1", 0)).start()
        service.port = runner.addresses[0][1]
        service.open_connections = lambda: runner.open_connections
        service.url = f"http://127.0.0.1:{service.port}"
        async with ClientSession(service.url) as service.client:
            yield service
    finally:
        await runner.cleanup()


def made(path: Path, name: str, role: Role) -> dict[str, str]:
    """The headers of who holds a new token called *name*."""
    return {"Authorization": f"Bearer {new_token(path, name, role, SystemClock.now())}"}


async def problem(answer: object) -> dict[str, object]:
    """The problem document that *answer* is."""
    from aiohttp import ClientResponse

    assert isinstance(answer, ClientResponse)
    assert answer.headers["Content-Type"] == "application/problem+json"
    said: dict[str, object] = orjson.loads(await answer.read())
    assert said["status"] == answer.status
    assert said["title"]
    assert said["detail"]
    return said
