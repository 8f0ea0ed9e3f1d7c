"""What one client may cost: sessions, failed logins, places, bodies and time, all bounded."""

import asyncio
import json
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest
from aiohttp import ClientConnectionError
from hypothesis import given
from hypothesis import strategies as st

from batcher.service import connections, hosts, sessions
from batcher.service.headers import policy_of
from batcher.service.limits import ServiceLimits, StreamQuota
from batcher.service.logins import ALLOWED, REFILL_S, FailedLogins, network_of
from batcher.service.problem import Problem
from batcher.service.roles import Role
from batcher.service.sessions import Sessions
from tests.service.serving import CSV, csv, serving
from tests.service.tiny import Tiny, made, problem, tiny


class Hand:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


# Memory ---------------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.ip_addresses(), st.floats(0, 100)), max_size=200))
def test_what_is_remembered_of_failed_logins_is_bounded(seen: list[tuple[object, float]]) -> None:
    now = Hand()
    logins = FailedLogins(now, most=20)
    for address, later in seen:
        now.s += later
        logins.was_wrong(str(address))
        logins.was_right(str(address), b"token")
        assert len(logins) <= 40


def test_an_address_may_be_wrong_again_after_a_while() -> None:
    now = Hand()
    logins = FailedLogins(now)
    for _ in range(ALLOWED):
        assert logins.wait_s("192.0.2.1") == 0
        logins.was_wrong("192.0.2.1")
    assert logins.wait_s("192.0.2.1") == REFILL_S
    assert logins.wait_s("192.0.2.2") == 0
    now.s += REFILL_S / 2
    assert logins.wait_s("192.0.2.1") == REFILL_S / 2
    now.s += REFILL_S / 2
    assert logins.wait_s("192.0.2.1") == 0
    now.s += 1e9
    for _ in range(ALLOWED):
        logins.was_wrong("192.0.2.1")  # and never more at once, however long it was quiet
    assert logins.wait_s("192.0.2.1") > 0


def test_one_client_cannot_be_many_addresses() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1") != network_of("2001:db8:0:1::1")
    assert network_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert network_of("192.0.2.1") != network_of("192.0.2.2")
    assert network_of("fe80::1%eth0") == network_of("fe80::1")


def test_sessions_are_bounded_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = Hand()
    open_ = Sessions(now, most=3)
    cookies = [open_.begin(b"token")[0] for _ in range(3)]
    assert open_.find(cookies[0]) is not None  # used: so the second is the one unused for longest
    open_.begin(b"token")
    assert [open_.find(cookie) is not None for cookie in cookies] == [True, False, True]
    assert len(open_) == 3
    now.s += sessions.IDLE_S + 1
    assert open_.find(cookies[0]) is None
    cookie, _ = open_.begin(b"token")
    for _ in range(100):  # in use all the time, and over nevertheless
        now.s += sessions.IDLE_S / 2
        found = open_.find(cookie)
        if found is None:
            break
    assert now.s < sessions.IDLE_S + 1 + sessions.LONGEST_S + sessions.IDLE_S
    assert open_.find(cookie) is None


def test_places_are_for_all_and_for_each() -> None:
    places = StreamQuota("open stream", 3, 2)
    with ExitStack() as held:
        held.enter_context(places.one("anna"))
        held.enter_context(places.one("anna"))
        with pytest.raises(Problem) as refused, places.one("anna"):
            pass
        assert refused.value.status == 429
        held.enter_context(places.one("ben"))
        with pytest.raises(Problem) as refused, places.one("carl"):
            pass
        assert refused.value.status == 503
        assert places.taken == 3
    assert places.taken == 0
    with places.one("carl"):
        assert places.taken == 1


# Pure rules -----------------------------------------------------------------------------------------------------


@given(st.text(max_size=40))
def test_no_text_is_taken_for_this_machine_by_chance(text: str) -> None:
    """Whatever is sent as a Host, nothing is raised; and what is let in leads to this machine alone."""
    if hosts.foreign_host({"Host": text}) is None:
        found = hosts.split_host(text)
        assert found is not None
        assert hosts.is_loopback(found[0])
    hosts.foreign_origin({"Host": text, "Origin": text}, "POST")


