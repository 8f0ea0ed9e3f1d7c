"""What was answered with 201 is run, and once, whatever becomes of the service; what was not leaves nothing."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import ClientError, ClientSession

from batcher import exits
from batcher.errors import UserError
from batcher.service import acceptance
from batcher.service.models import State
from batcher.service.running import run
from batcher.simulator.faults import Script
from batcher.simulator.ledger import RequestSeen, creations, doubles
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from batcher.wave.sink import ResultsFile
from tests.service.conftest import CLOUD
from tests.service.dying import STEPS
from tests.service.serving import CSV, Process, Serving, csv, eventually, process, serving

KEY = {"Idempotency-Key": "one and only"}


@asynccontextmanager
async def speaking_to(served: Process, data: Path) -> AsyncIterator[Serving]:
    async with ClientSession(served.url) as client:
        yield Serving(served.url, client, data)


async def handed_in(service: Serving, manifest: bytes) -> dict[str, Any] | None:
    """The wave; None where the service died before it answered."""
    try:
        return await service.submit(manifest, "name=w", KEY)
    except (ClientError, OSError):
        return None


@pytest.mark.parametrize("step", STEPS)
async def test_killed_at_each_step_of_a_wave(cloud: Simulator, tmp_path: Path, step: str) -> None:
    data, manifest = tmp_path / "data", csv(6)
    with process(data, dies_at=step) as served:
        async with speaking_to(served, data) as service:
            first = await handed_in(service, manifest)
        await asyncio.to_thread(served.died)
    async with serving(data) as service:
        again = await service.submit(manifest, "name=w", KEY)
        assert first is None or again["id"] == first["id"]
        ended = await service.until(again["id"], State.ENDED)
        assert (ended["exit_code"], ended["counts"]["created"]) == (0, 6)
        assert len((await service.get("/v1/waves"))["waves"]) == 1
        assert [path.name for path in (data / "waves").iterdir()] == [again["id"]]
        assert list((data / "incoming").iterdir()) == []
        assert len(await service.lines(f"/v1/waves/{again['id']}/results")) == 6
    assert doubles(cloud.ledger) == {}
    assert sum(1 for _ in creations(cloud.ledger)) == 6


async def test_every_wave_goes_on_by_itself_and_what_was_paused_stays_paused(cloud: Simulator, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with process(data) as served:
        async with speaking_to(served, data) as service:
            running = await service.submit(csv(40), "rate=20/s")
            await service.until(running["id"], State.RUNNING)
            queued = await service.submit(csv(3, first=100))
            paused = await service.submit(csv(3, first=200))
            held = await service.submit(csv(3, first=300), "start=false")
            await service.post(f"/v1/waves/{paused['id']}/pause")
        await asyncio.to_thread(served.kill)
    async with serving(data) as service:
        for wave in (running, queued):
            assert (await service.until(wave["id"], State.ENDED))["exit_code"] == 0
        assert (await service.get(f"/v1/waves/{paused['id']}"))["state"] == "paused"
        assert (await service.get(f"/v1/waves/{held['id']}"))["state"] == "held"
        await service.post(f"/v1/waves/{paused['id']}/resume")
        assert (await service.until(paused["id"], State.ENDED))["exit_code"] == 0
    assert doubles(cloud.ledger) == {}


@pytest.mark.parametrize("ends", [True, False])
async def test_the_counts_after_a_kill_are_those_of_the_journal(
    cloud: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: bool
) -> None:
    """Also where the wave cannot go on, for want of a credential, or does not yet."""
    data = tmp_path / "data"
    with process(data) as served:
        async with speaking_to(served, data) as service:
            wave = await service.submit(csv(40), "rate=10/s")
            await service.created(wave["id"], 3)
        await asyncio.to_thread(served.kill)
    monkeypatch.delenv("BATCHER_TOKEN")
    async with serving(data, workers=int(ends)) as service:
        found = await service.until(wave["id"], State.STOPPED if ends else State.QUEUED)
        assert found["exit_code"] == (2 if ends else None)
        assert 3 <= found["counts"]["created"] <= sum(1 for _ in creations(cloud.ledger))
        assert found["scopes"][0]["settled"] == sum(found["counts"].values())


async def test_what_one_wave_made_before_the_kill_is_no_other_waves(cloud: Simulator, tmp_path: Path) -> None:
    """Two waves name one job. The one was done with it, the other had not come to it when the service died."""
    data = tmp_path / "data"
    with process(data) as served:
        async with speaking_to(served, data) as service:
            slow = await service.submit(
                csv(3, first=9) + b"job-0,objects,theirs\n", "rate=1/min&read_rate=100/s&concurrency=1"
            )
            await service.created(slow["id"], 1)
            quick = await service.submit(csv(1))
            await service.until(quick["id"], State.ENDED)
        await asyncio.to_thread(served.kill)
    async with serving(data) as service:
        async with service.client.patch(f"/v1/waves/{slow['id']}", json={"rate": "100/s"}) as answer:
            assert answer.status == 200
        assert (await service.until(slow["id"], State.ENDED))["exit_code"] == 0
        found = [
            line["object_level_compare_create_result"]["compare_task_id"]
            for wave in (slow, quick)
            for line in await service.lines(f"/v1/waves/{wave['id']}/results")
        ]
    assert len(set(found)) == 5
    assert sorted(found) == sorted(creation.compare_task_id for creation in creations(cloud.ledger))


SHARED = b"job_id,object_level_compare_type,key\njob-0,objects,%s\n"
CLOCK = b"job-%s,objects,clock\n"  # an entry of its own, whose comparison tells the cloud's time


@asynccontextmanager
async def scripted(monkeypatch: pytest.MonkeyPatch, *creates: str) -> AsyncIterator[Simulator]:
    """In the place of the usual cloud one in which each job's create requests meet these faults."""
    async with Simulator(ServiceConfig(cloud=CLOUD, faults=Script(creates=creates))) as simulator:
        monkeypatch.setenv("BATCHER_ENDPOINT", simulator.url)
        yield simulator


