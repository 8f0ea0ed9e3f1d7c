"""Who is let in, on a real socket: tokens, roles, sessions, foreign pages, and what every answer carries."""

import asyncio
from pathlib import Path

import pytest
import structlog.testing

from batcher.service.roles import Role
from batcher.service.sessions import CSRF_HEADER
from batcher.service.tokens import revoke
from tests.service.tiny import made, problem, tiny

ROLES = list(Role)


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    made(path, "root", Role.ADMIN)
    return path


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_opens_what_takes_it_or_less(tokens: Path, role: Role) -> None:
    headers = made(tokens, "anna", role)
    async with tiny(tokens) as service:
        for least in ROLES:
            answer = await service.client.get(f"/{least.word}", headers=headers)
            assert answer.status == (200 if role >= least else 403)
            if role < least:
                assert least.word in str((await problem(answer))["detail"])
            else:
                assert await answer.json() == {"name": "anna", "role": role.word, "address": "127.0.0.1"}


@pytest.mark.parametrize(
    "said", [None, "", "Bearer", "Bearer ", "Basic cm9vdDpyb290", "Bearer wrong", "Bearer " + "x" * 5000]
)
async def test_without_a_token_nobody_is_let_in(tokens: Path, said: str | None) -> None:
    async with tiny(tokens) as service:
        answer = await service.client.get("/read", headers={} if said is None else {"Authorization": said})
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        await problem(answer)
        assert (await service.client.get("/open")).status == 200


async def test_a_token_is_good_until_it_is_revoked(tokens: Path) -> None:
    async with tiny(tokens) as service:
        headers = made(tokens, "late", Role.READ)  # while it serves
        assert (await service.client.get("/read", headers=headers)).status == 200
        revoke(tokens, "late")
        assert (await service.client.get("/read", headers=headers)).status == 401


async def test_a_spoilt_tokens_file_lets_nobody_in_and_the_log_says_why(tokens: Path) -> None:
    headers = made(tokens, "anna", Role.READ)
    async with tiny(tokens) as service:
        assert (await service.client.get("/read", headers=headers)).status == 200
        tokens.chmod(0o666)
        with structlog.testing.capture_logs() as lines:
            answer = await service.client.get("/read", headers=headers)
        assert answer.status == 503
        assert str(tokens) not in str(await problem(answer))
        assert any("chmod 600" in str(line.get("error")) for line in lines)


async def test_wrong_tokens_are_bounded_for_an_address_and_known_ones_go_on(tokens: Path) -> None:
    known, unknown = made(tokens, "anna", Role.READ), made(tokens, "new", Role.READ)
    async with tiny(tokens) as service:
        assert (await service.client.get("/read", headers=known)).status == 200
        wrong = {"Authorization": "Bearer wrong"}
        statuses = [(await service.client.get("/read", headers=wrong)).status for _ in range(15)]
        assert statuses == [401] * 10 + [429] * 5
        refused = await service.client.get("/read", headers=unknown)
        assert refused.status == 429
        assert int(refused.headers["Retry-After"]) > 0
        assert (await service.client.get("/read", headers=known)).status == 200


async def test_a_token_in_an_address_is_refused_and_never_logged(tokens: Path) -> None:
    headers = made(tokens, "anna", Role.READ)
    token = headers["Authorization"].removeprefix("Bearer ")
    async with tiny(tokens) as service:
        with structlog.testing.capture_logs() as lines:
            answer = await service.client.get("/read", params={"token": token}, headers=headers)
            assert (await service.client.get("/read", headers=headers)).status == 200
        assert answer.status == 400
        await problem(answer)
        assert token not in str(lines)


