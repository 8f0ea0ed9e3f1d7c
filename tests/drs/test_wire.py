"""What only the way without a session has to see to. All else is in `test_transport`, for both ways."""

import asyncio
import contextlib
from typing import Any

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler

from batcher.drs import wire
from batcher.drs.answer import Answer, RequestStage
from batcher.drs.cloud import HttpRequest
from batcher.drs.transport import AiohttpTransport
from tests.drs.raw_server import OK, Peer, always, serve, silent

BODY = b'{"job_id":"job-1"}'


def post(url: str, **given: Any) -> HttpRequest:
    return HttpRequest(**{"method": "POST", "url": url, "headers": {}, "body": BODY, **given})


@pytest.fixture
def lacks() -> Any:
    """`wire.lacks`, which forgets what it found."""
    wire.lacks.cache_clear()
    yield wire.lacks
    wire.lacks.cache_clear()


def test_aiohttp_is_as_it_was(lacks: Any) -> None:
    """Where this fails, aiohttp has changed what `batcher/drs/wire.py` builds on: read it anew. Until then waves go by
    aiohttp's session, at thrice the cost of a request."""
    assert lacks() == ()


async def _other(self: Any, timeout: float) -> None: ...


@pytest.mark.parametrize(
    ("owner", "name", "told"),
    [
        (ResponseHandler, "read", "_other"),
        (ResponseHandler, "should_close", "ResponseHandler.should_close"),
        (aiohttp.BaseConnector, "connect", "_other"),
        (aiohttp.StreamReader, "readany", "StreamReader.readany"),
    ],
)
async def test_an_aiohttp_that_has_changed_is_noticed_and_requests_go_by_its_session(
    monkeypatch: pytest.MonkeyPatch, lacks: Any, owner: type, name: str, told: str
) -> None:
    with monkeypatch.context() as changed:
        if told == "_other":
            changed.setattr(owner, name, _other)
        else:
            holder = next(kind for kind in owner.__mro__ if name in vars(kind))
            changed.delattr(holder, name)
        assert lacks() == (told,)
    async with serve(always(OK)) as server, AiohttpTransport() as transport:
        answer = await transport.send(post(server.url))
    assert answer.http_status == 200