@pytest.mark.parametrize(
    ("origin", "host", "same"),
    [
        ("http://waves.example", "waves.example", True),
        ("https://waves.example", "waves.example", True),
        ("https://waves.example", "waves.example:443", True),
        ("http://waves.example:8080", "waves.example:8080", True),
        ("http://WAVES.example", "waves.EXAMPLE", True),
        ("http://waves.example:8080", "waves.example", False),
        ("https://waves.example", "waves.example:80", False),
        ("http://waves.example.evil.example", "waves.example", False),
        ("http://evil.example", "waves.example", False),
        ("ftp://waves.example", "waves.example", False),
        ("null", "waves.example", False),
        ("", "waves.example", False),
    ],
)
def test_an_origin_is_ours_by_name_and_port(origin: str, host: str, same: bool) -> None:
    assert (hosts.foreign_origin({"Origin": origin, "Host": host}, "POST") is None) is same


def test_a_page_that_has_all_in_itself_runs_what_stands_in_it_alone() -> None:
    policy = policy_of('<style>a{}</style><script type="module">1</script><script>2</script>')
    assert policy.count("'sha256-") == 3
    assert "unsafe" not in policy
    assert "style-src-attr 'none'" in policy
    styled = policy_of('<a title="x" style="flex:3">y</a><script>var a = \'<b style="z">\'</script>')
    assert "style-src-attr 'unsafe-hashes' 'sha256-ZKSYWpe5RNtuFxfgXa+bMu79y4NA8OizX/vJSRwseR0='" in styled
    assert "script-src 'none'" in policy_of("<p>nothing</p>")


# Connections ----------------------------------------------------------------------------------------------------


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    made(path, "root", Role.ADMIN)
    return path


async def test_an_upload_has_an_end(tokens: Path) -> None:
    headers = made(tokens, "anna", Role.SUBMIT)
    async with tiny(tokens, ServiceLimits(upload_bytes=100_000)) as service:
        fits = await service.client.post("/upload", data=b"x" * 100_000, headers=headers)
        assert await fits.json() == {"bytes": 100_000}
        too_large = await service.client.post("/upload", data=b"x" * 100_001, headers=headers)
        assert too_large.status == 413
        await problem(too_large)

        async def pieces() -> object:
            for _ in range(200):
                yield b"x" * 1000  # no length was told before

        unknown = await service.client.post("/upload", data=pieces(), headers=headers)
        assert unknown.status == 413


@pytest.mark.parametrize("coding", ["gzip"])
async def test_a_body_that_is_not_packed_as_it_says_is_the_clients_mistake(tokens: Path, coding: str) -> None:
    async with tiny(tokens) as service:
        headers = {**made(tokens, "bob", Role.SUBMIT), "Content-Encoding": coding}
        async with service.client.post("/upload", data=b"job_id,key\n", headers=headers) as answer:
            assert answer.status == 400
            assert "Content-Encoding" in str((await problem(answer))["detail"])


async def test_packed_bodies_are_counted_unpacked(tokens: Path) -> None:
    import gzip

    headers = made(tokens, "anna", Role.SUBMIT) | {"Content-Encoding": "gzip"}
    async with tiny(tokens, ServiceLimits(upload_bytes=100_000)) as service:
        answer = await service.client.post("/upload", data=gzip.compress(b"x" * 1_000_000), headers=headers)
        assert answer.status == 413