async def test_one_line_an_access(tokens: Path) -> None:
    headers = made(tokens, "anna", Role.READ)
    async with tiny(tokens) as service:
        with structlog.testing.capture_logs() as lines:
            for path in ("/read?q=secret", "/admin", "/nowhere", "/open", "/broken"):
                await service.client.get(path, headers=headers)
        told = [(line["path"], line["status"], line["who"]) for line in lines if line["event"] == "service.request"]
        assert told == [
            ("/read", 200, "anna"),
            ("/admin", 403, "anna"),
            ("/nowhere", 404, None),
            ("/open", 200, None),
            ("/broken", 500, "anna"),
        ]


NO_REQUESTS = [b"nonsense\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET /open HTTP/9.9\r\nHost: x\r\n\r\n"]


@pytest.mark.parametrize("sent", NO_REQUESTS)
async def test_one_line_also_for_what_is_no_request(tokens: Path, sent: bytes) -> None:
    async with tiny(tokens) as service:
        with structlog.testing.capture_logs() as lines:
            reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
            writer.write(sent)
            answer = await reader.read()
            writer.close()
        assert b" 400 " in answer.partition(b"\r\n")[0]
        assert [(line["event"], line["path"], line["status"]) for line in lines] == [("service.request", "-", 400)]


async def test_what_a_proxy_says_of_the_address_is_kept_apart(tokens: Path) -> None:
    """Whoever connects can say so: it is no way around the bound on wrong tokens."""
    async with tiny(tokens) as service:
        said = {"Authorization": "Bearer wrong", "X-Forwarded-For": ""}
        with structlog.testing.capture_logs() as lines:
            statuses = [
                (await service.client.get("/read", headers=said | {"X-Forwarded-For": f"203.0.113.{n}"})).status
                for n in range(12)
            ]
        assert statuses == [401] * 10 + [429] * 2
        assert [(line["address"], line["forwarded_for"]) for line in lines[:2]] == [
            ("127.0.0.1", "203.0.113.0"),
            ("127.0.0.1", "203.0.113.1"),
        ]


async def test_a_defect_is_a_problem_that_tells_nothing(tokens: Path) -> None:
    headers = made(tokens, "anna", Role.READ)
    async with tiny(tokens) as service:
        answer = await service.client.get("/broken", headers=headers)
        assert answer.status == 500
        assert "hunter2" not in str(await problem(answer))


async def test_every_answer_tells_browsers_what_not_to_do(tokens: Path) -> None:
    async with tiny(tokens) as service:
        for path in ("/open", "/read", "/nowhere"):
            answer = await service.client.get(path)
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers["Server"] == "batcher"
        wrong = await service.client.put("/open")
        assert wrong.status == 405
        assert wrong.headers["Allow"]
        await problem(wrong)


# Without a tokens file ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:{port}", 200),
        ("localhost:{port}", 200),
        ("[::1]:{port}", 200),
        ("evil.example", 421),
        ("evil.example:{port}", 421),
        ("127.0.0.1.evil.example:{port}", 421),
        ("localhost.evil.example", 421),
        ("10.0.0.1:{port}", 421),
        ("user@localhost", 421),
    ],
)
async def test_without_tokens_only_this_machines_names_are_answered(host: str, status: int) -> None:
    async with tiny() as service:
        answer = await service.client.get("/admin", headers={"Host": host.format(port=service.port)})
        assert answer.status == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),  # another program's page on this machine
        ({"Origin": "http://localhost:{port}"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"}, 403),
    ],
)
async def test_without_tokens_no_foreign_page_is_answered(headers: dict[str, str], status: int) -> None:
    async with tiny() as service:
        sent = {name: value.format(port=service.port) for name, value in headers.items()}
        assert (await service.client.post("/admin", headers=sent)).status == status
        assert (await service.client.get("/read", headers=sent)).status == status


async def test_a_link_to_the_page_may_be_followed() -> None:
    async with tiny() as service:
        headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        assert (await service.client.get("/read", headers=headers)).status == 200
        assert (await service.client.post("/submit", headers=headers)).status == 403


# A browser ------------------------------------------------------------------------------------------------------


