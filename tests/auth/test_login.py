"""Tokens from IAM: one fetch however many wait, renewed in time and once after a 401, passwords never tried again."""

import asyncio
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from aiohttp import web

from batcher.drs.auth.explain import Cause
from batcher.drs.auth.iam import User, project_scope
from batcher.drs.auth.login import Login, LoginCredential
from batcher.drs.auth.secret import FileSecret, GivenSecret, SecretSource
from batcher.drs.cloud import HttpRequest, Refusal
from tests.auth.iam_server import Asked, IamServer, error, serving, token, transport
from tests.auth.test_secret import replaced

REQUEST = HttpRequest(method="POST", url="https://drs.example.com/v3/p1/jobs/x", headers={}, body=b"{}")
USER = User(name="ann", domain="acme")


class Time:
    """Unix seconds that a test moves, and sleeps that move them."""

    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds


class Bench:
    """One log-in against *server*, with credentials for as many projects as are asked for."""

    def __init__(self, server: IamServer, wire: object, password: SecretSource | None = None) -> None:
        self.time = Time()
        self.server = server
        source = password or GivenSecret("pass-word", "BATCHER_PASSWORD")
        self.login = Login(wire, server.url, USER, source, sleep=self.time.sleep)  # type: ignore[arg-type]

    def credential(self, project_id: str = "p1") -> LoginCredential:
        return LoginCredential(self.login, project_scope(project_id=project_id), now=self.time.now)


def numbered(life_s: int = 86400) -> Callable[[Asked], web.Response]:
    numbers = count(1)
    return lambda _: token(f"token-{next(numbers)}", life_s=life_s)


def shown(credential: LoginCredential) -> str:
    return credential.headers(REQUEST)["X-Auth-Token"]


async def test_the_request_is_iam_s_own_and_scoped_to_the_project() -> None:
    async with serving(numbered()) as server, transport() as wire:
        credential = Bench(server, wire).credential("p7")
        assert await credential.prepare() is None
        assert shown(credential) == "token-1"
        (asked,) = server.asked
        assert asked.path == "/v3/auth/tokens?nocatalog=true"
        assert asked.headers["Content-Type"] == "application/json;charset=utf8"
        assert asked.json == {
            "auth": {
                "identity": {
                    "methods": ["password"],
                    "password": {"user": {"name": "ann", "password": "pass-word", "domain": {"name": "acme"}}},
                },
                "scope": {"project": {"id": "p7"}},
            }
        }


async def test_one_fetch_however_many_wait() -> None:
    async with serving(numbered()) as server, transport() as wire:
        credential = Bench(server, wire).credential()
        server.gate.clear()
        waiting = [asyncio.create_task(credential.prepare()) for _ in range(50)]
        await server.arrived.wait()
        server.gate.set()
        assert await asyncio.gather(*waiting) == [None] * 50
        assert len(server.asked) == 1


async def test_the_one_who_fetches_may_be_cancelled() -> None:
    async with serving(numbered()) as server, transport() as wire:
        credential = Bench(server, wire).credential()
        server.gate.clear()
        first, second = (asyncio.create_task(credential.prepare()) for _ in range(2))
        await server.arrived.wait()
        first.cancel()
        server.gate.set()
        assert await second is None
        assert first.cancelled()


@pytest.mark.parametrize(("life_s", "renewed_from_s"), [(86400, 86400 - 1800), (600, 480)])
async def test_it_is_renewed_ahead_of_its_end(life_s: int, renewed_from_s: int) -> None:
    """Reckoned from when we asked: the stamps in the answer are by a clock that is years off."""
    async with serving(numbered(life_s)) as server, transport() as wire:
        bench = Bench(server, wire)
        credential = bench.credential()
        assert not credential.at_hand
        await credential.prepare()
        bench.time.now_s += renewed_from_s - 1
        assert credential.at_hand, "so nobody awaits `prepare`"
        await credential.prepare()
        assert shown(credential) == "token-1"
        bench.time.now_s += 2
        assert not credential.at_hand
        await credential.prepare()
        assert shown(credential) == "token-2"
        assert len(server.asked) == 2


