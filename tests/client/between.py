"""What may stand between a client and its service: it ends TLS, passes requests on, or cuts connections."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from tests.connections import Listening

PEM = Path(__file__).resolve().parents[1] / "drs" / "loopback.pem"


@asynccontextmanager
async def between(
    url: str, *, tls: bool = False, cut_after: Callable[[], int | None] = lambda: None, is_proxy: bool = False
) -> AsyncIterator[str]:
    """Something that passes connections on to the service at *url*; its own address.

    Each connection is cut hard after so many bytes of answers as *cut_after* says. With *is_proxy* it takes requests
    for other hosts, as a forward proxy does, and only those.
    """
    host, port = urlsplit(url).hostname, urlsplit(url).port

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = cut_after()
        opened = [writer]
        try:
            there, onward = await asyncio.open_connection(host, port)
            opened.append(onward)
            if is_proxy:
                first = await reader.readline()
                assert first.split()[1].startswith(b"http://"), first
                onward.write(first)
            async with asyncio.TaskGroup() as group:
                group.create_task(_pass_on(reader, onward))
                while piece := await there.read(4096):
                    writer.write(piece if left is None else piece[:left])
                    await writer.drain()
                    left = None if left is None else left - len(piece)
                    if left is not None and left <= 0:
                        break
                raise ConnectionResetError
        except* OSError:
            pass
        finally:
            for one in opened:
                one.transport.abort()

    context = None
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(PEM)
    listening = Listening(answer, tls=context)
    own = await listening.start()
    try:
        yield f"{'https' if tls else 'http'}://{'localhost' if tls else '127.0.0.1'}:{own}"
    finally:
        await listening.end()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(4096):
            writer.write(piece)
            await writer.drain()
