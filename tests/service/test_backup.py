"""A backup of a running service is a state to start from, and an older one creates nothing twice."""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from batcher.service.models import State
from batcher.simulator.ledger import creations, doubles
from batcher.simulator.server import Simulator
from tests.service.serving import ROOT, Serving, csv, process, serving


def backup(data: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """What `batcher backup` says."""
    return batcher("backup", target, "--data", data)


def batcher(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """What a command of batcher's says."""
    command = [sys.executable, "-m", "batcher", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False
    )


def ids(line: dict[str, Any]) -> list[str]:
    """The comparisons that a result line reports."""
    halves = (line["object_level_compare_create_result"], line["data_level_compare_create_result"])
    return [half["compare_task_id"] for half in halves if half and half.get("compare_task_id")]


async def test_an_older_backup_is_started_and_nothing_is_created_twice(cloud: Simulator, tmp_path: Path) -> None:
    data, saved = tmp_path / "data", tmp_path / "saved"
    with process(data) as served:
        async with ClientSession(served.url) as client:
            service = Serving(served.url, client, data)
            running = await service.submit(csv(200), "rate=3/s&read_rate=100/s")  # it outlasts all that is done here
            held = await service.submit(csv(30, first=300), "rate=30/s&start=false")
            ended = await service.submit(csv(3, first=400), "rate=30/s")
            await service.until(ended["id"], State.ENDED)
            await service.created(running["id"], 10)

            assert (done := await asyncio.to_thread(backup, data, saved)).returncode == 0, done.stderr
            made = (await service.get(f"/v1/waves/{running['id']}"))["counts"]["created"]

            await service.post(f"/v1/waves/{held['id']}/start")
            after = await service.submit(csv(3, first=500))
            await service.until(after["id"], State.ENDED)
            await service.created(held["id"], 5)
            await service.created(running["id"], made + 20)
            await asyncio.to_thread(served.kill)
    shutil.rmtree(data)
    shutil.copytree(saved, data)

    async with serving(data) as service:
        async with service.client.patch(f"/v1/waves/{running['id']}", json={"rate": "100/s"}) as hurried:
            assert hurried.status == 200
        assert (await service.get(f"/v1/waves/{held['id']}"))["state"] == "held"
        await service.post(f"/v1/waves/{held['id']}/start")
        told: dict[str, int] = {}
        reported: list[str] = []
        for wave, entries in ((running, 200), (held, 30), (ended, 3)):
            end = await service.until(wave["id"], State.ENDED)
            lines = await service.lines(f"/v1/waves/{wave['id']}/results")
            assert sorted(line["index"] for line in lines) == list(range(entries))  # none is lost
            assert {line["status"] for line in lines} <= {"created", "unsettled"}
            assert end["counts"]["created"] + end["counts"]["unsettled"] == entries
            reported += [task_id for line in lines for task_id in ids(line)]
            told[wave["id"]] = end["counts"]["unsettled"]
        await service.get(f"/v1/waves/{after['id']}", status=404)  # it was handed in after the backup
    assert doubles(cloud.ledger) == {}
    all_made = {creation.compare_task_id for creation in creations(cloud.ledger)}
    assert set(reported) <= all_made
    assert len(reported) == len(set(reported))
    # What the lost service made is with a person; what nobody made was made now.
    assert told[running["id"]] >= 10  # some were in flight as it was made, and are found again
    assert told[held["id"]] >= 5
    assert told[ended["id"]] == 0


async def test_a_backup_of_a_killed_service_is_whole_and_leaves_it_as_it_was(cloud: Simulator, tmp_path: Path) -> None:
    data, saved = tmp_path / "data", tmp_path / "saved"
    with process(data) as served:
        async with ClientSession(served.url) as client:
            service = Serving(served.url, client, data)
            wave = await service.submit(csv(30), "rate=30/s")
            await service.created(wave["id"], 3)
            await asyncio.to_thread(served.kill)
    with (data / "waves" / wave["id"] / "results.jsonl").open("ab") as results:
        results.write(b'{"key":"torn')
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    done = await asyncio.to_thread(backup, data, saved)
    assert (done.returncode, done.stdout) == (0, "")
    assert "1 wave with 30 entries" in done.stderr
    assert {path: path.read_bytes() for path in data.rglob("*") if path.is_file() and "-shm" not in path.name} == {
        path: body for path, body in before.items() if "-shm" not in path.name
    }
    checked = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=saved, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr
    copied = (saved / "waves" / wave["id"] / "results.jsonl").read_bytes()
    assert copied.endswith(b"}\n")
    assert not list(saved.rglob("*-wal"))
    async with serving(saved) as service:
        assert (await service.until(wave["id"], State.ENDED))["counts"]["created"] == 30
        page = await service.get(f"/v1/waves/{wave['id']}/entries?status=created")
        assert page["total"] == 30
        deeds = (await service.get("/v1/audit"))["lines"]
        assert [deed["action"] for deed in deeds] == ["submit"]
    assert doubles(cloud.ledger) == {}


async def test_a_wave_that_was_not_begun_in_the_backup_is_looked_up_all_the_same(
    cloud: Simulator, tmp_path: Path
) -> None:
    """There is no journal of it, which could be an older one; nor may the wave's own settings spare the look."""
    data, saved = tmp_path / "data", tmp_path / "saved"
    async with serving(data) as service:
        wave = await service.submit(csv(20), "start=false&reconcile=off")
        assert (await asyncio.to_thread(backup, data, saved)).returncode == 0
        await service.post(f"/v1/waves/{wave['id']}/start")
        assert (await service.until(wave["id"], State.ENDED))["counts"]["created"] == 20
    async with serving(saved) as service:
        await service.post(f"/v1/waves/{wave['id']}/start")
        assert (await service.until(wave["id"], State.ENDED))["counts"]["unsettled"] == 20
    folder = (
        saved / "waves" / wave["id"]
    )  # and once more, now that it has a journal, which is younger than what was made
    assert (
        await asyncio.to_thread(batcher, "run", folder / "manifest.csv", "-o", folder / "results.jsonl")
    ).returncode == 4
    assert sum(1 for _ in creations(cloud.ledger)) == 20


def test_what_cannot_be_backed_up_is_refused_by_name(tmp_path: Path) -> None:
    data, saved = tmp_path / "data", tmp_path / "saved"
    assert f"no data of a service in {data}" in backup(data, saved).stderr
    data.mkdir()
    (data / "service.sqlite").write_bytes(b"not a database, and yet there")
    refused = backup(data, data / "saved")
    assert (refused.returncode, "is in the folder that is to be copied" in refused.stderr) == (2, True)
    refused = backup(data, saved)
    assert (refused.returncode, "is no database that this batcher can read" in refused.stderr) == (2, True)
    saved.mkdir()
    (saved / "something").touch()
    refused = backup(data, saved)
    assert (refused.returncode, "is there already" in refused.stderr) == (2, True)
    assert [path.name for path in saved.iterdir()] == ["something"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "saved"]  # no draft is left


async def test_a_damaged_journal_is_copied_as_it_is_and_said(cloud: Simulator, tmp_path: Path) -> None:
    data, saved = tmp_path / "data", tmp_path / "saved"
    async with serving(data) as service:
        good, bad = await service.submit(csv(3)), await service.submit(csv(3, first=10))
        for wave in (good, bad):
            await service.until(wave["id"], State.ENDED)
    journal = data / "waves" / bad["id"] / "results.jsonl.journal"
    journal.write_bytes(b"x" * 5000)
    done = backup(data, saved)
    assert done.returncode == 1
    assert f"wave {bad['id']}" in done.stderr
    assert (saved / journal.relative_to(data)).read_bytes() == b"x" * 5000
    async with serving(saved) as service:
        assert (await service.get(f"/v1/waves/{good['id']}"))["counts"]["created"] == 3
        assert len(await service.lines(f"/v1/waves/{bad['id']}/results")) == 3
