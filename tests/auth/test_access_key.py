"""Access keys against the simulator's own check of signatures; wrong ones are never sent so often that they lock."""

import asyncio
from pathlib import Path

import pytest

from batcher.drs.answer import Answer
from batcher.drs.auth.access_key import AccessKey, AccessKeyCredential
from batcher.drs.auth.explain import Cause
from batcher.drs.auth.key_guard import KeyGuard
from batcher.drs.auth.secret import FileSecret, GivenSecret
from batcher.drs.cloud import HttpRequest, Transport
from batcher.drs.v3.client import DrsClient
from batcher.simulator import iam
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from tests.auth.iam_server import transport
from tests.auth.test_secret import replaced

KEYS = {
    "AKGOOD": iam.SimulatedAccessKey("sk-good"),
    "AKTEMP": iam.SimulatedAccessKey("sk-temp", security_token="st-temp"),
}
CONFIG = ServiceConfig(iam=iam.IamConfig(mode="aksk", keys=KEYS))


def key(ak: str = "AKGOOD", sk: str = "sk-good", security_token: str | None = None) -> AccessKey:
    token = None if security_token is None else GivenSecret(security_token, "ST")
    return AccessKey(GivenSecret(ak, "AK"), GivenSecret(sk, "SK"), token)


class Counting:
    """A transport that counts what goes through to the cloud, and how many at once."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.sent = self.out = self.most = 0

    async def send(self, request: HttpRequest) -> Answer:
        self.sent, self.out = self.sent + 1, self.out + 1
        self.most = max(self.most, self.out)
        try:
            return await self._transport.send(request)
        finally:
            self.out -= 1


def client(guard: KeyGuard, url: str, which: AccessKey, project_id: str = "p1") -> DrsClient:
    credential = AccessKeyCredential(which, project_id, guard)
    return DrsClient(guard, endpoint=url, project_id=project_id, credential=credential)


async def test_signed_requests_are_let_in() -> None:
    async with Simulator(CONFIG) as cloud, transport() as wire:
        guard = KeyGuard(wire)
        for which in (key(), key("AKTEMP", "sk-temp", "st-temp")):
            one = client(guard, cloud.url, which)
            assert await one.prepare() is None
            assert (await one.job_statuses(["j1"])).http_status == 200


async def test_project_and_security_token_are_covered_by_the_signature() -> None:
    credential = AccessKeyCredential(key("AKTEMP", "sk-temp", "st-temp"), "p1", KeyGuard(Counting(None)))  # type: ignore[arg-type]
    request = HttpRequest(
        method="POST",
        url="https://h/v3/p1/x",
        headers={"Content-Type": "application/json", "X-Language": "en-us"},
        body=b"",
    )
    added = credential.headers(request)
    assert "SignedHeaders=content-type;host;x-project-id;x-sdk-date;x-security-token" in added["Authorization"]
    assert (added["X-Project-Id"], added["X-Security-Token"]) == ("p1", "st-temp")
    assert "sk-temp" not in "".join(added.values())


@pytest.mark.parametrize(
    ("which", "offset_s", "cause"),
    [
        (key(sk="sk-wrong"), 0.0, Cause.SIGNATURE_WRONG),
        (key("AKNONE"), 0.0, Cause.KEY_UNKNOWN),
        (key(), 3600.0, Cause.CLOCK_WRONG),
        (key(), -3600.0, Cause.CLOCK_WRONG),
    ],
)
async def test_a_refused_key_says_which_it_is(which: AccessKey, offset_s: float, cause: Cause) -> None:
    async with Simulator(CONFIG, clock_offset_s=offset_s) as cloud, transport() as wire:
        one = client(KeyGuard(wire), cloud.url, which)
        assert (await one.job_statuses(["j1"])).http_status == 401
        assert not await one.renew()
        refusal = await one.prepare()
        assert refusal is not None
        assert refusal.cause == cause
        if offset_s:
            assert f"1h {'behind' if offset_s > 0 else 'ahead of'} the cloud's" in refusal.error_msg


async def test_many_scopes_with_one_wrong_key_do_not_lock_it() -> None:
    """Five wrong signatures in a row lock a key for everybody who uses it."""
    async with Simulator(CONFIG) as cloud, transport() as wire:
        counting = Counting(wire)
        guard = KeyGuard(counting)
        wrong = key(sk="sk-wrong")
        clients = [client(guard, cloud.url, wrong, f"p{number}") for number in range(30)]
        answers = await asyncio.gather(*(one.job_statuses(["j1"]) for one in clients))
        assert counting.sent == 1
        assert [answer.http_status for answer in answers].count(401) == 1
        assert all(refusal is not None for refusal in [await one.prepare() for one in clients])
        assert (await client(KeyGuard(wire), cloud.url, key()).job_statuses(["j1"])).http_status == 200


async def test_a_key_that_was_taken_holds_nobody_up() -> None:
    async with Simulator(ServiceConfig(iam=CONFIG.iam, latency_s=(0.02, 0.03))) as cloud, transport() as wire:
        counting = Counting(wire)
        guard = KeyGuard(counting)
        one = client(guard, cloud.url, key())
        await asyncio.gather(*(one.job_statuses([f"j{number}"]) for number in range(8)))
        assert counting.most > 1
        assert counting.sent == 8


async def test_a_key_replaced_in_its_files_is_taken_up(tmp_path: Path) -> None:
    ak, sk = tmp_path / "ak", tmp_path / "sk"
    ak.write_text("AKGOOD")
    sk.write_text("sk-wrong")
    async with Simulator(CONFIG) as cloud, transport() as wire:
        one = client(KeyGuard(wire), cloud.url, AccessKey(FileSecret(ak, "ak"), FileSecret(sk, "sk")))
        assert (await one.job_statuses(["j1"])).http_status == 401
        assert not await one.renew()
        replaced(sk, "sk-good")
        assert await one.renew(), "the secret key is another one now"
        assert await one.prepare() is None
        assert (await one.job_statuses(["j1"])).http_status == 200


async def test_a_wrong_key_taken_up_by_many_scopes_is_tried_once(tmp_path: Path) -> None:
    sk = tmp_path / "sk"
    sk.write_text("sk-good")
    shared = AccessKey(GivenSecret("AKGOOD", "AK"), FileSecret(sk, "sk"))
    async with Simulator(CONFIG) as cloud, transport() as wire:
        counting = Counting(wire)
        guard = KeyGuard(counting)
        clients = [client(guard, cloud.url, shared, f"p{number}") for number in range(10)]
        assert (await clients[0].job_statuses(["j1"])).http_status == 200
        replaced(sk, "sk-wrong")
        for one in clients:
            if await one.prepare() is None:
                await one.job_statuses(["j1"])
        assert counting.sent == 2


async def test_each_attempt_is_signed_anew() -> None:
    now = [1_767_225_600.0]
    credential = AccessKeyCredential(key(), "p1", KeyGuard(Counting(None)), now=lambda: now[0])  # type: ignore[arg-type]
    request = HttpRequest(method="POST", url="https://h/v3/p1/x", headers={}, body=b"{}")
    first = credential.headers(request)
    now[0] += 60
    assert credential.headers(request)["X-Sdk-Date"] == "20260101T000100Z"
    assert credential.headers(request) != first