async def test_after_a_401_it_is_renewed_once_for_all_who_saw_it() -> None:
    async with serving(numbered()) as server, transport() as wire:
        credential = Bench(server, wire).credential()
        await credential.prepare()
        used = credential.headers(REQUEST)
        assert await asyncio.gather(*(credential.renew(used) for _ in range(20))) == [True] * 20
        assert shown(credential) == "token-2"
        assert len(server.asked) == 2


async def test_a_token_that_holds_outlives_a_short_outage_of_iam() -> None:
    answers = iter([token("token-1", life_s=6000), error(503), token("token-2")])
    async with serving(lambda _: next(answers)) as server, transport() as wire:
        bench = Bench(server, wire)
        credential = bench.credential()
        await credential.prepare()
        bench.time.now_s += 5000
        assert await credential.prepare() is None
        assert shown(credential) == "token-1"
        asked = len(server.asked)
        await credential.prepare()
        assert len(server.asked) == asked, "not asked again at once"
        bench.time.now_s += 40
        assert await credential.prepare() is None
        assert shown(credential) == "token-2"


async def test_nobody_waits_for_a_renewal_while_the_token_holds() -> None:
    async with serving(numbered(600)) as server, transport() as wire:
        bench = Bench(server, wire)
        credential = bench.credential()
        await credential.prepare()
        bench.time.now_s += 500
        server.gate.clear()
        server.arrived.clear()
        renewing = asyncio.create_task(credential.prepare())
        await server.arrived.wait()
        assert await asyncio.gather(*(credential.prepare() for _ in range(20))) == [None] * 20
        assert shown(credential) == "token-1"
        server.gate.set()
        assert await renewing is None
        assert shown(credential) == "token-2"


async def test_what_may_pass_is_tried_again_and_waits_as_told() -> None:
    answers = iter([error(429, code="IAM.0012", Retry_After="7"), error(500, code="IAM.0006"), error(502), token()])
    async with serving(lambda _: next(answers)) as server, transport() as wire:
        bench = Bench(server, wire)
        assert await bench.credential().prepare() is None
        assert bench.time.slept[0] == 7.0
        assert len(server.asked) == 4


async def test_it_gives_up_before_tries_without_an_answer_could_lock_the_user() -> None:
    async with serving(lambda _: error(504)) as server, transport() as wire:
        refusal = await Bench(server, wire).credential().prepare()
        assert isinstance(refusal, Refusal)
        assert refusal.passing
        assert "later" in refusal.error_msg
        assert len(server.asked) < 5


async def test_an_iam_that_is_not_there_is_said() -> None:
    async with serving(lambda _: token()) as server, transport() as wire:
        bench = Bench(server, wire)
        gone = Login(wire, "http://127.0.0.1:1", USER, GivenSecret("pw", "X"), sleep=bench.time.sleep)
        refusal = await LoginCredential(gone, project_scope(project_id="p1"), now=bench.time.now).prepare()
        assert refusal is not None
        assert refusal.passing
        assert "IAM could not be reached" in refusal.error_msg


