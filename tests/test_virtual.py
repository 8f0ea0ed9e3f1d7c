"""The virtual loop: time that jumps, threads and sockets that do not."""

import asyncio
import time

import pytest

from tests.virtual import Stalled, VirtualClock, VirtualLoop, run

pytestmark = pytest.mark.virtual_time


async def test_an_hour_passes_at_once() -> None:
    loop = asyncio.get_running_loop()
    began, began_really = loop.time(), time.monotonic()
    await asyncio.sleep(3600)
    assert 3600 <= loop.time() - began < 3600.01
    assert time.monotonic() - began_really < 60


async def test_timers_fire_in_order() -> None:
    seen: list[int] = []

    async def after(seconds: int) -> None:
        await asyncio.sleep(seconds)
        seen.append(seconds)

    await asyncio.gather(*(after(seconds) for seconds in (30, 10, 20)))
    assert seen == [10, 20, 30]


async def test_time_stands_still_while_a_thread_works() -> None:
    loop = asyncio.get_running_loop()
    before = loop.time()
    async with asyncio.timeout(0.001):
        await asyncio.to_thread(time.sleep, 0.02)
    assert loop.time() - before < 0.001


async def test_both_ends_of_a_socket_in_one_loop() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.readline()
        await asyncio.sleep(5)
        writer.write(data)
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"hello\n")
        async with asyncio.timeout(10):
            assert await reader.readline() == b"hello\n"
        writer.close()
        await writer.wait_closed()


async def test_the_wall_clock_steps_and_the_monotonic_one_does_not() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    clock = VirtualClock(loop)
    wall, monotonic = clock.now(), clock.monotonic()
    clock.step(-3600)
    assert clock.now() == pytest.approx(wall - 3600, abs=0.01)
    assert clock.monotonic() == pytest.approx(monotonic, abs=0.01)


def test_a_wait_for_nothing_is_found_out() -> None:
    async def wait_for_ever() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Stalled):
        run(wait_for_ever)
