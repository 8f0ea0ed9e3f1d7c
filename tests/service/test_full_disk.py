"""The data folder on a disk that is full: what cannot be recorded is refused and not done, what is there can be read,
and all goes on when there is room. The disk is a small file system of its own."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import ClientSession

from batcher.journal.errors import JournalFailed
from batcher.journal.sqlite.keeper import SqliteKeeper
from batcher.service.models import State
from batcher.service.running import run, runner
from batcher.simulator.ledger import creations, doubles
from batcher.simulator.server import Simulator
from tests.service.serving import CSV, Serving, csv, eventually, process, serving

ROOM = 6 * 1024 * 1024  # bytes of the disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk."""
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={ROOM},mode=0700", "tmpfs", str(path)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.strip()}")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(disk: Path, left: int = 0) -> None:
    """Leave so many bytes of room."""
    free(disk)
    there = os.statvfs(disk)
    size = max(0, there.f_bavail * there.f_frsize - left)
    with (disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while size > 0:
            size -= filler.write(bytes(min(size, 16_384)))


def free(disk: Path) -> None:
    """Make room again."""
    (disk / "filler").unlink(missing_ok=True)


async def answer(service: Serving, method: str, path: str, **more: Any) -> tuple[int, Any]:
    async with service.client.request(method, path, **more) as said:
        body = await said.read()
        if said.status >= 400:
            assert said.content_type == "application/problem+json"
        return said.status, orjson.loads(body) if said.content_type.endswith(("/json", "+json")) else body


async def require_both_hold_the_same(service: Serving) -> None:
    """The table of the audit log, and its file without what it takes back, are one."""
    table = (await service.get("/v1/audit?limit=500"))["lines"]
    lines = [orjson.loads(line) for line in (service.data / "audit.jsonl").read_bytes().splitlines()]
    undone = {seq for line in lines if "note" in line for seq in range(line["first_seq"], line["last_seq"] + 1)}
    assert [line for line in lines if "seq" in line and line["seq"] not in undone] == table


async def test_what_cannot_be_recorded_is_refused_and_what_is_there_can_be_read(cloud: Simulator, disk: Path) -> None:
    async with serving(disk / "data") as service:
        ended = await service.submit(csv(20, first=100), "wait=true")
        await service.until(ended["id"], State.ENDED)
        held = await service.submit(csv(20), "start=false")
        there, other = f"/v1/waves/{ended['id']}", f"/v1/waves/{held['id']}"
        asked: list[tuple[str, str, dict[str, Any]]] = [
            ("POST", "/v1/waves", {"data": csv(3), "headers": CSV}),
            ("POST", "/v1/waves", {"data": csv(5000), "headers": CSV}),
            ("POST", "/v1/waves", {"data": b"job_id\n" + b"x,y\n" * 5000, "headers": CSV}),
            ("POST", "/v1/check", {"data": csv(5000), "headers": CSV}),
            ("POST", f"{other}/start", {}),
            ("POST", f"{other}/stop", {}),
            ("PATCH", other, {"json": {"priority": 4}}),
            ("POST", f"{there}/entries/1/settle", {"json": {"as": "failed"}}),
        ]
        for left in (0, 4096, 12_288, 40_960, 81_920):
            for method, path, more in asked:
                if left and path.endswith(("start", "stop")):
                    continue
                fill(disk, left)
                status, said = await answer(service, method, path, **more)
                assert status == 507 or (left and status in (200, 201, 409)), (left, path, said)
                for read in ("/v1/waves", "/v1/audit", "/metrics", "/healthz", f"{there}/results", f"{there}/verdicts",
                             f"{there}/entries/0", f"{there}/gate", f"{there}/report?format=csv"):  # fmt: skip
                    assert (await answer(service, "GET", read))[0] == 200, (left, read)
                assert (await answer(service, "GET", "/readyz"))[0] == 503
            free(disk)
            await require_both_hold_the_same(service)
        assert not list((service.data / "incoming").iterdir())
        waves = (await service.get("/v1/waves?limit=500"))["waves"]
        assert {path.name for path in (service.data / "waves").iterdir()} == {wave["id"] for wave in waves}
        assert (await service.get(other))["state"] == "held"
        assert (await service.post(f"{other}/start"))["state"] == "queued"
        await service.until(held["id"], State.ENDED)


async def test_a_wave_that_finds_no_room_goes_on_by_itself_and_nothing_is_made_twice(
    cloud: Simulator, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_AGAIN_S", 0.2)
    monkeypatch.setattr(runner, "_STORE_AGAIN_S", 0.2)
    async with serving(disk / "data") as service:
        begun = await service.submit(csv(80), "rate=40/s")
        await service.created(begun["id"], 3)
        fresh = await service.submit(csv(20, first=500), "start=false&priority=5")
        await service.post(f"/v1/waves/{fresh['id']}/start")
        fill(disk)

        async def is_told() -> bool:
            wave = await service.get(f"/v1/waves/{begun['id']}")
            return "tried again by itself" in (wave["reason"] or "")

        for _ in range(2):  # there is a little room now and then, which does not last
            free(disk)
            fill(disk, 49_152)
            await eventually(is_told)
        free(disk)
        for wave in (begun, fresh):
            ended = await service.until(wave["id"], State.ENDED, State.STOPPED)
            assert (ended["state"], ended["exit_code"], ended["reason"]) == ("ended", 0, None)
            assert len(await service.lines(f"/v1/waves/{wave['id']}/results")) == wave["entries"]
        await require_both_hold_the_same(service)
    assert not list(doubles(cloud.ledger))
    assert len(list(creations(cloud.ledger))) == 100


async def test_a_service_that_starts_on_a_full_disk_can_be_asked_and_goes_on_when_there_is_room(
    cloud: Simulator, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_AGAIN_S", 0.2)
    monkeypatch.setattr(runner, "_STORE_AGAIN_S", 0.2)
    with process(disk / "data") as died:
        async with ClientSession(died.url) as client:
            wave = await Serving(died.url, client, disk / "data").submit(csv(60), "rate=40/s")
            await Serving(died.url, client, disk / "data").created(wave["id"], 3)
        await asyncio.to_thread(died.kill)
    fill(disk)
    async with serving(disk / "data") as service:
        told = await service.get(f"/v1/waves/{wave['id']}")
        assert "tried again by itself" in told["reason"]
        assert told["counts"]["created"] >= 3
        await service.post(f"/v1/waves/{wave['id']}/pause", status=507)
        free(disk)
        ended = await service.until(wave["id"], State.ENDED)
        assert (ended["exit_code"], ended["reason"], ended["counts"]["created"]) == (0, None, 60)
    assert not list(doubles(cloud.ledger))


def test_a_full_disk_is_not_taken_for_one_that_cannot_hold_a_journal(disk: Path) -> None:
    """SQLite says of both that its shared memory could not be made."""
    journal = disk / "results.jsonl.journal"
    SqliteKeeper(journal).close()
    fill(disk)
    with pytest.raises(JournalFailed, match="journal"):
        SqliteKeeper(journal)
