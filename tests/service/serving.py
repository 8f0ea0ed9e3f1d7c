"""A real service over the simulated cloud, on real sockets: in this event loop, or as a process of its own."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import orjson
from aiohttp import ClientSession

from batcher.service.given import ServedProfiles
from batcher.service.limits import ServiceLimits
from batcher.service.models import State
from batcher.service.server import Ending, Options, serve

ROOT = Path(__file__).resolve().parents[2]
CSV = {"Content-Type": "text/csv"}
PROJECT = "0123456789abcdef0123456789abcdef"


async def eventually(holds: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait until it *holds*."""
    async with asyncio.timeout(90):
        while True:
            found = holds()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.02)


def csv(jobs: int, first: int = 0) -> bytes:
    """A manifest of so many entries."""
    rows = "".join(f"job-{number},objects,k{number}\n" for number in range(first, first + jobs))
    return f"job_id,object_level_compare_type,key\n{rows}".encode()


class Serving:
    """How to speak to a service."""

    def __init__(self, url: str, client: ClientSession, data: Path) -> None:
        self.url = url
        self.client = client
        self.data = data

    async def submit(self, manifest: bytes, query: str = "", headers: dict[str, str] | None = None) -> dict[str, Any]:
        """Hand *manifest* in; the new wave."""
        async with self.client.post(f"/v1/waves?{query}", data=manifest, headers={**CSV, **(headers or {})}) as answer:
            said: dict[str, Any] = await answer.json()
            assert answer.status in (200, 201), said
            return said

    async def get(self, path: str, status: int = 200) -> Any:
        """What is at *path*."""
        async with self.client.get(path) as answer:
            body = await answer.read()
            assert answer.status == status, body
            return orjson.loads(body)

    async def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        """What comes of it."""
        async with self.client.post(path, json=body) as answer:
            said = orjson.loads(await answer.read())
            assert answer.status == status, said
            return said

    async def lines(self, path: str) -> list[dict[str, Any]]:
        """The JSON lines at *path*."""
        async with self.client.get(path) as answer:
            assert answer.status == 200
            return [orjson.loads(line) for line in (await answer.read()).splitlines()]

    async def until(self, id: str, *states: State) -> dict[str, Any]:
        """The wave, once it is in one of *states*."""
        found: dict[str, Any] = {}

        async def holds() -> bool:
            found.update(await self.get(f"/v1/waves/{id}"))
            return found["state"] in states

        await eventually(holds)
        return found

    async def created(self, id: str, least: int) -> None:
        """Wait until so many entries are created at least."""

        async def holds() -> bool:
            return bool((await self.get(f"/v1/waves/{id}"))["counts"]["created"] >= least)

        await eventually(holds)


@asynccontextmanager
async def serving(data: Path, *, limits: ServiceLimits | None = None, **more: Any) -> AsyncIterator[Serving]:
    """A service in this event loop, over the folder *data*."""
    ending, url = Ending(), asyncio.get_running_loop().create_future()
    options = Options(
        **{
            "host": "127.0.0.1",
            "port": 0,
            "data": data,
            "service": ServedProfiles(),
            "limits": limits or ServiceLimits(),
            "grace_s": 5.0,
            **more,
        }
    )
    task = asyncio.create_task(serve(options, ending, url.set_result))
    await asyncio.wait({task, url}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        await task
    try:
        async with ClientSession(url.result()) as client:
            yield Serving(url.result(), client, data)
    finally:
        ending.tell()
        await task


class Process:
    """A service as a process, over the folder *data* or what *arguments* name; `kill` it as hard as can be."""

    def __init__(self, data: Path | None, *arguments: str, dies_at: str | None = None) -> None:
        program = ["batcher"] if dies_at is None else ["tests.service.dying", dies_at]
        place = [] if data is None else ["--data", str(data)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", *program, "serve", *place, "--listen", "127.0.0.1:0", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert self.process.stderr is not None
        self.url = ""
        for line in self.process.stderr:
            if match := re.search(rb"serves .* at (http://\S+)", line):
                self.url = match[1].decode()
                break
        assert self.url, "it did not begin to serve"

    def died(self) -> None:
        """Wait until it has died by itself."""
        assert self.process.wait(timeout=90) == -signal.SIGKILL

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """SIGTERM; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=90)


@contextmanager
def process(data: Path | None, *arguments: str, dies_at: str | None = None) -> Iterator[Process]:
    """A service as a process, as `Process` has it; *dies_at* is a step of `dying`."""
    served = Process(data, *arguments, dies_at=dies_at)
    try:
        yield served
    finally:
        if served.process.poll() is None:
            served.kill()
        assert served.process.stderr is not None
        served.process.stderr.close()
