"""A handler of a test's server lives until the server ends, whoever else has gone."""

import asyncio
import gc

from tests.connections import Listening


async def test_a_handler_outlives_its_peer_and_the_garbage_collector() -> None:
    came, gone, ended = asyncio.Event(), asyncio.Event(), list[str]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set()
        await reader.read()
        writer.close()
        gone.set()
        try:
            await asyncio.get_running_loop().create_future()  # nobody but this handler knows it
        except asyncio.CancelledError:
            ended.append("cancelled")
        except GeneratorExit:
            ended.append("collected as garbage")

    listening = Listening(serve)
    _, writer = await asyncio.open_connection("127.0.0.1", await listening.start())
    await came.wait()
    writer.close()
    await gone.wait()
    for _ in range(3):  # the loop lets go of the connection
        await asyncio.sleep(0)
        gc.collect()
    await listening.end()
    assert ended == ["cancelled"]