async def test_a_browser_logs_in_once_and_its_cookie_speaks_for_it(tokens: Path) -> None:
    token = made(tokens, "anna", Role.SUBMIT)["Authorization"].removeprefix("Bearer ")
    async with tiny(tokens) as service:
        client = service.client
        assert (await client.post("/v1/session", json={"token": "wrong"})).status == 401
        begun = await client.post("/v1/session", json={"token": token})
        assert begun.status == 201
        said = await begun.json()
        cookie = begun.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert "Secure" not in cookie  # plain http on loopback
        assert token not in cookie
        kept = {"Cookie": cookie.partition(";")[0]}
        assert await (await client.get("/v1/session", headers=kept)).json() == said
        assert said["name"] == "anna"

        word = {CSRF_HEADER: said["csrf"]}
        own = {"Origin": service.url, "Sec-Fetch-Site": "same-origin"}
        foreign = {"Origin": "https://evil.example"}
        assert (await client.get("/read", headers=kept)).status == 200
        assert (await client.post("/submit", headers=kept | own | word)).status == 200
        assert (await client.post("/submit", headers=kept | own)).status == 403
        assert (await client.post("/submit", headers=kept | own | {CSRF_HEADER: "x"})).status == 403
        assert (await client.post("/submit", headers=kept | foreign | word)).status == 403
        assert (await client.get("/read", headers=kept | foreign)).status == 403
        assert (await client.post("/approve", headers=kept | own | word)).status == 403

        assert (await client.delete("/v1/session", headers=kept | own)).status == 403  # no other page logs anybody out
        assert (await client.delete("/v1/session", headers=kept | own | word)).status == 204
        assert (await client.get("/read", headers=kept)).status == 401


async def test_a_session_is_worth_no_more_than_its_token(tokens: Path) -> None:
    token = made(tokens, "anna", Role.SUBMIT)["Authorization"].removeprefix("Bearer ")
    async with tiny(tokens) as service:
        begun = await service.client.post("/v1/session", json={"token": token})
        kept = {"Cookie": begun.headers["Set-Cookie"].partition(";")[0]}
        tokens.write_text(tokens.read_text().replace("anna submit", "anna read"))
        assert (await service.client.get("/submit", headers=kept)).status == 403
        revoke(tokens, "anna")
        assert (await service.client.get("/read", headers=kept)).status == 401


async def test_over_tls_the_cookie_is_for_tls_alone(tokens: Path) -> None:
    token = made(tokens, "anna", Role.READ)["Authorization"].removeprefix("Bearer ")
    async with tiny(tokens) as service:
        headers = {"Host": "waves.example", "Origin": "https://waves.example"}  # a proxy ended TLS before us
        begun = await service.client.post("/v1/session", json={"token": token}, headers=headers)
        assert begun.status == 201
        assert begun.headers["Set-Cookie"].startswith("__Host-")
        assert "Secure" in begun.headers["Set-Cookie"]


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "application/json", 422),
        (b"[]", "application/json", 422),
        (b'{"token": 7}', "application/json", 422),
        (b"\xff", "application/json", 422),
        (b'{"token": "x"}', "text/plain", 415),  # what a foreign form could send
        (b" " * 70_000, "application/json", 413),
    ],
)
async def test_what_is_no_login(tokens: Path, body: bytes, kind: str, status: int) -> None:
    async with tiny(tokens) as service:
        answer = await service.client.post("/v1/session", data=body, headers={"Content-Type": kind})
        assert answer.status == status
        await problem(answer)


async def test_many_at_once_are_each_themselves(tokens: Path) -> None:
    everybody = {f"t{n}": made(tokens, f"t{n}", Role.READ) for n in range(20)}
    async with tiny(tokens) as service:

        async def ask(name: str) -> str:
            answer = await service.client.get("/read", headers=everybody[name])
            said: str = (await answer.json())["name"]
            return said

        assert await asyncio.gather(*map(ask, everybody)) == list(everybody)
