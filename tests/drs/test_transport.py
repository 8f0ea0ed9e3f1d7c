"""The transport on real sockets: what has left us, what came back, and nothing sent twice."""

import asyncio
import gc
import socket
import weakref
import zlib
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientConnectionResetError
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_writer import StreamWriter
from multidict import CIMultiDict
from rich.pretty import pretty_repr

from batcher._version import __version__
from batcher.drs import wire
from batcher.drs.answer import Answer, RequestStage
from batcher.drs.cloud import HeldBack, HttpRequest
from batcher.drs.transport import AiohttpTransport, TellingBody
from batcher.errors import UserError
from tests.drs.raw_server import OK, PEM, Peer, Script, always, once, serve, silent
from tests.middleman.middleman import Middleman

BODY = b'{"job_id":"job-1"}'
HEADERS = {"Content-Type": "application/json", "X-Auth-Token": "SECRET-TOKEN"}


@pytest.fixture(autouse=True, params=["wire", "session"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it holds either way: over aiohttp's connector, or by its session where the former is not as it was."""
    if request.param == "session":
        monkeypatch.setattr(wire, "lacks", lambda: ("ResponseHandler.read",))


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


class Sent:
    """Counts the calls of `on_sent`."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> None:
        self.times += 1


async def send(url: str, *, transport: AiohttpTransport | None = None, **settings: Any) -> tuple[Answer, int]:
    """One request to *url*: the answer, and how often we were told that the body leaves."""
    sent = Sent()
    request = HttpRequest(method="POST", url=f"{url}/v3/p/jobs/x", headers=HEADERS, body=BODY, on_sent=sent)
    if transport is not None:
        answer = await transport.send(request)
    else:
        async with AiohttpTransport(**settings) as own:
            answer = await own.send(request)
    assert sent.times == (answer.stage is RequestStage.SENT), "told exactly when it left"
    assert answer.sent_at <= answer.answered_at
    assert "SECRET" not in repr(answer)
    assert "SECRET" not in pretty_repr(answer)
    return answer, sent.times


def failed(answer: Answer, stage: RequestStage, kind: str, *words: str) -> None:
    assert (answer.stage, answer.error_kind, answer.http_status) == (stage, kind, None)
    for word in words:
        assert word in (answer.error or "")


# --- nothing has left us --------------------------------------------------------------------------------------


async def test_refused() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # nobody listens
        answer, _ = await send(f"http://127.0.0.1:{bound.getsockname()[1]}")
    failed(answer, RequestStage.NOT_SENT, "network", "no connection: Connection refused")


async def test_a_name_that_does_not_resolve(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such_name(*_: object, **__: object) -> object:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", no_such_name)
    answer, _ = await send("https://drs.example.com")
    failed(answer, RequestStage.NOT_SENT, "network", "name could not be resolved")


async def test_a_server_that_speaks_no_tls() -> None:
    async def garbage(peer: Peer) -> None:
        await peer.say(b"220 mail ready\r\n" * 20)

    async with serve(garbage) as server:
        answer, _ = await send(server.url.replace("http:", "https:"))
    failed(answer, RequestStage.NOT_SENT, "network", "TLS failed")


async def test_a_certificate_that_nobody_vouches_for() -> None:
    async with serve(always(OK), tls=True) as server:
        answer, _ = await send(server.url)
    failed(answer, RequestStage.NOT_SENT, "network", "certificate is not trusted", "self-signed")
    assert server.requests == []


async def test_a_certificate_for_another_host() -> None:
    async with serve(always(OK), tls=True) as server:
        answer, _ = await send(server.url.replace("127.0.0.1", "127.0.0.2"), ca_bundle=PEM)
    assert answer.stage is RequestStage.NOT_SENT
    assert server.requests == []


@pytest.mark.virtual_time
async def test_a_handshake_that_never_ends_is_a_connect_timeout() -> None:
    async with serve(silent) as server:
        answer, _ = await send(server.url.replace("http:", "https:"), connect_timeout_s=10, total_timeout_s=60)
    failed(answer, RequestStage.NOT_SENT, "timeout", "no connection within 10 s")


@pytest.mark.virtual_time
async def test_waiting_for_a_free_connection_counts_as_connecting() -> None:
    async with serve(silent) as server, AiohttpTransport(limit=1, connect_timeout_s=5) as transport:
        (first, _), (second, _) = await asyncio.gather(
            send(server.url, transport=transport), send(server.url, transport=transport)
        )
    failed(first, RequestStage.SENT, "timeout")
    failed(second, RequestStage.NOT_SENT, "timeout", "no connection within 5 s")


async def test_a_connection_that_closed_just_before_the_body_takes_none_of_it() -> None:
    """The race between a kept connection that the server gives up and our next request."""
    async with serve(silent) as server:
        loop = asyncio.get_running_loop()
        connection, protocol = await loop.create_connection(lambda: BaseProtocol(loop), "127.0.0.1", server.port)
        sent = Sent()
        writer = StreamWriter(protocol, loop)
        await writer.write_headers("POST / HTTP/1.1", CIMultiDict())
        connection.close()
        with pytest.raises(ClientConnectionResetError):
            await TellingBody(BODY, sent).write(writer)
        assert sent.times == 0


async def test_a_request_that_is_held_back_at_the_last_moment_does_not_leave() -> None:
    """By whoever sends, once its connection is up: not a byte of it is written."""

    def hold() -> None:
        raise HeldBack("the lease is over")

    came: list[bytes] = []

    async def listens(peer: Peer) -> None:
        came.append(await peer.reader.read(-1))

    async with serve(listens) as server, AiohttpTransport() as transport:
        request = HttpRequest(method="POST", url=server.url, headers=HEADERS, body=BODY, on_sent=hold)
        for held in (1, 2):
            with pytest.raises(HeldBack, match="the lease is over"):
                await transport.send(request)
            while len(came) < held:  # noqa: ASYNC110 - it is the other side that changes
                await asyncio.sleep(0.001)
    assert came == [b"", b""]


# --- something has left us ------------------------------------------------------------------------------------


async def close_at_once(peer: Peer) -> None:
    await peer.request()


async def reset_after_the_request(peer: Peer) -> None:
    await peer.request()
    peer.reset()


async def reset_within_the_body(peer: Peer) -> None:
    await peer.reader.readuntil(b"\r\n\r\n")
    await peer.reader.readexactly(3)
    peer.reset()


async def reset_within_the_head(peer: Peer) -> None:
    await peer.reader.readexactly(10)
    peer.reset()


async def reset_within_the_answer(peer: Peer) -> None:
    await peer.request()
    await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    peer.reset()


@pytest.mark.parametrize(
    "script",
    [
        close_at_once,
        reset_after_the_request,
        reset_within_the_body,
        reset_within_the_head,
        reset_within_the_answer,
        once(b"HTTP/1.1 200 OK\r\nContent-Len"),
        once(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}"),
        once(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"),
    ],
)
async def test_a_connection_that_breaks_after_the_body_began_to_leave(script: Script) -> None:
    async with serve(script) as server:
        answer, _ = await send(server.url)
        assert server.connections == 1, "a request is never repeated here"
    failed(answer, RequestStage.SENT, "network")


@pytest.mark.parametrize(
    "response",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 100_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_no_http(response: bytes) -> None:
    async with serve(once(response)) as server:
        answer, _ = await send(server.url)
    failed(answer, RequestStage.SENT, "foreign", "no HTTP")


@pytest.mark.parametrize(
    "broken",
    [b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n", b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"],
)
async def test_a_body_that_cannot_be_decoded(broken: bytes) -> None:
    async with serve(once(b"HTTP/1.1 200 OK\r\nX-Request-Id: r-1\r\n" + broken)) as server:
        answer, _ = await send(server.url)
    assert (answer.stage, answer.http_status) == (RequestStage.SENT, None)


async def test_a_torn_answer_still_tells_its_request_id() -> None:
    async with serve(once(b"HTTP/1.1 502 Bad\r\nX-Request-Id: r-1\r\nContent-Length: 100\r\n\r\n<")) as server:
        answer, _ = await send(server.url)
    failed(answer, RequestStage.SENT, "network", "status 502")
    assert answer.request_id == "r-1"


async def test_a_header_that_is_no_text_can_be_written_down() -> None:
    """Such a request id would be one that neither journal nor results can hold."""
    async with serve(always(OK.replace(b"\r\n", b"\r\nX-Request-Id: r\xff1\r\n", 1))) as server:
        answer, _ = await send(server.url)
    assert answer.request_id == "r?1"


@pytest.mark.virtual_time
async def test_no_answer_in_time() -> None:
    async with serve(silent) as server:
        answer, _ = await send(server.url, total_timeout_s=60)
    failed(answer, RequestStage.SENT, "timeout", "no answer within 60 s")


@pytest.mark.virtual_time
async def test_an_answer_that_drips_for_ever() -> None:
    """The limit is for the whole attempt; a byte now and then does not extend it."""

    async def drip(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            await peer.say(b" ")
            await asyncio.sleep(1)

    async with serve(drip) as server:
        answer, _ = await send(server.url, total_timeout_s=30)
    failed(answer, RequestStage.SENT, "timeout", "status 200", "30 s")


@pytest.mark.virtual_time
async def test_a_cancelled_request_drops_its_connection() -> None:
    gone = asyncio.Event()

    async def wait_for_the_end(peer: Peer) -> None:
        await peer.request()
        await peer.reader.read(-1)
        gone.set()

    async with serve(wait_for_the_end) as server, AiohttpTransport() as transport:
        task = asyncio.create_task(send(server.url, transport=transport))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(gone.wait(), 1)


# --- whole answers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("http_status", [200, 202, 400, 401, 429, 500, 504])
async def test_an_answer_of_any_status_is_read_whole(http_status: int) -> None:
    head = f"HTTP/1.1 {http_status} X\r\nX-Request-Id: r-1\r\nDATE: Wed, 21 Oct 2026 07:28:00 GMT\r\n"
    async with serve(always(head.encode() + b'Content-Length: 7\r\n\r\n{"a":1}')) as server:
        answer, _ = await send(server.url)
    assert (answer.stage, answer.http_status, answer.body) == (RequestStage.SENT, http_status, b'{"a":1}')
    assert answer.headers["date"] == "Wed, 21 Oct 2026 07:28:00 GMT"
    assert (answer.request_id, answer.error) == ("r-1", None)


async def test_chunked_and_compressed_answers() -> None:
    packed = zlib.compress(b'{"a":1}', wbits=31)
    response = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip\r\n\r\n"
    for byte in packed:
        response += b"1\r\n" + bytes([byte]) + b"\r\n"
    async with serve(always(response + b"0\r\n\r\n")) as server:
        answer, _ = await send(server.url)
    assert answer.body == b'{"a":1}'


async def test_what_leaves_is_what_was_given() -> None:
    """The signature covers body and path: not one byte may differ."""
    body = '{ "job_id" : "ü", "x":1 }\n'.encode()
    async with serve(always(OK)) as server, AiohttpTransport() as transport:
        url = f"{server.url}/v3/a%2Fb~c%20d/jobs/x?marker=%7e"
        await transport.send(HttpRequest(method="POST", url=url, headers=HEADERS, body=body))
    head, _, sent = server.requests[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert sent == body
    assert lines[0] == "POST /v3/a%2Fb~c%20d/jobs/x?marker=%7e HTTP/1.1"
    assert f"User-Agent: batcher/{__version__}" in lines
    assert "Content-Type: application/json" in lines
    assert f"Host: 127.0.0.1:{server.port}" in lines
    assert f"Content-Length: {len(body)}" in lines


async def test_a_large_body_leaves_whole() -> None:
    body = b" " * 3_000_000
    async with serve(always(OK)) as server, AiohttpTransport() as transport:
        sent = Sent()
        request = HttpRequest(method="POST", url=f"{server.url}/x", headers=HEADERS, body=body, on_sent=sent)
        answer = await transport.send(request)
    assert (answer.http_status, sent.times) == (200, 1)
    assert server.requests[0].endswith(b"\r\n\r\n" + body)


async def test_a_read_without_a_body() -> None:
    async with serve(always(OK)) as server, AiohttpTransport() as transport:
        sent = Sent()
        request = HttpRequest(method="GET", url=f"{server.url}/v3/projects?name=x", headers={}, body=b"", on_sent=sent)
        answer = await transport.send(request)
    assert (answer.http_status, sent.times) == (200, 1)
    assert server.requests[0].startswith(b"GET /v3/projects?name=x HTTP/1.1\r\n")


@pytest.mark.parametrize("http_status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(http_status: int) -> None:
    async with serve(always(OK)) as elsewhere:
        head = f"HTTP/1.1 {http_status} X\r\nLocation: {elsewhere.url}/\r\nContent-Length: 0\r\n\r\n"
        async with serve(always(head.encode())) as server:
            answer, _ = await send(server.url)
        assert answer.http_status == http_status
        assert elsewhere.connections == 0, "the token goes to no other host"


@pytest.mark.parametrize("declared", [True, False])
async def test_an_answer_without_end_is_not_read_to_its_end(declared: bool) -> None:
    async def flood(peer: Peer) -> None:
        await peer.request()
        length = b"Content-Length: 1000000000\r\n" if declared else b""
        await peer.say(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n")
        while True:
            await peer.say(b" " * 65536)

    async with serve(flood) as server:
        answer, _ = await send(server.url)
    failed(answer, RequestStage.SENT, "protocol", "longer than 262,144 bytes")


async def test_a_small_answer_that_unpacks_without_end() -> None:
    packed = zlib.compress(b" " * 50_000_000, wbits=31)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    async with serve(once(head + packed)) as server:
        answer, _ = await send(server.url)
    failed(answer, RequestStage.SENT, "protocol", "longer than")


async def test_each_request_says_how_long_an_answer_it_reads() -> None:
    long = always(b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + b" " * 300_000)
    async with serve(long) as server, AiohttpTransport() as transport:
        url = f"{server.url}/x"
        request = HttpRequest(method="POST", url=url, headers={}, body=b"{}", answer_limit=300_000)
        assert len((await transport.send(request)).body) == 300_000


# --- connections ----------------------------------------------------------------------------------------------


async def test_connections_are_used_again_whatever_the_answer() -> None:
    async def all_sorts(peer: Peer) -> None:
        for status in (b"200 OK", b"400 Bad", b"429 Slow", b"503 Down", b"302 There"):
            await peer.request()
            await peer.say(b"HTTP/1.1 " + status + b"\r\nContent-Length: 100000\r\n\r\n" + b" " * 100_000)

    async with serve(all_sorts) as server, AiohttpTransport() as transport:
        statuses = [(await send(server.url, transport=transport))[0].http_status for _ in range(5)]
        assert (statuses, server.connections) == ([200, 400, 429, 503, 302], 1)


async def test_a_post_on_a_dead_kept_connection_is_not_repeated() -> None:
    """aiohttp repeats requests that it holds to be idempotent. A create is not, and a repeat here would be a second
    one that nobody decided on."""

    async def one_and_a_half(peer: Peer) -> None:
        await peer.request()
        await peer.say(OK)
        await peer.request()  # taken, and perhaps acted on; but no answer

    async with serve(one_and_a_half, always(OK)) as server, AiohttpTransport() as transport:
        first, _ = await send(server.url, transport=transport)
        second, _ = await send(server.url, transport=transport)
        assert first.http_status == 200
        failed(second, RequestStage.SENT, "network", "closed before an answer came")
        assert (len(server.requests), server.connections) == (2, 1)
        third, _ = await send(server.url, transport=transport)
        assert (third.http_status, server.connections) == (200, 2)


@pytest.mark.virtual_time
async def test_a_kept_connection_that_was_closed_meanwhile_is_noticed() -> None:
    async with serve(once(OK), always(OK)) as server, AiohttpTransport() as transport:
        await send(server.url, transport=transport)
        await asyncio.sleep(1)
        again, _ = await send(server.url, transport=transport)
        assert (again.http_status, server.connections) == (200, 2)


async def test_no_cookie_is_kept() -> None:
    response = OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: session=1; Path=/\r\n\r\n")
    async with serve(always(response)) as proxy, AiohttpTransport(proxy=proxy.url) as transport:
        for _ in range(2):  # through a proxy, as cookies of bare addresses are dropped anyway
            await send("http://drs.example.com", transport=transport)
    assert b"cookie" not in proxy.requests[1].lower()


async def test_netrc_has_no_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with serve(always(OK)) as server:
        await send(server.url)
    assert b"authorization" not in server.requests[0].lower()


async def test_it_is_a_context_manager() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await AiohttpTransport().send(HttpRequest(method="POST", url="http://127.0.0.1/", headers={}, body=b""))


# --- TLS and proxies ------------------------------------------------------------------------------------------


async def test_a_ca_bundle_vouches_for_the_server() -> None:
    async with serve(always(OK), tls=True) as server:
        answer, _ = await send(server.url, ca_bundle=PEM)
    assert answer.http_status == 200


@pytest.mark.parametrize("content", [b"", b"no certificate"])
def test_a_ca_bundle_without_certificates_is_the_users_to_mend(tmp_path: Path, content: bytes) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(content)
    with pytest.raises(UserError, match="PEM file"):
        AiohttpTransport(ca_bundle=bundle)
    with pytest.raises(UserError, match="No such file"):
        AiohttpTransport(ca_bundle=tmp_path / "absent.pem")


async def test_through_a_proxy() -> None:
    async with serve(always(OK)) as proxy:
        address = proxy.url.replace("http://", "http://somebody:p%40ss@")
        answer, _ = await send("http://drs.example.com", proxy=address)
    assert answer.http_status == 200
    assert proxy.requests[0].startswith(b"POST http://drs.example.com/v3/p/jobs/x HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic c29tZWJvZHk6cEBzcw==\r\n" in proxy.requests[0]


@pytest.mark.parametrize(
    ("status", "kind", "told"),
    [
        (b"401 Who", "barred", "does not take the user name and password"),
        (b"403 Forbidden", "barred", "its own rule, not the cloud's"),
        (b"407 Who", "barred", "does not take the user name and password"),
        (b"502 Bad", "network", "could not open the way to drs.example.com"),
        (b"504 Late", "network", "could not open the way to drs.example.com"),
    ],
)
async def test_a_proxy_that_opens_no_tunnel(status: bytes, kind: str, told: str) -> None:
    """Nothing of the request has left: the proxy was only asked for a way."""
    async with serve(always(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")) as proxy:
        address = proxy.url.replace("http://", "http://somebody:hunter2@")
        answer, _ = await send("https://drs.example.com", proxy=address)
    failed(answer, RequestStage.NOT_SENT, kind, told, f"status {status[:3].decode()}")
    assert "hunter2" not in (answer.error or "")
    asked = proxy.requests[0]
    assert asked.startswith(b"CONNECT drs.example.com:443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic " in asked
    assert b"SECRET-TOKEN" not in asked


async def test_a_tunnel_carries_the_request_and_keeps_the_proxys_password_out_of_it() -> None:
    async with serve(always(OK), tls=True) as server:

        async def tunnel(peer: Peer) -> None:
            await peer.request()
            await peer.say(b"HTTP/1.1 200 Connected\r\n\r\n")
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            await asyncio.gather(pump(peer.reader, writer), pump(reader, peer.writer))

        async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(65536):
                writer.write(data)
            writer.close()

        async with serve(tunnel) as proxy:
            address = proxy.url.replace("http://", "http://somebody:hunter2@")
            answer, _ = await send("https://drs.example.com", proxy=address, ca_bundle=PEM)
    assert answer.http_status == 200
    assert server.requests[0].startswith(b"POST /v3/p/jobs/x HTTP/1.1\r\n")
    assert b"proxy-authorization" not in server.requests[0].lower()


async def test_a_proxy_that_is_not_there() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        answer, _ = await send("https://drs.example.com", proxy=f"http://127.0.0.1:{bound.getsockname()[1]}")
    failed(answer, RequestStage.NOT_SENT, "network", "no connection to the proxy")


async def test_a_proxy_whose_name_is_unknown_is_not_taken_for_the_host() -> None:
    answer, _ = await send("https://drs.example.com", proxy="http://proxy.invalid:3128")
    failed(answer, RequestStage.NOT_SENT, "network", "the proxy's name could not be resolved")


async def test_the_usual_proxy_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve(always(OK)) as proxy, serve(always(OK)) as server:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "internal.example.com")
        assert (await send("http://drs.example.com"))[0].http_status == 200
        assert len(proxy.requests) == 1
        await send(server.url)
        assert (len(proxy.requests), len(server.requests)) == (1, 1), "never for loopback"


@pytest.mark.parametrize("address", ["socks5://127.0.0.1:1", "http://", "http://[::1", "http://p:99999", "p:x"])
async def test_a_proxy_variable_that_names_no_http_proxy(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("https_proxy", address)
    async with AiohttpTransport() as transport:
        transport.check(["http://drs.example.com", "https://127.0.0.1:1"])  # for which it is not used
        with pytest.raises(UserError, match=r"https_proxy names .* proxy") as refused:
            transport.check(["https://drs.example.com"])
    assert refused.value.exit_code == 2
    answer, _ = await send("https://drs.example.com")
    failed(answer, RequestStage.NOT_SENT, "barred", "https_proxy names")


async def test_nothing_of_a_request_outlives_it() -> None:
    """No cycle keeps it, and with it the entry that it was for, until garbage is collected: that may take a while."""
    sent = Sent()
    alive = weakref.ref(sent)
    gc.collect()
    gc.disable()
    try:
        async with serve(always(OK)) as server, AiohttpTransport() as transport:
            request = HttpRequest(
                method="POST", url=f"{server.url}/v3/p/jobs/x", headers=HEADERS, body=BODY, on_sent=sent
            )
            await transport.send(request)
            del request, sent
            await asyncio.sleep(0)
            assert alive() is None
    finally:
        gc.enable()


# --- what a proxy has refused once ------------------------------------------------------------------------------


async def send_all(transport: AiohttpTransport, *urls: str) -> list[Answer]:
    return [answer for answer, _ in await asyncio.gather(*(send(url, transport=transport) for url in urls))]


async def test_a_refused_proxy_login_is_shown_once_however_many_ask() -> None:
    """A few wrong ones lock an account."""
    async with serve(always(b"HTTP/1.1 407 Who\r\nServer: squid/5.7\r\nContent-Length: 0\r\n\r\n")) as proxy:
        address = proxy.url.replace("http://", "http://somebody:hunter2@")
        async with AiohttpTransport(proxy=address) as transport:
            urls = [f"https://{name}.example.com" for name in "abcdefgh"]
            answers = await send_all(transport, *urls, *urls)
    assert len(proxy.requests) == 1
    assert {(answer.stage, answer.error_kind) for answer in answers} == {(RequestStage.NOT_SENT, "barred")}
    assert "squid/5.7" in (answers[0].error or "")
    assert "not sent" in (answers[-1].error or "")


async def test_a_host_that_the_proxy_does_not_allow_is_asked_for_once_and_others_are() -> None:
    denied = always(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
    async with serve(denied) as proxy, AiohttpTransport(proxy=proxy.url) as transport:
        await send_all(transport, *["https://a.example.com"] * 4, *["https://b.example.com"] * 4)
    assert len(proxy.requests) == 2


async def test_a_login_that_is_wanted_without_a_tunnel_is_not_given_again() -> None:
    wants = always(b"HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n")
    async with serve(wants) as proxy, AiohttpTransport(proxy=proxy.url) as transport:
        answers = await send_all(transport, *["http://a.example.com"] * 4)
    assert len(proxy.requests) == 1
    assert answers[0].http_status == 407
    assert {answer.error_kind for answer in answers[1:]} == {"barred"}


async def test_a_proxy_that_lets_through_is_used_by_many_at_once() -> None:
    """The first goes alone until it is through, not until it is answered."""
    released = asyncio.Event()

    async def late(peer: Peer) -> None:
        await peer.request()
        if len(server.requests) == 4:
            released.set()
        await released.wait()
        await peer.say(OK)

    async with (
        serve(late, tls=True) as server,
        Middleman(server.url) as proxy,
        AiohttpTransport(proxy=proxy.url.replace("http://", "http://somebody:hunter2@"), ca_bundle=PEM) as transport,
    ):
        answers = await send_all(transport, *[server.url] * 4)
    assert [answer.http_status for answer in answers] == [200] * 4
