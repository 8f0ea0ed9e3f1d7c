"""A service that is told to end does so in time, whatever hangs on it."""

import asyncio
import fcntl
from contextlib import suppress
from pathlib import Path

import pytest
from aiohttp import ClientSession

from batcher.simulator.server import Simulator
from tests.service.serving import PROJECT, Serving, csv, eventually, process


async def test_it_ends_with_a_cloud_that_does_not_answer_and_clients_that_do_not_read(
    elsewhere: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests that hang, open event streams, half an upload and half a request: all of them are let go."""
    monkeypatch.setenv("BATCHER_PROJECT_ID", PROJECT)
    monkeypatch.setenv("BATCHER_RATE", "200/s")
    data = tmp_path / "data"
    asked: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda _, writer: asked.append(writer), "127.0.0.1", 0)
    monkeypatch.setenv("BATCHER_ENDPOINT", f"http://127.0.0.1:{silent.sockets[0].getsockname()[1]}")
    async with silent:
        with process(data, "--grace", "1") as served:
            async with ClientSession(served.url) as client:
                service = Serving(served.url, client, data)
                waves = [await service.submit(csv(200, first=200 * number)) for number in range(3)]
                port = int(served.url.rpartition(":")[2])
                clients = [await asyncio.open_connection("127.0.0.1", port) for _ in range(12)]
                heads = (
                    f"GET /v1/waves/{waves[0]['id']}/events HTTP/1.1\r\nHost: localhost\r\n\r\n",
                    f"GET /v1/waves/{waves[1]['id']}/results?follow=true HTTP/1.1\r\nHost: localhost\r\n\r\n",
                    "POST /v1/waves HTTP/1.1\r\nHost: localhost\r\n"
                    "Content-Type: text/csv\r\nContent-Length: 99\r\n\r\njob",
                    "GET /v1/wav",
                )
                for number, (_, writer) in enumerate(clients):
                    writer.write(heads[number % len(heads)].encode())

                await eventually(lambda: bool(asked))
                assert await asyncio.to_thread(served.end) == 0
                for reader, writer in clients:
                    with suppress(OSError):
                        await reader.read()  # to its end, which is there
                    writer.close()
                    with suppress(OSError):
                        await writer.wait_closed()
        for writer in asked:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def test_nobody_who_does_not_read_its_log_holds_it_up(cloud: Simulator, tmp_path: Path) -> None:
    """Its log goes into a pipe that is read no further than to where it serves."""
    with process(tmp_path) as served:
        async with ClientSession(served.url) as client:
            assert served.process.stderr is not None
            room = fcntl.fcntl(served.process.stderr, fcntl.F_GETPIPE_SZ) if hasattr(fcntl, "F_GETPIPE_SZ") else 65_536
            async with asyncio.timeout(90):
                for _ in range(2 * room // 100):
                    async with client.get("/healthz") as answer:
                        assert answer.status == 200
        assert await asyncio.to_thread(served.end) == 0
