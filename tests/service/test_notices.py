"""Notifications: signed as the specification says, told until they are taken, across restarts, and only where the
configuration says."""

import asyncio
import base64
import hmac
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pytest
import structlog.testing
from aiohttp import web

from batcher.drs.transport import AiohttpTransport
from batcher.masking import mask_text
from batcher.notify.standard import body_of, headers_of, key_of
from batcher.service.notices import courier, outbox
from batcher.service.notices.courier import Courier
from batcher.service.notices.outbox import Notice, OwnOutbox
from batcher.service.notices.targets import Event, Target, targets_of
from batcher.settings.configfile import read_config
from batcher.settings.errors import SettingsError

T = TypeVar("T")
pytestmark = pytest.mark.filterwarnings("ignore:.*imghdr.*:DeprecationWarning")  # what apprise imports
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = 1_800_000_000.0


def test_the_signature_is_the_specifications() -> None:
    """The example of the specification's own libraries."""
    headers = headers_of("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}', key_of(SECRET))
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secret", ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_####", "whsec_YWJj"])
def test_a_weak_or_broken_secret_is_none(secret: str) -> None:
    with pytest.raises(ValueError, match="openssl rand"):
        key_of(secret)


class Db:
    """The service's database, without its thread."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.executescript(outbox.SCHEMA)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        return work(self.db)

    change = read

    def states(self) -> list[tuple[str, str, int]]:
        return self.db.execute("SELECT target, state, attempts FROM outbox ORDER BY made_at, target").fetchall()


class Leaping:
    """A clock that leaps over every sleep."""

    timebase = "leaping"

    def __init__(self, at: float = NOW) -> None:
        self.at = at

    def now(self) -> float:
        return self.at

    monotonic = boot = now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0.0005)
        self.at += seconds


class Receiver:
    """A webhook's receiver: answers with the *statuses*, the last one for ever, and keeps what came."""

    def __init__(self, *statuses: int, headers: dict[str, str] | None = None) -> None:
        self.statuses = list(statuses)
        self.headers = headers or {}
        self.came: list[tuple[dict[str, str], bytes]] = []
        self.elsewhere = 0

    async def take(self, request: web.Request) -> web.Response:
        self.came.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return web.Response(status=status, headers=self.headers)

    async def until(self, count: int) -> None:
        """Until so many have come."""
        async with asyncio.timeout(90):
            while len(self.came) < count:  # noqa: ASYNC110 - it is the other side that changes
                await asyncio.sleep(0.01)

    async def other(self, _: web.Request) -> web.Response:
        self.elsewhere += 1
        return web.Response()

    @asynccontextmanager
    async def serving(self, tmp_path: Path) -> AsyncIterator[Target]:
        app = web.Application()
        app.router.add_post("/hook-of-secret-path", self.take)
        app.router.add_route("*", "/elsewhere", self.other)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook-of-secret-path"
            yield target(tmp_path, url=url)
        finally:
            await runner.cleanup()


def target(tmp_path: Path, name: str = "portal", **section: Any) -> Target:
    (tmp_path / "secret").write_text(SECRET + "\n")
    (found,) = targets_of({name: {"secret_file": str(tmp_path / "secret"), **section}}, "batcher.toml", {})
    return found


def put(db: Db, who: Target, id: str = "msg_1", event: Event = Event.ENDED) -> None:
    body = body_of(event, {"wave": "w1"}, NOW)
    outbox.put(db.db, [who], Notice(id=id, event=event, text="Wave w1 has ended.", body=body, made_at=NOW))


async def deliver(db: Db, who: Target, until: Callable[[], bool], clock: Leaping | None = None) -> None:
    async with AiohttpTransport() as transport:
        clock = clock or Leaping()
        task = asyncio.create_task(Courier(OwnOutbox(db, clock), [who], transport, clock).run())
        try:
            async with asyncio.timeout(90):
                while not until() and not task.done():  # noqa: ASYNC110 - it is the other side that changes
                    await asyncio.sleep(0.002)
        finally:
            task.cancel()
            await asyncio.wait([task])
        if not task.cancelled():
            task.result()