@pytest.mark.virtual_time
@pytest.mark.parametrize("later", [False, True])
async def test_bytes_that_nobody_asked_for_are_no_answer(later: bool) -> None:
    """Taken for the answer to the next request they would tell of a comparison that it did not make."""

    async def two_for_one(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        if later:
            await asyncio.sleep(1)
        await peer.say(OK.replace(b"200 OK", b"408 Late"))
        await peer.reader.read(-1)

    async with serve(two_for_one, always(OK)) as server, AiohttpTransport() as transport:
        found = [await transport.send(post(server.url))]
        await asyncio.sleep(2)
        found += [await transport.send(post(server.url)) for _ in range(2)]
    not_sent = (RequestStage.NOT_SENT, None)
    second = not_sent if later else (RequestStage.SENT, 200)  # else the connection was given up at once
    assert [(answer.stage, answer.http_status) for answer in found[1:]] == [second, (RequestStage.SENT, 200)]
    assert (server.connections, len(server.requests)) == (2, 2 if later else 3)


async def test_interim_answers_are_passed_over() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
    response = b"HTTP/1.1 100 Continue\r\n\r\n" + interim + OK
    async with serve(always(response)) as server, AiohttpTransport() as transport:
        found = [await transport.send(post(server.url)) for _ in range(2)]
    assert [(answer.http_status, answer.body) for answer in found] == [(200, b"{}")] * 2
    assert server.connections == 1


async def test_a_connection_that_answers_before_it_has_read_the_request_is_not_used_again() -> None:
    """What is left of the first request would stand before the second."""

    async def hasty(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.say(OK.replace(b"200 OK", b"413 Long"))
        await peer.reader.read(-1)

    async with serve(hasty, always(OK)) as server, AiohttpTransport() as transport:
        first = await transport.send(post(server.url, body=b" " * 30_000_000))
        second = await transport.send(post(server.url))
    assert (first.http_status, first.stage) == (413, RequestStage.SENT)
    assert (second.http_status, server.connections) == (200, 2)


@pytest.mark.parametrize("odd", ["a\r\nX: y", "a\nb", "a\0b"])
async def test_no_header_can_begin_another(odd: str) -> None:
    async with serve(always(OK)) as server, AiohttpTransport() as transport:
        for headers in ({odd: "x"}, {"X-Auth-Token": odd}):
            with pytest.raises(ValueError, match="control character"):
                await transport.send(post(server.url, headers=headers))
        assert server.connections == 0
        with contextlib.suppress(ValueError):
            await transport.send(post(f"{server.url}/{odd}"))  # yarl takes line ends out of addresses
        assert not [line for request in server.requests for line in request.splitlines() if line.startswith(b"X: ")]


async def answers(*headers: dict[str, str]) -> tuple[list[Answer], list[list[str]]]:
    """One request with each: the answers, and the headers that arrived, but for the first line."""
    async with serve(always(OK)) as server, AiohttpTransport() as transport:
        found = [await transport.send(post(server.url, headers=given)) for given in headers]
    return found, [head.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:] for head in server.requests]


async def test_each_request_carries_its_own_headers() -> None:
    """They are kept ready-made, so one must not get another's, however many there are."""
    given = [{"X-Auth-Token": str(number)} for number in range(600)]
    _, seen = await answers(*given)
    assert [next(line for line in lines if line.startswith("X-Auth-Token")) for lines in seen] == [
        f"X-Auth-Token: {number}" for number in range(600)
    ]


async def test_a_header_takes_the_place_of_our_own_whatever_its_case() -> None:
    _, (lines,) = await answers({"user-agent": "other", "CONTENT-TYPE": "text/plain", "host": "drs.example.com"})
    names = [line.partition(":")[0].lower() for line in lines]
    assert len(names) == len(set(names))
    assert {"user-agent: other", "content-type: text/plain", "host: drs.example.com"} <= {
        f"{name.lower()}:{value}" for name, _, value in (line.partition(":") for line in lines)
    }


@pytest.mark.virtual_time
async def test_each_exchange_has_its_own_end_though_one_timer_rings_for_all() -> None:
    """Also one that began before another that ends sooner, and after all others have ended."""
    loop = asyncio.get_running_loop()

    async def ask(transport: AiohttpTransport, url: str, after_s: float, patience: float) -> tuple[float, str | None]:
        await asyncio.sleep(after_s)
        answer = await transport.send(post(url, patience=patience))
        assert answer.stage is RequestStage.SENT
        return round(loop.time() - began), answer.error

    async with serve(silent) as server, AiohttpTransport(total_timeout_s=100) as transport:
        began = loop.time()
        asked = [(0, 1.0), (1, 0.5), (2, 0.25), (3, 1.0), (300, 0.5)]
        ends = await asyncio.gather(*(ask(transport, server.url, *each) for each in asked))
    assert ends == [(after + patience * 100, f"no answer within {patience * 100:g} s") for after, patience in asked]


async def test_a_head_that_is_kept_is_sent_for_the_same_request_only() -> None:
    """The head is known again by the very address and headers that it was made of."""
    async with serve(always(OK)) as server, AiohttpTransport() as transport:
        one, other = {"X-Auth-Token": "one"}, {"X-Auth-Token": "other"}
        home, elsewhere = server.url, server.url + "/else"
        for method, url, headers, body in (
            ("POST", home, one, b"{}"),
            ("POST", home, one, b'{"more":1}'),
            ("POST", home, other, b"{}"),
            ("PUT", home, other, b"{}"),
            ("PUT", elsewhere, other, b"{}"),
            ("POST", home, one, b""),
        ):
            answer = await transport.send(HttpRequest(method=method, url=url, headers=headers, body=body))
            assert answer.http_status == 200
            head, _, sent = server.requests[-1].partition(b"\r\n\r\n")
            assert head.startswith(f"{method} {url.removeprefix(home) or '/'} HTTP/1.1\r\n".encode())
            assert f"\r\nX-Auth-Token: {headers['X-Auth-Token']}\r\n".encode() in head
            assert head.endswith(f"\r\nContent-Length: {len(body)}".encode())
            assert sent == body