async def _raw(service: Tiny, first: bytes, drip: bytes = b"") -> bytes:
    """What the service says to who sends *first*, and *drip* again and again, before it ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)

    async def dripping() -> None:
        while drip:
            writer.write(drip)
            await asyncio.sleep(0.02)

    writer.write(first)
    task = asyncio.create_task(dripping())
    said = b""
    try:
        async with asyncio.timeout(90):
            while piece := await reader.read(65536):
                said += piece
    except ConnectionError:
        pass  # it ended the connection while we went on dripping
    finally:
        task.cancel()
        writer.close()
    return said


@pytest.mark.parametrize(
    ("first", "drip"),
    [
        (b"", b""),
        (b"GET /read HTT", b""),
        (b"GET /open HTTP/1.1\r\nHost: x\r\n", b"A: b\r\n"),
        (b"GET /open HTTP/1.1\r\nHost: x\r\n\r\n", b""),  # answered, then silent
        (b"GET /open HTTP/1.1\r\nHost: x\r\n\r\nGET /o", b"o"),
    ],
)
async def test_a_client_that_does_not_get_on_is_left(tokens: Path, first: bytes, drip: bytes) -> None:
    async with tiny(tokens, keepalive_timeout=0.2) as service:
        answer = await _raw(service, first, drip)
        assert answer.startswith(b"HTTP/1.1 200") if first.endswith((b"\n\r\n", b"GET /o")) else not answer


_LONG = b"s3cret" * 2000


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /open HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n" % _LONG, 431),
        (b"GET /open?token=%s HTTP/1.1\r\nHost: x\r\n\r\n" % _LONG, 431),
        (b"GET /open HTTP/1.1\r\nHost: x\r\n%s\r\n" % (b"A: s3cret\r\n" * 70), 400),
        (b"GET /open HTTP/1.1\r\nHost: x\r\nA: s3cret\0\r\n\r\n", 400),
        (b"GET /open HTTP/1.1\r\nHost: x\r\nContent-Length: s3cret\r\n\r\n", 400),
        (b"s3cret\r\n\r\n", 400),
    ],
)
async def test_what_cannot_be_read_is_a_problem_that_tells_nothing_of_it(
    tokens: Path, sent: bytes, status: int
) -> None:
    async with tiny(tokens) as service:
        head, _, body = (await _raw(service, sent)).partition(b"\r\n\r\n")
        assert json.loads(body)["status"] == status
        assert b"%d " % status in head.splitlines()[0]
        assert b"application/problem+json" in head
        assert b"nosniff" in head
        assert b"s3cret" not in head + body


async def test_what_is_expected_is_answered_or_refused_with_a_problem(cloud: object, tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        headers = {**CSV, "Expect": "200-maybe"}
        async with service.client.post("/v1/waves", data=csv(1), headers=headers) as answer:
            assert answer.status == 417
            await problem(answer)
        async with service.client.post("/v1/waves", data=csv(1), headers=CSV, expect100=True) as answer:
            assert answer.status == 201


@pytest.mark.parametrize("drip", [b"", b"x"])
async def test_a_body_that_does_not_come_or_drips_is_given_up(tokens: Path, drip: bytes) -> None:
    token = made(tokens, "anna", Role.SUBMIT)["Authorization"]
    strict = ServiceLimits(idle_s=0.2, least_bytes_per_s=10_000)
    async with tiny(tokens, strict, lingering_time=0.1) as service:
        head = f"POST /upload HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\nContent-Length: 100000\r\n\r\nxx"
        answer = await _raw(service, head.encode(), drip)
        assert answer.startswith(b"HTTP/1.1 408")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["status"] == 408


async def test_streams_are_bounded_and_given_back(tokens: Path) -> None:
    anna, ben = made(tokens, "anna", Role.READ), made(tokens, "ben", Role.READ)
    async with tiny(tokens, ServiceLimits(streams=3, streams_each=2)) as service:
        held = [await service.client.get("/stream", headers=anna) for _ in range(2)]
        for answer in held:
            await answer.content.readline()
        assert (await service.client.get("/stream", headers=anna)).status == 429
        other = await service.client.get("/stream", headers=ben)
        await other.content.readline()
        assert (await service.client.get("/stream", headers=made(tokens, "carl", Role.READ))).status == 503
        for answer in (held[0], other):
            answer.close()
        async with asyncio.timeout(90):
            while service.streams.taken != 1:  # noqa: ASYNC110 - it is the other side that changes
                await asyncio.sleep(0.01)
        held[1].close()


async def test_connections_are_bounded_and_given_back(tokens: Path) -> None:
    anna = made(tokens, "anna", Role.READ)
    async with tiny(tokens, ServiceLimits(connections=3)) as service:
        held = [await asyncio.open_connection("127.0.0.1", service.port) for _ in range(3)]
        for _, writer in held:
            writer.write(b"GET /open HTTP/1.1\r\nHost: x\r\n\r\n")
        for reader, _ in held:
            await reader.readuntil(b"open to all")
        with pytest.raises(ClientConnectionError):
            await service.client.get("/read", headers=anna)
        held[0][1].close()
        async with asyncio.timeout(90):
            while True:
                try:
                    assert (await service.client.get("/read", headers=anna)).status == 200
                    break
                except ClientConnectionError:
                    await asyncio.sleep(0.01)
        for _, writer in held[1:]:
            writer.close()


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux has it")
async def test_a_client_that_reads_nothing_is_left(tokens: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has asked for much, and takes nothing of it: the kernel ends the connection."""
    monkeypatch.setattr(connections, "_SILENT_S", 1)
    async with tiny(tokens) as service:
        with socket.create_connection(("127.0.0.1", service.port)) as client:
            client.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
            async with asyncio.timeout(90):
                while service.open_connections() == 0:  # noqa: ASYNC110 - it is the other side that changes
                    await asyncio.sleep(0.01)
                while service.open_connections():  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