def asked_in(cloud: Simulator) -> list[str | None]:
    """The jobs of the create requests, in their order."""
    return [event.job_id for event in cloud.ledger if isinstance(event, RequestSeen) and event.asked]


async def claimed_by(service: Serving, *waves: dict[str, Any]) -> list[str]:
    """The comparisons that the entries of *waves* report, which have all ended."""
    for wave in waves:
        assert (await service.until(wave["id"], State.ENDED))["exit_code"] == 0
    return [
        line["object_level_compare_create_result"]["compare_task_id"]
        for wave in waves
        for line in await service.lines(f"/v1/waves/{wave['id']}/results")
    ]


async def test_a_wave_that_begins_after_the_kill_takes_nothing_of_one_before(
    cloud: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both name one job, and the second one's request gets lost: all that is listed then is what the first one made,
    moments before."""
    data = tmp_path / "data"
    async with scripted(monkeypatch, "", "reset-before") as cloud:
        with process(data) as served:
            async with speaking_to(served, data) as service:
                first = await service.submit(SHARED % b"first")
                await service.until(first["id"], State.ENDED)
            await asyncio.to_thread(served.kill)
        async with serving(data) as service:
            ahead = await service.submit(SHARED.splitlines(keepends=True)[0] + CLOCK % b"9")
            await service.until(ahead["id"], State.ENDED)
            second = await service.submit(SHARED % b"second", "priority=100")
            found = await claimed_by(service, first, ahead, second)
        assert sorted(found) == sorted(creation.compare_task_id for creation in creations(cloud.ledger))
        assert len(set(found)) == 3


async def test_what_a_dead_process_left_in_doubt_keeps_its_job_while_it_can_land(
    cloud: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where its own wave cannot be opened any more, which would look it up: the job's next request waits."""
    data = tmp_path / "data"
    async with scripted(monkeypatch, "silent-after") as cloud:
        with process(data) as served:
            async with speaking_to(served, data) as service:
                first = await service.submit(SHARED % b"first")
                await eventually(lambda: any(creations(cloud.ledger)))
            await asyncio.to_thread(served.kill)
        next((data / "waves" / first["id"]).glob("manifest.*")).unlink()
        async with serving(data) as service:
            await service.submit(SHARED % b"second" + CLOCK % b"9")
            await eventually(lambda: "job-9" in asked_in(cloud))
    assert asked_in(cloud) == ["job-0", "job-9"]


async def test_the_journal_of_another_wave_that_cannot_be_read_leaves_the_doubt_to_a_person(
    cloud: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose the comparison is, nobody can say: so it is nobody's."""
    data = tmp_path / "data"
    async with scripted(monkeypatch, "", "reset-after") as cloud:
        with process(data) as served:
            async with speaking_to(served, data) as service:
                first = await service.submit(SHARED % b"first")
                await service.until(first["id"], State.ENDED)
            await asyncio.to_thread(served.kill)
        journal = next((data / "waves" / first["id"]).glob("*.journal"))
        for left in journal.parent.glob("*.journal-*"):
            left.unlink()
        journal.write_bytes(b"no journal at all" * 100)
        async with serving(data) as service:
            second = await service.submit(SHARED % b"second")
            ended = await service.until(second["id"], State.ENDED)
            assert (ended["exit_code"], ended["counts"]["unsettled"]) == (exits.UNSETTLED, 1)
        assert len(list(creations(cloud.ledger))) == 2


async def test_sigterm_settles_what_is_in_flight_and_exits_with_0(cloud: Simulator, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with process(data, "--grace", "5") as served:
        async with speaking_to(served, data) as service:
            wave = await service.submit(csv(60), "rate=30/s")
            path = f"/v1/waves/{wave['id']}"
            async with service.client.get(f"{path}/results?follow=true") as answer:
                first = await answer.content.readline()
                assert await asyncio.to_thread(served.end) == 0
                known = [
                    orjson.loads(line) for line in [first, *(await answer.read()).splitlines()]
                ]  # it ends in order
    assert 0 < len(known) < 60
    results = data / "waves" / wave["id"] / "results.jsonl"
    assert all(b'"not_submitted"' not in line for line in results.read_bytes().splitlines())  # it goes on by itself
    made = sum(1 for _ in creations(cloud.ledger))
    async with serving(data) as service:
        ended = await service.until(wave["id"], State.ENDED)
        assert ended["counts"]["created"] == 60
        lines = await service.lines(f"/v1/waves/{wave['id']}/results")
        assert lines[: len(known)] == known  # what was read before holds
    assert made < 60
    assert doubles(cloud.ledger) == {}


async def test_a_wave_that_was_stopping_is_stopped_with_a_line_for_each_entry(cloud: Simulator, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with process(data, dies_at="stop asked for") as served:
        async with speaking_to(served, data) as service:
            wave = await service.submit(csv(40), "rate=10/s")
            await service.created(wave["id"], 1)
            with suppress(ClientError, OSError):
                await service.post(f"/v1/waves/{wave['id']}/stop")
        await asyncio.to_thread(served.died)
    async with serving(data) as service:
        stopped = await service.until(wave["id"], State.STOPPED)
        assert (stopped["exit_code"], stopped["reason"]) == (3, "stopped by local")
        lines = await service.lines(f"/v1/waves/{wave['id']}/results")
        assert len(lines) == 40
        before = sum(1 for _ in creations(cloud.ledger))
        created, unsettled = (sum(line["status"] == name for line in lines) for name in ("created", "unsettled"))
        assert created <= before <= created + unsettled  # the latter was in flight
        assert (await service.post(f"/v1/waves/{wave['id']}/start"))["state"] == "queued"
    assert doubles(cloud.ledger) == {}


async def test_an_upload_that_is_cut_off_leaves_nothing(cloud: Simulator, tmp_path: Path) -> None:
    async with serving(tmp_path / "data") as service:
        _, writer = await asyncio.open_connection("127.0.0.1", int(service.url.rpartition(":")[2]))
        head = ("POST /v1/waves HTTP/1.1", "Host: localhost", "Content-Type: text/csv", "Content-Length: 9999", "", "")
        writer.write("\r\n".join(head).encode() + csv(3))
        await eventually(lambda: any((service.data / "incoming").iterdir()))
        writer.close()
        await eventually(lambda: not any((service.data / "incoming").iterdir()))
        assert (await service.get("/v1/waves"))["waves"] == []
    assert list(creations(cloud.ledger)) == []


async def test_a_full_disk_is_507_and_keeps_nothing(
    cloud: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path / "data") as service:

        async def full(*_: Any, **__: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(acceptance, "_write", full)
            async with service.client.post("/v1/waves", data=csv(3), headers=CSV) as answer:
                assert answer.status == 507
                assert answer.content_type == "application/problem+json"
        assert (await service.get("/v1/waves"))["waves"] == []
        assert list((service.data / "incoming").iterdir()) == []
        assert (await service.until((await service.submit(csv(3)))["id"], State.ENDED))["exit_code"] == 0


async def test_a_disk_that_is_full_while_a_wave_runs_holds_it_up_until_there_is_room(
    cloud: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so, and goes on by itself; nothing is sent twice."""
    monkeypatch.setattr(run, "_AGAIN_S", 0.3)
    left = [5]

    def write(self: ResultsFile, part: memoryview) -> int:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(self._fd, part)

    async with serving(tmp_path / "data") as service:
        with monkeypatch.context() as patched:
            patched.setattr(ResultsFile, "_append", write)
            wave = await service.submit(csv(30), "rate=40/s")

            async def held_up() -> bool:
                return "No space left" in ((await service.get(f"/v1/waves/{wave['id']}"))["reason"] or "")

            await eventually(held_up)
        assert (await service.until(wave["id"], State.ENDED))["exit_code"] == 0
        assert len(await service.lines(f"/v1/waves/{wave['id']}/results")) == 30
    assert doubles(cloud.ledger) == {}


async def test_one_service_at_a_time_has_the_folder(cloud: Simulator, tmp_path: Path) -> None:
    async with serving(tmp_path / "data"):
        with pytest.raises(UserError, match="another batcher serves"):
            async with serving(tmp_path / "data"):
                pass
