"""batcher's commands as programs, beside a service that runs in the test's own event loop."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from tests.service.serving import ROOT, eventually


class Command:
    """`batcher ARGUMENTS`, which runs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def end(self) -> tuple[int, str, str]:
        """Its exit code, and what it said."""
        async with asyncio.timeout(90):
            out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, out.decode(), err.decode()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)


async def start(*arguments: object, **environment: str) -> Command:
    """Start `batcher ARGUMENTS`."""
    return Command(
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "batcher"),
            *map(str, arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        )
    )


async def batcher(*arguments: object, **environment: str) -> tuple[int, str, str]:
    """Run `batcher ARGUMENTS` to its end."""
    return await (await start(*arguments, **environment)).end()


async def lines_at(path: Path, least: int) -> None:
    """Wait until the file at *path* has so many lines."""
    await eventually(lambda: path.exists() and path.read_bytes().count(b"\n") >= least)


def attached(results: Path) -> dict[str, Any]:
    """What is kept beside *results*."""
    known: dict[str, Any] = {}
    for line in results.with_name(f"{results.name.removesuffix('.jsonl')}.service.json").read_bytes().splitlines():
        known |= orjson.loads(line)
    return known


@asynccontextmanager
async def serving_with(handle: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """A server that answers every request by *handle*; its address."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()
