"""Services over one database, against a real PostgreSQL: what one is told all know, and workers run it."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from batcher.clock import SystemClock
from batcher.drs.outcome import Half
from batcher.journal.errors import JournalFailed
from batcher.journal.place import WavePlace
from batcher.journal.postgres.address import Address
from batcher.journal.postgres.link import DatabaseLink, Patience
from batcher.life.events import Intended, encode
from batcher.service.given import ServedProfiles
from batcher.service.models import State
from batcher.service.roles import Role
from batcher.service.shared.database import SharedServiceDatabase
from batcher.service.tokens import new_token
from batcher.simulator.faults import Script
from batcher.simulator.ledger import Effect, doubles
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from tests.journal.postgres.cluster import needed, prepared
from tests.machines.fleet.wire import FleetWire
from tests.service.serving import CSV, Serving, csv, eventually, process, serving
from tests.service.test_four_eyes import said

FOLLOWED = (
    b"job_id,object_level_compare_type,compare_type,conflict_policy,compare_object_infos,key\n"
    b"differs-1,,lines,cancel,shop,k0\njob-1,objects,,,,k1\njob-2,objects,,,,k2\n"
)


@pytest.fixture
def address() -> Address:
    return prepared(needed())


def row_of(address: Address, sql: str) -> tuple[object, ...] | None:
    link = DatabaseLink(address, Patience())
    try:
        return link.row(sql)
    finally:
        link.close()


async def text(service: Serving, path: str) -> tuple[bytes, str]:
    """The lines at *path*, and their edition."""
    async with service.client.get(path) as answer:
        assert answer.status == 200
        return await answer.read(), answer.headers["ETag"]


async def test_a_wave_that_one_service_took_is_run_and_read_at_the_other(
    cloud: Simulator, tmp_path: Path, address: Address
) -> None:
    async with (
        serving(tmp_path, database=address, workers=0) as one,
        serving(tmp_path, database=address, workers=1) as two,
    ):
        wave = await one.submit(csv(20), "name=night", {"Idempotency-Key": "k-1"})
        same = await two.submit(csv(20), "name=night", {"Idempotency-Key": "k-1"})
        assert same["id"] == wave["id"]
        async with two.client.post("/v1/waves", data=csv(21), headers={**CSV, "Idempotency-Key": "k-1"}) as answer:
            assert answer.status == 409
        id = wave["id"]
        for service in (one, two):
            ended = await service.until(id, State.ENDED)
            assert ended["counts"]["created"] == 20
            assert ended["exit_code"] == 0
            assert ended["scopes"][0]["settled"] == 20
        assert await text(one, f"/v1/waves/{id}/results") == await text(two, f"/v1/waves/{id}/results")
        async with one.client.get(f"/v1/waves/{id}/manifest") as answer:
            assert await answer.read() == csv(20)
        async with two.client.get(f"/v1/waves/{id}/manifest") as answer:
            assert await answer.read() == csv(20)
        entries = await one.get(f"/v1/waves/{id}/entries?status=created&limit=3")
        assert (entries["total"], [entry["key"] for entry in entries["entries"]]) == (20, ["k0", "k1", "k2"])
        explained = await one.get(f"/v1/waves/{id}/entries/7")
        assert explained["result"]["status"] == "created"
        assert explained["steps"][0]["what"] == "request"
        report = await one.get(f"/v1/waves/{id}/report?format=json")
        assert report["wave"]["entries"] == 20
        assert (await two.get(f"/v1/waves/{id}/gate"))["entries"] == 20
        deeds = (await two.get("/v1/audit"))["lines"]
        assert [(line["action"], line["wave"]) for line in deeds] == [("submit", id)]
        assert [row["id"] for row in (await two.get("/v1/waves"))["waves"]] == [id]
    assert not doubles(cloud.ledger)
    assert sum(len(event.created) for event in cloud.ledger if isinstance(event, Effect)) == 20


async def test_lines_are_followed_at_a_service_that_runs_nothing(
    cloud: Simulator, tmp_path: Path, address: Address
) -> None:
    async with (
        serving(tmp_path, database=address, workers=0) as one,
        serving(tmp_path, database=address, workers=1) as two,
    ):
        id = (await two.submit(csv(40), "rate=40/s"))["id"]
        lines = await one.lines(f"/v1/waves/{id}/results?follow=true")
        assert Counter(line["status"] for line in lines) == {"created": 40}
        assert (await one.get(f"/v1/waves/{id}"))["state"] == "ended"


async def test_a_wave_is_steered_at_either_service(cloud: Simulator, tmp_path: Path, address: Address) -> None:
    orders = "SELECT stop, paused, rate, read_rate, concurrency, priority FROM wave_orders"
    async with (
        serving(tmp_path, database=address, workers=0) as one,
        serving(tmp_path, database=address, workers=1) as two,
    ):
        id = (await one.submit(csv(150), "rate=40/s"))["id"]
        await two.created(id, 5)
        assert (await two.post(f"/v1/waves/{id}/pause"))["state"] == "paused"
        assert row_of(address, orders) == (None, "paused by local", "40/s", "40/s", None, 0)  # before it is answered
        assert (await one.get(f"/v1/waves/{id}"))["state"] == "paused"
        await one.post(f"/v1/waves/{id}/pause", status=409)
        async with two.client.patch(f"/v1/waves/{id}", json={"rate": "20/s", "priority": 7}) as answer:
            assert answer.status == 200
        assert row_of(address, orders) == (None, "paused by local", "20/s", "20/s", None, 7)
        assert (await one.post(f"/v1/waves/{id}/resume"))["state"] == "running"
        reached = (await one.get(f"/v1/waves/{id}"))["counts"]["created"]
        await two.created(id, reached + 5)
        assert (await one.post(f"/v1/waves/{id}/stop"))["state"] in ("stopping", "stopped")
        stopped = await two.until(id, State.STOPPED)
        assert (stopped["reason"], stopped["exit_code"]) == ("stopped by local", 3)
        assert sum(stopped["counts"].values()) == 150
        assert stopped["counts"]["not_submitted"] > 0
        whole, edition = await text(one, f"/v1/waves/{id}/results")
        assert len(whole.splitlines()) == 150
        assert (await two.post(f"/v1/waves/{id}/start"))["state"] == "queued"
        assert (await one.until(id, State.ENDED))["counts"]["created"] == 150
        again, another = await text(one, f"/v1/waves/{id}/results")
        assert another != edition
        assert Counter(orjson.loads(line)["status"] for line in again.splitlines()) == {"created": 150}
        await one.post(f"/v1/waves/{id}/stop", status=409)
    assert not doubles(cloud.ledger)


async def test_what_control_orders_past_the_services_is_their_state_as_well(
    cloud: Simulator, tmp_path: Path, address: Address
) -> None:
    link = DatabaseLink(address, Patience())
    async with serving(tmp_path, database=address, workers=1) as one:
        id = (await one.submit(csv(600), "rate=40/s"))["id"]
        await one.created(id, 2)
        link.do(lambda c: c.execute("UPDATE wave_orders SET paused = 'paused by hand', version = version + 1"))
        assert (await one.until(id, State.PAUSED))["reason"] == "paused by hand"
        link.do(lambda c: c.execute("UPDATE wave_orders SET paused = NULL, version = version + 1"))
        await one.until(id, State.RUNNING)
        link.do(lambda c: c.execute("UPDATE wave_orders SET stop = 'stopped by hand', version = version + 1"))
        assert (await one.until(id, State.STOPPED))["reason"] == "stopped by hand"
        _, edition = await text(one, f"/v1/waves/{id}/results")
        # Somebody goes on with it, as `batcher run` does: the service does not leave it stopped for ever.
        link.do(lambda c: c.execute("UPDATE wave_orders SET stop = NULL, version = version + 1"))
        went_on = await one.until(id, State.RUNNING)
        assert (went_on["reason"], went_on["exit_code"], went_on["ended_at"]) == (None, None, None)
        link.do(lambda c: c.execute("UPDATE wave_orders SET rate = '200/s', version = version + 1"))
        ended = await one.until(id, State.ENDED)
        assert (ended["counts"]["created"], ended["exit_code"]) == (600, 0)
        assert (await text(one, f"/v1/waves/{id}/results"))[1] != edition  # its last lines said what was not sent
    link.close()


async def test_what_is_in_flight_at_a_worker_is_told_at_every_service(
    cloud: Simulator, tmp_path: Path, address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Simulator(ServiceConfig(latency_s=(0.5, 0.5))) as slow:
        monkeypatch.setenv("BATCHER_ENDPOINT", slow.url)
        await see_in_flight(tmp_path, address)


async def see_in_flight(tmp_path: Path, address: Address) -> None:
    async with (
        serving(tmp_path, database=address, workers=0) as one,
        serving(tmp_path, database=address, workers=1) as two,
    ):
        id = (await two.submit(csv(40), "rate=200/s&concurrency=5"))["id"]
        seen: list[int] = []

        async def in_flight() -> bool:
            (scope,) = (await one.get(f"/v1/waves/{id}"))["scopes"]
            seen.append(scope["in_flight"])
            return bool(scope["in_flight"] >= 4)

        await eventually(in_flight)
        await one.until(id, State.ENDED)
        assert max(seen) <= 8  # five on their way, and what is written down before it leaves
        (scope,) = (await one.get(f"/v1/waves/{id}"))["scopes"]
        assert scope["in_flight"] == 0


async def test_a_held_wave_is_not_planned_until_it_is_let_go(
    cloud: Simulator, tmp_path: Path, address: Address
) -> None:
    async with (
        serving(tmp_path, database=address, workers=1) as one,
        serving(tmp_path, database=address, workers=0) as two,
    ):
        held = (await one.submit(csv(3), "start=false"))["id"]
        other = (await one.submit(csv(3)))["id"]
        await one.until(other, State.ENDED)
        assert (await two.get(f"/v1/waves/{held}"))["state"] == "held"
        assert row_of(address, "SELECT count(*) FROM waves") == (1,)
        await two.post(f"/v1/waves/{held}/start")
        assert (await one.until(held, State.ENDED))["counts"]["created"] == 3


async def test_a_wave_that_was_handed_in_at_one_service_is_approved_at_another(
    cloud: Simulator, tmp_path: Path, address: Address
) -> None:
    tokens = tmp_path / "tokens"
    ann, bob = (new_token(tokens, name, Role.APPROVE, SystemClock.now()) for name in ("ann", "bob"))
    shared: dict[str, Any] = {"database": address, "tokens": tokens, "approval": True}
    async with serving(tmp_path, workers=1, **shared) as one, serving(tmp_path, workers=0, **shared) as two:
        wave = await said(one, "POST", "/v1/waves", ann, 201, data=csv(3), headers=CSV)
        path, digest = f"/v1/waves/{wave['id']}", {"digest": wave["digest"]}
        assert wave["state"] == "held"
        await said(two, "POST", f"{path}/approve", ann, 403, json=digest)
        for command in (run_of(wave["id"], address, tmp_path), run_of(wave["id"], address, tmp_path, "--restart")):
            code, told = await asyncio.to_thread(batcher, *command)
            assert (code, f"POST /v1/waves/{wave['id']}/approve" in told) == (2, True), told  # past nobody's eyes
        code, told = await asyncio.to_thread(batcher, "status", "--journal", f"{place_of(wave['id'], address)}")
        assert (code, "waits for the approval" in told) == (2, True), told
        assert row_of(address, "SELECT count(*) FROM waves") == (0,)
        assert (await said(two, "POST", f"{path}/approve", bob, 200, json=digest))["approved_by"] == "bob"
        await said(one, "POST", f"{path}/approve", bob, 409, json=digest)
        one.client.headers["Authorization"] = f"Bearer {ann}"
        assert (await one.until(wave["id"], State.ENDED))["exit_code"] == 0
        code, told = await asyncio.to_thread(batcher, *run_of(wave["id"], address, tmp_path, "--restart"))
        assert (code, "hand the manifest in again" in told) == (2, True), told
        code, told = await asyncio.to_thread(batcher, *run_of(wave["id"], address, tmp_path))
        assert (code, "all 3 are settled" in told) == (0, True), told
    assert not doubles(cloud.ledger)


def place_of(wave: str, address: Address) -> WavePlace:
    return WavePlace(address).at(wave)


def run_of(wave: str, address: Address, folder: Path, *more: str) -> list[str]:
    """`batcher run` on a wave that a service has."""
    (folder / "same.csv").write_bytes(csv(3))
    results = str(folder / "same.jsonl")
    return ["run", str(folder / "same.csv"), "-o", results, "--journal", str(place_of(wave, address)), *more]


async def test_a_wave_is_left_to_a_service_that_can_open_it(
    cloud: Simulator, tmp_path: Path, address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "night.toml"
    config.write_text("[profiles.night]\nrate = '50/s'\n")
    able = ServedProfiles(config=config, profiles=("night",))
    async with serving(tmp_path, database=address, workers=0) as other:
        async with serving(tmp_path, database=address, workers=0, service=able) as one:
            id = (await one.submit(csv(3), "profile=night&start=false"))["id"]
        path = f"/v1/waves/{id}"
        await other.post(f"{path}/start")
        kept = {name: os.environ[name] for name in ("BATCHER_TOKEN", "BATCHER_PROJECT_ID")}
        for name in kept:
            monkeypatch.delenv(name)
        bare = await other.submit(csv(1))  # its project is IAM's to name

        async def both_wait() -> bool:
            told = [(await other.get(f"/v1/waves/{id}")) for id in (id, bare["id"])]
            assert [wave["state"] for wave in told] == ["queued", "queued"]
            assert row_of(address, "SELECT count(*) FROM waves") == (0,)
            whys = [wave["reason"] or "" for wave in told]
            return "profile 'night'" in whys[0] and "no credential" in whys[1]

        await eventually(both_wait)
        async with other.client.patch(path, json={"rate": "1/s"}) as answer:
            assert answer.status == 503
            assert "night" in (await answer.json())["detail"]
        for name, value in kept.items():
            monkeypatch.setenv(name, value)
        async with serving(tmp_path, database=address, workers=1, service=able) as one:
            assert (await one.until(id, State.ENDED))["counts"]["created"] == 3
            assert (await one.until(bare["id"], State.ENDED))["exit_code"] == 0
        assert (await other.get(path))["reason"] is None


async def test_a_service_that_is_older_than_the_tables_leaves_what_is_new_to_a_newer_one(
    cloud: Simulator, tmp_path: Path, address: Address
) -> None:
    """In the middle of an upgrade: the database is prepared first, then services and workers are exchanged."""
    link = DatabaseLink(address, Patience())
    version = "UPDATE meta SET value = (value::int + %s)::text WHERE name = 'version'"
    async with serving(tmp_path, database=address, workers=1) as older:
        ran = (await older.submit(csv(2)))["id"]
        await older.until(ran, State.ENDED)
        link.do(lambda c: c.execute(version, (90,)))
        id = (await older.submit(csv(3, first=10)))["id"]

        async def waits() -> bool:
            told = await older.get(f"/v1/waves/{id}")
            assert told["state"] == "queued"
            return "it waits for another service: the tables in" in (told["reason"] or "")

        await eventually(waits)
        async with older.client.get(f"/v1/waves/{ran}/results") as answer:
            assert (answer.status, "or a newer one" in await answer.text()) == (503, True)
        link.do(lambda c: c.execute(version, (-90,)))
        async with serving(tmp_path, database=address, workers=1) as newer:
            assert (await newer.until(id, State.ENDED))["counts"]["created"] == 3
    link.close()


async def test_a_wave_that_is_paused_before_it_is_opened_again_stays_paused(
    cloud: Simulator, tmp_path: Path, address: Address
) -> None:
    config = tmp_path / "night.toml"
    config.write_text("[profiles.night]\n")
    able = ServedProfiles(config=config, profiles=("night",))
    async with serving(tmp_path, database=address, workers=0) as other:  # it cannot open it
        async with serving(tmp_path, database=address, workers=0, service=able) as one:
            id = (await one.submit(csv(3), "profile=night"))["id"]
            await one.until(id, State.RUNNING)
            await one.post(f"/v1/waves/{id}/stop")
            await one.until(id, State.STOPPED)
        await other.post(f"/v1/waves/{id}/start")
        await other.post(f"/v1/waves/{id}/pause")
        for _ in range(2):  # it has looked at all waves meanwhile
            await other.until((await other.submit(csv(1)))["id"], State.RUNNING)
        assert (await other.get(f"/v1/waves/{id}"))["state"] == "paused"
        await other.post(f"/v1/waves/{id}/resume")
        async with serving(tmp_path, database=address, workers=1, service=able) as one:
            assert (await one.until(id, State.ENDED))["counts"]["created"] == 3


async def test_a_ruling_is_refused_while_a_worker_has_the_scope(
    cloud: Simulator, tmp_path: Path, address: Address
) -> None:
    async with serving(tmp_path, database=address, workers=0) as one:
        id = (await one.submit(csv(3)))["id"]
        await one.until(id, State.RUNNING)
        await one.post(f"/v1/waves/{id}/stop")
        await one.until(id, State.STOPPED)
        link = DatabaseLink(address, Patience())
        held = "UPDATE scopes SET owner = 'worker-1', epoch = epoch + 1, lease_until = clock_timestamp() + '60 s'"
        link.do(lambda c: c.execute(held))
        unsettled = "INSERT INTO events (wave, idx, kind, body) SELECT number, 0, 'intended', %s FROM waves"  # in doubt
        event = encode(Intended(at=1.0, asked=frozenset({Half.OBJECT})))
        link.do(lambda c: c.execute(unsettled, (event,)))
        problem = await one.post(f"/v1/waves/{id}/entries/0/settle", {"as": "failed"}, status=409)
        assert "worker-1" in problem["detail"]
        link.do(lambda c: c.execute("UPDATE scopes SET owner = NULL, lease_until = NULL"))
        link.close()
        entry = await one.post(f"/v1/waves/{id}/entries/0/settle", {"as": "failed"})
        assert entry["result"]["status"] == "failed"
        assert (await one.get(f"/v1/waves/{id}"))["counts"]["failed"] == 1
        outcomes = [(line["action"], line["outcome"]) for line in (await one.get("/v1/audit?limit=9"))["lines"]]
        assert outcomes[2:] == [("settle", "begun"), ("settle", "failed"), ("settle", "begun"), ("settle", "done")]


async def test_what_is_unsettled_is_ruled_on_at_either_service_or_past_them(
    tmp_path: Path, address: Address, cloud: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    lossy = Simulator(ServiceConfig(faults=Script(creates=("reset-after",))))
    async with (
        lossy,
        serving(tmp_path, database=address, workers=0) as one,
        serving(tmp_path, database=address, workers=1) as two,
    ):
        monkeypatch.setenv("BATCHER_ENDPOINT", lossy.url)
        id = (await one.submit(csv(3), "reconcile=off"))["id"]
        assert (await two.until(id, State.ENDED))["counts"]["unsettled"] == 3
        for service, index in ((one, 0), (two, 1)):
            entry = await service.post(f"/v1/waves/{id}/entries/{index}/settle", {"as": "failed"})
            assert entry["result"]["status"] == "failed"
        problem = await one.post(f"/v1/waves/{id}/entries/1/settle", {"as": "failed"}, status=409)
        assert "nothing to decide" in problem["detail"]
        settle = ["settle", "--journal", str(place_of(id, address)), "--index", "2", "--as", "failed", "--offline"]
        assert (await asyncio.to_thread(batcher, *settle))[0] == 0

        async def all_failed() -> bool:
            told = [(await service.get(f"/v1/waves/{id}"))["counts"] for service in (one, two)]
            return all((counts["failed"], counts["unsettled"]) == (3, 0) for counts in told)

        await eventually(all_failed)
        for service in (one, two):
            lines = await service.lines(f"/v1/waves/{id}/results")
            assert [line["status"] for line in lines] == ["failed"] * 3


async def test_failed_entries_are_taken_up_again(cloud: Simulator, tmp_path: Path, address: Address) -> None:
    manifest = csv(3) + b"gone-1,objects,gone\n"
    async with serving(tmp_path, database=address, workers=1) as one:
        id = (await one.submit(manifest))["id"]
        ended = await one.until(id, State.ENDED)
        assert (ended["counts"]["created"], ended["counts"]["failed"], ended["exit_code"]) == (3, 1, 1)
        first, edition = await text(one, f"/v1/waves/{id}/results")
        await one.post(f"/v1/waves/{id}/retry-failed")

        async def is_tried_again() -> bool:
            wave = await one.get(f"/v1/waves/{id}")
            return wave["state"] == "ended" and (await text(one, f"/v1/waves/{id}/results"))[1] != edition

        await eventually(is_tried_again)
        again, _ = await text(one, f"/v1/waves/{id}/results")
        assert len(again.splitlines()) == len(first.splitlines()) == 4
        assert (await one.get(f"/v1/waves/{id}"))["counts"]["failed"] == 1
    assert not doubles(cloud.ledger)


async def test_workers_are_told_with_what_they_have_and_what_they_cannot_take(
    cloud: Simulator, tmp_path: Path, address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path, database=address, workers=0) as one:
        assert await one.get("/v1/workers") == {"workers": []}
        id = (await one.submit(csv(1000), "rate=20/s"))["id"]

        async def says(what: str) -> bool:
            told = await one.get(f"/v1/waves/{id}")
            return what in str(told["scopes"][0]["reason"]) and told["reason"] == told["scopes"][0]["reason"]

        await eventually(lambda: says("no worker is there"))
        monkeypatch.delenv("BATCHER_TOKEN")
        async with serving(tmp_path, database=address, workers=1):
            await eventually(lambda: says("no worker can take it"))
            (worker,) = (await one.get("/v1/workers"))["workers"]
            assert (worker["lanes"], worker["scopes"], worker["waves"]) == (4, [], [])
            assert [refused["endpoint"] for refused in worker["refuses"]] == [cloud.url]
        monkeypatch.setenv("BATCHER_TOKEN", "simulated-token")
        async with serving(tmp_path, database=address, workers=2) as two:
            await two.created(id, 1)
            assert (await two.get(f"/v1/waves/{id}"))["reason"] is None
            workers = (await one.get("/v1/workers"))["workers"]
            assert len(workers) == 2
            (held,) = [worker for worker in workers if worker["scopes"]]
            assert held["waves"] == [id]
            assert held["scopes"][0]["endpoint"] == cloud.url
            assert held["scopes"][0]["epoch"] >= 1
            assert 0 < held["scopes"][0]["lease_left_s"] <= 15
            (scope,) = (await one.get("/v1/scopes"))["scopes"]
            assert (scope["worker"], scope["waves"]) == (held["id"], [id])


async def test_a_service_of_one_machine_without_a_worker_says_so(cloud: Simulator, tmp_path: Path) -> None:
    async with serving(tmp_path, workers=0) as one:
        told = await one.submit(csv(3))
        assert (told["state"], told["reason"]) == (
            "queued",
            "this service runs no waves: it was started with --workers 0",
        )


async def test_a_database_that_is_away_is_told_of_and_comes_back(
    cloud: Simulator, tmp_path: Path, address: Address
) -> None:
    async with FleetWire(needed().port) as wire:
        there = Address(needed().url(port=wire.port), address.schema)
        async with serving(tmp_path, database=there, workers=0) as one:
            id = (await one.submit(csv(3), "start=false"))["id"]
            wire.cut()
            for method, path in (("GET", f"/v1/waves/{id}"), ("GET", "/readyz"), ("POST", f"/v1/waves/{id}/start")):
                async with one.client.request(method, path) as answer:
                    problem = orjson.loads(await answer.read())
                    assert (answer.status, answer.content_type) == (503, "application/problem+json")
                    assert int(answer.headers["Retry-After"]) > 0
                    assert "Nothing was changed" in problem["detail"]
            await one.get("/healthz")
            wire.mend()

            async def is_back() -> bool:
                async with one.client.get("/readyz") as answer:
                    return answer.status == 200

            await eventually(is_back)
            assert (await one.get(f"/v1/waves/{id}"))["state"] == "held"


async def test_comparisons_are_followed_to_their_verdicts_whoever_runs_them(
    cloud: Simulator, tmp_path: Path, address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BATCHER_POLL", "5s")
    async with (
        serving(tmp_path, database=address, workers=0) as one,
        serving(tmp_path, database=address, workers=1) as two,
    ):
        id = (await one.submit(FOLLOWED, "wait=true"))["id"]
        await one.created(id, 3)

        async def is_shown() -> bool:  # also where nothing is sent any more, and verdicts are found
            (worker,) = (await one.get("/v1/workers"))["workers"]
            (scope,) = (await one.get("/v1/scopes"))["scopes"] or [{"waves": [], "worker": None}]
            return bool(worker["waves"] == scope["waves"] == [id] and scope["worker"] == worker["id"])

        await eventually(is_shown)
        followed = await one.lines(f"/v1/waves/{id}/verdicts?follow=true")
        assert Counter(line["verdict"] for line in followed) == {"consistent": 2, "inconsistent": 1}
        for service in (one, two):
            ended = await service.until(id, State.ENDED)
            assert (ended["counts"]["created"], ended["exit_code"]) == (3, 1)
            assert (ended["verdicts"]["consistent"], ended["verdicts"]["inconsistent"]) == (2, 1)
        assert await text(one, f"/v1/waves/{id}/verdicts") == await text(two, f"/v1/waves/{id}/verdicts")
        assert (await one.get(f"/v1/waves/{id}/gate"))["verdict"] == "NO-GO"
        found = await two.get(f"/v1/waves/{id}/entries?verdict=inconsistent")
        assert [entry["job_id"] for entry in found["entries"]] == ["differs-1"]
        async with one.client.post(f"/v1/waves/{id}/recheck") as answer:
            again = await answer.json()
            assert answer.status == 201
        assert (await two.until(again["id"], State.ENDED))["verdicts"]["inconsistent"] == 1


async def test_what_no_worker_could_keep_is_a_finding(cloud: Simulator, tmp_path: Path, address: Address) -> None:
    two_scopes = b"job_id,object_level_compare_type,project_id\njob-1,objects,project-a\njob-2,objects,project-b\n"
    async with serving(tmp_path, database=address, workers=0) as one:
        query = "/v1/waves?wait=true&max_running=2"
        async with one.client.post(query, data=two_scopes, headers=CSV) as answer:
            assert answer.status == 422
            assert [found["field"] for found in (await answer.json())["findings"]] == ["max_running"]
        assert (await one.get("/v1/waves"))["waves"] == []


# --- processes ----------------------------------------------------------------------------------------------


@contextmanager
def worker(address: Address) -> Iterator[subprocess.Popen[bytes]]:
    """A worker as a process of its own."""
    command = [sys.executable, "-m", "batcher", "worker", "--database", str(address), "--lease", "5"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=90)


@pytest.mark.slow
async def test_workers_go_on_where_the_service_is_killed_and_it_shows_all_when_it_is_back(
    cloud: Simulator, tmp_path: Path, address: Address
) -> None:
    arguments = ("--database", str(address), "--workers", "0")
    async with serving(tmp_path, database=address, workers=0) as looker:
        with worker(address), process(None, *arguments) as killed:
            async with looker.client.post(f"{killed.url}/v1/waves?rate=20/s", data=csv(60), headers=CSV) as answer:
                id = (await answer.json())["id"]
            await looker.created(id, 5)
            killed.kill()
            assert (await looker.until(id, State.ENDED))["counts"]["created"] == 60
        with process(None, *arguments) as again:
            async with looker.client.get(f"{again.url}/v1/waves/{id}") as answer:
                assert (await answer.json())["counts"]["created"] == 60
            async with looker.client.get(f"{again.url}/v1/waves/{id}/results") as answer:
                assert len((await answer.read()).splitlines()) == 60
            assert again.end() == 0
    assert not doubles(cloud.ledger)


async def test_a_question_that_nobody_waits_for_any_more_fails_quietly(address: Address) -> None:
    database = SharedServiceDatabase(address, SystemClock(), name="one")
    begun, untold = threading.Event(), []

    def fails(_: DatabaseLink) -> None:
        begun.set()
        time.sleep(0.05)
        raise JournalFailed("the database went away")

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: untold.append(context["message"]))
    asking = asyncio.create_task(database.ask(fails))
    await asyncio.to_thread(begun.wait)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.to_thread(database.close)
    await asyncio.sleep(0)
    gc.collect()
    await asyncio.sleep(0)
    assert untold == []


def batcher(*arguments: str) -> tuple[int, str]:
    """What `batcher` ends with and says."""
    command = [sys.executable, "-m", "batcher", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    return done.returncode, done.stderr


def serve(*arguments: str) -> tuple[int, str]:
    """The same of `batcher serve`."""
    return batcher("serve", "--listen", "127.0.0.1:0", *arguments)


def test_places_for_waves_that_cannot_be(tmp_path: Path) -> None:
    url = f"{needed().url()}?schema=unprepared"
    code, said = serve("--database", url)
    assert (code, "batcher database prepare" in said) == (2, True)
    code, said = serve("--database", url, "--data", str(tmp_path))
    assert (code, "give one of them" in said) == (2, True)
    code, said = serve("--data", str(tmp_path), "--workers", "2")
    assert (code, "a data folder has one worker" in said) == (2, True)
    code, said = serve("--database", "postgresql://anna:secret@localhost/fleet")
    assert (code, "holds a password" in said, "secret" in said) == (2, True, False)
    assert not said.count("Traceback")