@pytest.mark.parametrize(
    ("status", "code", "message", "cause"),
    [
        (401, None, "The username or password is wrong.", Cause.PASSWORD_WRONG),
        (401, "IAM.0062", "", Cause.PASSWORD_WRONG),
        (401, "IAM.0061", "", Cause.USER_LOCKED),
        (401, None, "The account is locked, try again later.", Cause.USER_LOCKED),
        (403, "IAM.0061", "", Cause.USER_LOCKED),
        (403, "IAM.0081", "", Cause.USER_UNFIT),
        (403, None, "You are not authorized", Cause.NO_PERMISSION),
        (400, "IAM.0011", "bad", Cause.REQUEST_UNFIT),
    ],
)
async def test_a_refusal_is_never_tried_again_by_any_scope(
    status: int, code: str | None, message: str, cause: Cause
) -> None:
    async with serving(lambda _: error(status, message, code)) as server, transport() as wire:
        bench = Bench(server, wire)
        one, other = bench.credential("p1"), bench.credential("p2")
        refusal = await one.prepare()
        assert refusal is not None
        assert (refusal.cause, refusal.http_status, refusal.passing) == (cause, status, False)
        assert len(server.asked) == 1
        if cause in (Cause.PASSWORD_WRONG, Cause.USER_LOCKED, Cause.USER_UNFIT):
            assert await one.prepare() == await other.prepare() == refusal
            assert not await one.renew({})
            assert len(server.asked) == 1


async def test_a_refused_renewal_leaves_no_token_behind() -> None:
    answers = iter([token("token-1"), error(401)])
    async with serving(lambda _: next(answers)) as server, transport() as wire:
        credential = Bench(server, wire).credential()
        await credential.prepare()
        assert not await credential.renew(credential.headers(REQUEST))
        refusal = await credential.prepare()
        assert refusal is not None
        assert refusal.cause == Cause.PASSWORD_WRONG
        assert credential.headers(REQUEST) == {}


async def test_a_corrected_password_file_is_tried(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("wrong-one")

    def answer(asked: Asked) -> web.Response:
        return token() if asked.json["auth"]["identity"]["password"]["user"]["password"] == "right" else error(401)

    async with serving(answer) as server, transport() as wire:
        credential = Bench(server, wire, FileSecret(path, "the file")).credential()
        assert await credential.prepare() is not None
        replaced(path, "right")
        assert await credential.prepare() is None


async def test_an_answer_without_a_token_is_no_token() -> None:
    async with serving(lambda _: web.json_response({"token": {}}, status=201)) as server, transport() as wire:
        refusal = await Bench(server, wire).credential().prepare()
        assert refusal is not None
        assert "Check that it is IAM's address" in refusal.error_msg


async def test_a_redirect_is_not_followed_with_the_password() -> None:
    async with serving(lambda _: token()) as elsewhere, transport() as wire:
        moved = web.Response(status=307, headers={"Location": elsewhere.url + "/v3/auth/tokens"})
        async with serving(lambda _: moved) as server:
            assert await Bench(server, wire).credential().prepare() is not None
        assert elsewhere.asked == []


async def test_projects_get_tokens_of_their_own() -> None:
    async with serving(numbered()) as server, transport() as wire:
        bench = Bench(server, wire)
        credentials = [bench.credential(project_id) for project_id in ("p1", "p2", "p3")]
        await asyncio.gather(*(one.prepare() for one in credentials))
        assert len({shown(one) for one in credentials}) == 3
        scopes = [asked.json["auth"]["scope"]["project"]["id"] for asked in server.asked]
        assert sorted(scopes) == ["p1", "p2", "p3"]


async def test_a_domain_may_be_given_by_its_id() -> None:
    async with serving(numbered()) as server, transport() as wire:
        user = User(name="ann", domain="d-77", domain_is_id=True)
        login = Login(wire, server.url, user, GivenSecret("pw", "X"))
        await LoginCredential(login, project_scope(name="eu-west-101")).prepare()
        auth = server.asked[0].json["auth"]
        assert auth["identity"]["password"]["user"]["domain"] == {"id": "d-77"}
        assert auth["scope"] == {"project": {"name": "eu-west-101"}}


@pytest.mark.parametrize("length", [8_191, 60_000])
async def test_a_token_may_be_as_long_as_its_user_has_roles(length: int) -> None:
    """aiohttp's own limit of 8,190 bytes would make it no HTTP."""
    async with serving(lambda _: token("x" * length)) as server, transport() as wire:
        credential = Bench(server, wire).credential()
        assert await credential.prepare() is None
        assert shown(credential) == "x" * length
