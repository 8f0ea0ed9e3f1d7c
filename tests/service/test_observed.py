"""What others get to see of a real service: metrics that agree with what was done, and notifications of it."""

import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import orjson
import pytest
from aiohttp import web

from batcher.manifest import open_manifest
from batcher.service.given import ServedProfiles
from batcher.service.kept.register import WaveRow
from batcher.service.models import State
from batcher.service.notices.occasions import occasions, sentence
from batcher.service.notices.targets import Event
from batcher.service.roles import Role
from batcher.settings.errors import SettingsError
from batcher.simulator.config import CloudConfig
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from tests.service.serving import Serving, csv, serving
from tests.service.test_metrics import samples
from tests.service.test_notices import SECRET, Receiver
from tests.service.tiny import made


async def metrics(service: Serving, headers: dict[str, str] | None = None) -> dict[tuple[str, str], float]:
    async with service.client.get("/metrics", headers=headers) as answer:
        assert answer.status == 200
        told = await answer.read()
    if shutil.which("promtool") is not None:
        checked = subprocess.run(["promtool", "check", "metrics"], input=told, capture_output=True, check=False)
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")
    return samples(told)


async def test_metrics_agree_with_what_was_done(
    cloud: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = ServiceConfig(cloud=CloudConfig(speed=1000.0))
    async with Simulator(quick) as simulator, serving(tmp_path / "data") as service:
        monkeypatch.setenv("BATCHER_ENDPOINT", simulator.url)
        before = await metrics(service)
        assert before["batcher_attempts_total", "created"] == 0
        one = await service.submit(csv(7), "wait=true&poll=0.1")
        two = await service.submit(csv(5, first=100))
        for wave in (one, two):
            await service.until(wave["id"], State.ENDED)
        told = await metrics(service)
        assert told["batcher_entries_settled_total", "created"] == 12
        assert told["batcher_attempts_total", "created"] == 12
        assert told["batcher_attempt_duration_seconds_count", ""] == 12
        assert told["batcher_waves", "ended"] == 2
        assert told["batcher_waves", "running"] == 0
        assert sum(told[key] for key in told if key[0] == "batcher_scope_requests_total") == 12
        assert sum(told[key] for key in told if key[0] == "batcher_verdicts_total") == 7
        assert told["batcher_entries_open", ""] == 0
        assert told["batcher_journal_write_duration_seconds_count", ""] > 0
        assert told["batcher_http_requests_total", "POST,/v1/waves,201"] == 2
        assert not [key for key in told if one["id"] in key[1]]


async def test_metrics_take_a_role(cloud: Simulator, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    headers = made(tokens, "prometheus", Role.READ)
    async with serving(tmp_path / "data", tokens=tokens) as service:
        assert (await service.client.get("/metrics")).status == 401
        await metrics(service, headers)


def config(tmp_path: Path, section: str) -> ServedProfiles:
    path = tmp_path / "batcher.toml"
    path.write_text(section)
    return ServedProfiles(config=path)


async def test_others_are_told_of_what_happens_to_a_wave(
    cloud: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", SECRET)
    tokens, receiver = tmp_path / "tokens", Receiver(200)
    anna, ben = made(tokens, "anna", Role.SUBMIT), made(tokens, "ben", Role.APPROVE)
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    own = config(tmp_path, f'[notifications.portal]\nurl = "{url}"\nsecret_env = "HOOK"\n')
    try:
        async with serving(tmp_path / "data", tokens=tokens, approval=True, service=own) as service:
            wave = await service.submit(csv(3), headers=anna)
            (tmp_path / "same.csv").write_bytes(csv(3))
            assert wave["digest"] == open_manifest(tmp_path / "same.csv").digest  # which is what `batcher check` prints
            await receiver.until(1)
            approve = f"/v1/waves/{wave['id']}/approve"
            body = {"digest": wave["digest"]}
            async with service.client.post(approve, json=body, headers=anna) as answer:
                assert answer.status == 403
            async with service.client.post(approve, json=body, headers=ben) as answer:
                assert answer.status == 200
            await receiver.until(2)
            audited = await (await service.client.get("/v1/audit", headers=made(tokens, "root", Role.ADMIN))).json()
    finally:
        await runner.cleanup()
    told = [orjson.loads(body) for _, body in receiver.came]
    assert [(one["type"], one["data"]["wave"]["state"]) for one in told] == [
        ("wave.approval_asked", "held"),
        ("wave.ended", "ended"),
    ]
    assert told[1]["data"]["wave"]["counts"]["created"] == 3
    assert [(one["who"], one["action"], one["outcome"]) for one in audited["lines"]] == [
        ("anna", "submit", "done"),
        ("anna", f"POST {approve}", "refused"),
        ("ben", "approve", "done"),
    ]


async def test_nobody_fills_the_audit_log_with_what_they_may_not_do(cloud: Simulator, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    reader, root = made(tokens, "reader", Role.READ), made(tokens, "root", Role.ADMIN)
    async with serving(tmp_path / "data", tokens=tokens) as service:
        for _ in range(50):
            async with service.client.post("/v1/waves", data=b"", headers=reader) as answer:
                assert answer.status == 403
        audited = await (await service.client.get("/v1/audit", headers=root)).json()
    assert 20 <= len(audited["lines"]) < 30


async def test_what_could_not_be_told_is_told_after_a_restart(
    cloud: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, port: int
) -> None:
    monkeypatch.setenv("HOOK", SECRET)
    url = f"http://127.0.0.1:{port}/hook"
    own = config(tmp_path, f'[notifications.portal]\nurl = "{url}"\nsecret_env = "HOOK"\nevents = ["wave.ended"]\n')
    async with serving(tmp_path / "data", service=own) as service:
        wave = await service.submit(csv(1))
        await service.until(wave["id"], State.ENDED)
        assert (await metrics(service))["batcher_notifications", "waiting,portal"] == 1
    with closing(sqlite3.connect(tmp_path / "data" / "service.sqlite")) as db, db:
        db.execute("UPDATE outbox SET due_at = 0")  # as if the wait until the next attempt were over
    receiver = Receiver(200)
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        async with serving(tmp_path / "data", service=own):
            await receiver.until(1)
    finally:
        await runner.cleanup()
    assert orjson.loads(receiver.came[0][1])["data"]["wave"]["id"] == wave["id"]


async def test_a_service_with_a_wrong_notification_does_not_begin(cloud: Simulator, tmp_path: Path) -> None:
    own = config(tmp_path, '[notifications.portal]\nurl = "https://x.example/"\n')
    with pytest.raises(SettingsError, match="a webhook is signed"):
        async with serving(tmp_path / "data", service=own):
            pass


# What is told of which change -----------------------------------------------------------------------------------


def row(state: State, **more: object) -> WaveRow:
    return WaveRow(
        **{
            "id": "w1",
            "name": "first",
            "format": "csv",
            "digest": "sha256:d",
            "entries": 9,
            "submitted_by": "anna",
            "created_at": 0.0,
            "state": state,
            **more,
        }  # type: ignore[arg-type]
    )


RUNNING = row(State.RUNNING)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (None, row(State.HELD, needs_approval=True), ["wave.approval_asked"]),
        (None, row(State.HELD), []),  # it waits for its own submitter
        (None, row(State.QUEUED), []),
        (RUNNING, row(State.RUNNING, counts={"created": 4}), []),
        (RUNNING, row(State.PAUSED), []),
        (RUNNING, row(State.ENDED, exit_code=0, counts={"created": 9}), ["wave.ended"]),
        (RUNNING, row(State.ENDED, exit_code=1, counts={"failed": 9}), ["wave.ended"]),
        (RUNNING, row(State.ENDED, exit_code=4, counts={"unsettled": 1}, to_rule=1), ["wave.ended", "wave.unsettled"]),
        (RUNNING, row(State.STOPPED, exit_code=3, counts={"unsettled": 1}), ["wave.stopped"]),  # `start` looks it up
        (RUNNING, row(State.ENDED, exit_code=1, verdicts={"inconsistent": 1}), ["wave.ended", "wave.no_go"]),
        (RUNNING, row(State.ENDED, exit_code=0, verdicts={"consistent": 9}), ["wave.ended"]),
        (RUNNING, row(State.STOPPED, exit_code=3, reason="x"), ["wave.stopped"]),
        (row(State.ENDED), row(State.ENDED, counts={"created": 9}), []),  # an entry was settled
        (row(State.ENDED), row(State.QUEUED), []),  # its failed entries are taken up again
    ],
)
def test_each_change_is_told_as_what_it_means(before: WaveRow | None, after: WaveRow, told: list[str]) -> None:
    events = list(occasions(before, after))
    assert [event.value for event in events] == told
    for event in events:
        assert re.match(r"Wave w1 \(first\)", sentence(event, after))


def test_every_event_has_a_sentence() -> None:
    assert all(sentence(event, row(State.ENDED)) for event in Event)