async def test_a_message_is_delivered_once_and_can_be_checked(tmp_path: Path) -> None:
    db, receiver = Db(tmp_path / "db"), Receiver(204)
    async with receiver.serving(tmp_path) as who:
        put(db, who)
        await deliver(db, who, lambda: db.states() == [("portal", "sent", 1)])
        await deliver(db, who, lambda: True)
    ((headers, body),) = receiver.came
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    signature = base64.b64encode(hmac.new(key_of(SECRET), signed, sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{signature}"
    assert headers["webhook-id"] == "msg_1"
    assert orjson.loads(body) == {
        "type": "wave.ended",
        "timestamp": "2027-01-15T08:00:00.000Z",
        "data": {"wave": "w1"},
    }


async def test_it_is_told_again_until_it_is_taken_with_the_same_id(tmp_path: Path) -> None:
    db, receiver, clock = Db(tmp_path / "db"), Receiver(500, 404, 302, 200), Leaping()
    receiver.headers = {"Location": "/elsewhere"}
    async with receiver.serving(tmp_path) as who:
        put(db, who)
        with structlog.testing.capture_logs() as lines:
            await deliver(db, who, lambda: db.states() == [("portal", "sent", 4)], clock)
    assert receiver.elsewhere == 0  # a redirect leads nowhere
    assert {headers["webhook-id"] for headers, _ in receiver.came} == {"msg_1"}
    left = [int(headers["webhook-timestamp"]) for headers, _ in receiver.came]
    waits = [b - a for a, b in pairwise(left)]
    assert all(wait >= least for wait, least in zip(waits, outbox.BACK_OFF_S, strict=False))
    assert len({headers["webhook-signature"] for headers, _ in receiver.came}) == 4
    assert "secret-path" not in str(lines)
    assert "whsec" not in str(lines)
    assert [line["event"] for line in lines] == ["notice.failed"] * 3


async def test_a_restart_goes_on_with_what_was_waiting(tmp_path: Path) -> None:
    receiver = Receiver(503, 200)
    async with receiver.serving(tmp_path) as who:
        db = Db(tmp_path / "db")
        put(db, who)
        await deliver(db, who, lambda: db.states()[0][2] == 1, clock := Leaping())
        db.db.close()
        db = Db(tmp_path / "db")  # another process
        await deliver(db, who, lambda: db.states()[0][1] == "sent", clock)
    assert len(receiver.came) == 2


async def test_one_that_never_answers_well_is_given_up_and_the_others_go_on(tmp_path: Path) -> None:
    db, receiver, clock = Db(tmp_path / "db"), Receiver(500), Leaping()
    async with receiver.serving(tmp_path) as who:
        put(db, who)
        with structlog.testing.capture_logs() as lines:
            await deliver(db, who, lambda: db.states()[0][1] == "given_up", clock)
        assert len(receiver.came) == len(outbox.BACK_OFF_S) + 1
        assert clock.at - NOW > 24 * 3600
        assert lines[-1]["event"] == "notice.given_up"
        receiver.statuses = [200]
        put(db, who, "msg_2")
        await deliver(db, who, lambda: db.states()[-1][1] == "sent", clock)


async def test_gone_is_gone_and_a_wait_that_is_asked_for_is_kept(tmp_path: Path) -> None:
    db, receiver, clock = Db(tmp_path / "db"), Receiver(429, 410), Leaping()
    receiver.headers = {"Retry-After": "3600"}
    async with receiver.serving(tmp_path) as who:
        put(db, who)
        await deliver(db, who, lambda: db.states() == [("portal", "given_up", 2)], clock)
    first, second = (int(headers["webhook-timestamp"]) for headers, _ in receiver.came)
    assert second - first >= 3600


async def test_nobody_there_is_a_failure_like_any_other(tmp_path: Path, port: int) -> None:
    db, who = Db(tmp_path / "db"), target(tmp_path, url=f"http://127.0.0.1:{port}/hook")
    put(db, who)
    await deliver(db, who, lambda: db.states()[0][2] >= 2)
    assert db.states()[0][1] == "waiting"


async def test_a_target_that_is_configured_no_more_is_given_up(tmp_path: Path) -> None:
    db, receiver = Db(tmp_path / "db"), Receiver(200)
    put(db, target(tmp_path, name="old", url="https://old.example/"))
    async with receiver.serving(tmp_path) as who:
        await deliver(db, who, lambda: db.states()[0][1] == "given_up")


def test_only_what_is_wanted_is_put(tmp_path: Path) -> None:
    db = Db(tmp_path / "db")
    who = target(tmp_path, url="https://portal.example/", events=["wave.unsettled"])
    put(db, who, "msg_1", Event.ENDED)
    put(db, who, "msg_2", Event.UNSETTLED)
    assert db.db.execute("SELECT id FROM outbox").fetchall() == [("msg_2",)]


async def test_a_chat_is_told_by_apprise(tmp_path: Path) -> None:
    """Its own `json://` target, on loopback, in the place of a chat."""
    pytest.importorskip("apprise")
    db, receiver = Db(tmp_path / "db"), Receiver(500, 200)
    async with receiver.serving(tmp_path) as hook:
        assert hook.url is not None
        address = hook.url.replace("http://", "json://")
        (who,) = targets_of({"team": {"apprise_env": "CHAT"}}, "batcher.toml", {"CHAT": f"\n{address}\n"})
        put(db, who)
        with structlog.testing.capture_logs() as lines:
            await deliver(db, who, lambda: db.states() == [("team", "sent", 2)])
    said = orjson.loads(receiver.came[-1][1])
    assert (said["title"], said["message"]) == ("batcher: wave.ended", "Wave w1 has ended.")
    assert "secret-path" not in str(lines)


async def test_a_defect_on_the_way_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db, receiver = Db(tmp_path / "db"), Receiver(200)
    signed = headers_of
    calls = []

    def breaks_once(*given: Any) -> dict[str, str]:
        calls.append(given)
        if len(calls) == 1:
            raise ZeroDivisionError
        return signed(*given)

    monkeypatch.setattr(courier, "headers_of", breaks_once)
    async with receiver.serving(tmp_path) as who:
        put(db, who)
        with structlog.testing.capture_logs() as lines:
            await deliver(db, who, lambda: db.states()[0][1] == "sent")
    assert [line["event"] for line in lines] == ["notice.defect"]


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({}, "name either"),
        ({"url": "https://x.example/"}, "a webhook is signed"),
        ({"url": "https://x.example/", "secret_env": "NONE"}, "NONE (secret_env) is empty"),
        ({"url": "https://x.example/", "secret_env": "WEAK"}, "openssl"),
        ({"url": "https://x.example/", "secret_file": "/nowhere/secret"}, "/nowhere/secret"),
        ({"url": "http://x.example/", "secret_env": "GOOD"}, "without TLS"),
        ({"url": "gopher://x.example/", "secret_env": "GOOD"}, "no URL"),
        ({"url": 7, "secret_env": "GOOD"}, "url is a text"),
        ({"url": "https://x.example/", "secret_env": "GOOD", "event": ["wave.ended"]}, "Did you mean 'events'"),
        ({"url": "https://x.example/", "secret_env": "GOOD", "events": ["wave.end"]}, "Did you mean 'wave.ended'"),
        ({"url": "https://x.example/", "secret_env": "GOOD", "events": []}, "events is a list"),
        ({"url": "https://x.example/", "secret_env": "GOOD", "secret_file": "x"}, "keep one of the two"),
        ({"url": "https://x.example/", "secret": SECRET}, "there is no 'secret'"),
        ({"url": "https://x.example/", "apprise_env": "CHAT"}, "name either"),
        ({"apprise_env": "WEAK"}, "line 1"),
    ],
)
def test_what_cannot_be_told_is_said_with_its_mend(section: dict[str, Any], said: str) -> None:
    environ = {"WEAK": "weak", "GOOD": SECRET, "CHAT": "json://127.0.0.1/"}
    with pytest.raises(SettingsError) as refused:
        targets_of({"portal": section}, "batcher.toml", environ)
    assert "batcher.toml, [notifications.portal]: " in refused.value.message
    assert said in refused.value.message
    assert SECRET not in refused.value.message


def test_an_address_is_masked_and_others_like_it_are_not(tmp_path: Path) -> None:
    """Also where it begins as the service's own address does."""
    url = "http://127.0.0.1:8080/v1/hooks/T0123ABCD/aVerySecretPath"
    target(tmp_path, url=url)
    targets_of({"team": {"apprise_env": "CHAT"}}, "batcher.toml", {"CHAT": "json://127.0.0.1:8080/another-secret-path"})
    assert "aVerySecretPath" not in mask_text(f"posting to {url} failed")
    assert "aVerySecretPath" not in mask_text("POST /v1/hooks/T0123ABCD/aVerySecretPath: 500")
    assert "another-secret" not in mask_text("json://127.0.0.1:8080/another-secret-path")
    for harmless in ("http://127.0.0.1:8080/v1/waves", "json://", "https://portal.example", "hooks", "whsec"):
        assert mask_text(harmless) == harmless


def test_they_stand_in_the_config_file(tmp_path: Path) -> None:
    path = tmp_path / "batcher.toml"
    path.write_text('[notifications.portal]\nurl = "https://x.example/hook"\nsecret_env = "GOOD"\n')
    config = read_config(path)
    assert config is not None
    (found,) = targets_of(config.notifications, path, {"GOOD": SECRET})
    assert found.events == frozenset(Event)
    assert "x.example" not in repr(found)
    path.write_text("notifications = 7\n")
    with pytest.raises(SettingsError, match=r"\[notifications.NAME\]"):
        read_config(path)
