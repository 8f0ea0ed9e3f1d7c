"""Steering waves: states and verbs, order, limits over several waves, what is changed while one runs."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import structlog.testing
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from batcher.service.kept.register import WaveRow
from batcher.service.models import State
from batcher.service.notices.occasions import occasions
from batcher.service.notices.targets import Event
from batcher.service.problem import Problem
from batcher.service.roles import Role, Who
from batcher.service.running import verbs
from batcher.service.running.verbs import VERBS
from batcher.simulator.ledger import RequestSeen, creations, doubles
from batcher.simulator.server import Simulator
from tests.service.serving import Serving, csv, eventually, serving


def row(state: State, **more: Any) -> WaveRow:
    about: dict[str, Any] = {"id": "w", "name": "w", "format": "csv", "digest": "sha256:0", "entries": 3}
    return WaveRow(**about, submitted_by="ann", created_at=0.0, state=state, **more)


@pytest.mark.parametrize(
    ("verb", "takes"),
    [
        (verbs.started, {State.HELD: State.QUEUED, State.STOPPED: State.QUEUED}),
        (verbs.paused, {State.QUEUED: State.PAUSED, State.RUNNING: State.PAUSED}),
        (verbs.resumed, {State.PAUSED: State.QUEUED}),
        (
            verbs.stopped,
            {
                State.HELD: State.STOPPED,
                State.QUEUED: State.STOPPED,
                State.PAUSED: State.STOPPED,
                State.RUNNING: State.STOPPING,
            },
        ),
        (verbs.retried, {State.STOPPED: State.QUEUED, State.ENDED: State.QUEUED}),
    ],
)
def test_what_makes_sense_in_which_state(verb: Any, takes: dict[State, State]) -> None:
    for state in State:
        wave = row(state, counts={"failed": 1})
        if state in takes:
            assert verb(wave, "bob", 1.0)["state"] is takes[state]
            continue
        with pytest.raises(Problem) as refused:
            verb(wave, "bob", 1.0)
        assert refused.value.status == 409
        assert state.value in refused.value.detail


def test_what_has_begun_is_stopped_in_order_and_a_wave_without_failures_is_not_retried() -> None:
    assert verbs.stopped(row(State.PAUSED, is_begun=True), "bob", 1.0)["state"] is State.STOPPING
    with pytest.raises(Problem, match="no failed entry"):
        verbs.retried(row(State.ENDED, counts={"created": 3}), "bob", 1.0)
    with pytest.raises(Problem, match="waits to be approved"):
        verbs.started(row(State.HELD, needs_approval=True), "bob", 1.0)


def test_others_are_told_of_what_waits_for_a_person_alone() -> None:
    """What a stop left open is looked up when the wave goes on; it waits for nobody."""
    running, stopped = row(State.RUNNING), row(State.STOPPED, counts={"unsettled": 31})
    assert list(occasions(running, stopped)) == [Event.STOPPED]
    assert list(occasions(running, replace(stopped, to_rule=1))) == [Event.STOPPED, Event.UNSETTLED]
    held = row(State.STOPPED, needs_approval=True)
    assert list(occasions(held, replace(held, state=State.HELD))) == [Event.APPROVAL_ASKED]


@given(
    st.booleans(),
    st.lists(st.tuples(st.sampled_from(["approve", *VERBS]), st.sampled_from(["ann", "bob"])), max_size=12),
)
@example(True, [("stop", "ann"), ("start", "ann")])
def test_nothing_that_is_asked_gets_a_wave_past_its_approval(starts: bool, asked: list[tuple[str, str]]) -> None:
    wave = row(State.HELD, needs_approval=True, starts=starts, counts={"failed": 1})
    for verb, name in asked:
        who = Who(name=name, role=Role.ADMIN, address="")
        with suppress(Problem):
            changes = verbs.approved(wave, who, "sha256:0") if verb == "approve" else VERBS[verb](wave, name, 1.0)
            wave = replace(wave, **changes)
        assert wave.approved_by in (None, "bob")
        assert wave.state in (State.HELD, State.STOPPED) or wave.approved_by == "bob"


def creates(cloud: Simulator) -> list[str | None]:
    """The jobs of all create requests so far."""
    return [e.job_id for e in cloud.ledger if isinstance(e, RequestSeen) and e.call == "create-compare-task"]


async def test_pause_resume_and_rate_of_a_running_wave(cloud: Simulator, tmp_path: Path) -> None:
    async with serving(tmp_path / "data") as service:
        wave = await service.submit(csv(60), "rate=20/s")
        path = f"/v1/waves/{wave['id']}"
        await service.created(wave["id"], 2)
        paused = await service.post(f"{path}/pause")
        assert (paused["state"], paused["reason"]) == ("paused", "paused by local")
        await eventually(lambda: in_flight_is_settled(service, path))
        before = len(creates(cloud))
        assert (await service.get("/v1/scopes"))["scopes"][0]["reason"]
        async with service.client.patch(path, json={"rate": "150/s", "concurrency": 8, "priority": 5}) as answer:
            changed = await answer.json()
        assert (answer.status, changed["priority"], changed["scopes"][0]["rate"]) == (200, 5, "150/s")
        assert len(creates(cloud)) == before
        await service.post(f"{path}/pause", status=409)
        assert (await service.post(f"{path}/resume"))["state"] == "running"
        assert (await service.until(wave["id"], State.ENDED))["exit_code"] == 0
        async with service.client.patch(path, json={"rate": "1/s"}) as answer:
            assert answer.status == 409
    assert doubles(cloud.ledger) == {}


async def in_flight_is_settled(service: Serving, path: str) -> bool:
    wave = await service.get(path)
    return bool(sum(scope["in_flight"] for scope in wave["scopes"]) == 0 and wave["state"] == "paused")


async def test_a_bad_change_is_a_finding_and_changes_nothing(cloud: Simulator, tmp_path: Path) -> None:
    async with serving(tmp_path / "data") as service:
        wave = await service.submit(csv(2), "start=false")
        for change, problem in (
            ({}, "changes nothing"),
            ({"rate": "201/s"}, "above what this service allows"),
            ({"rat": "1/s"}, "is not known here"),
            ({"priority": 101}, "is not valid"),
        ):
            async with service.client.patch(f"/v1/waves/{wave['id']}", json=change) as answer:
                said = await answer.json(content_type=None)
                assert answer.status == 422
                assert problem in said["findings"][0]["problem"]
        assert await service.get(f"/v1/waves/{wave['id']}") == wave


async def test_waves_run_side_by_side_within_one_limit_the_higher_priority_first(
    cloud: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where they name the same jobs: each waits for the other there, and both comparisons are made."""
    monkeypatch.setenv("BATCHER_RATE", "40/s")
    async with serving(tmp_path / "data") as service:
        low = await service.submit(csv(60), "priority=-50")
        await service.created(low["id"], 1)
        high = await service.submit(csv(30), "priority=50")
        other = await service.submit(csv(5, first=500), "priority=-100")

        async def all_are_open() -> bool:
            return [len(scope["waves"]) for scope in (await service.get("/v1/scopes"))["scopes"]] == [3]

        await eventually(all_are_open)
        states = {wave["state"] for wave in (await service.get("/v1/waves"))["waves"]}
        assert states == {"running"}
        async with service.client.patch(f"/v1/waves/{other['id']}", json={"priority": 100}) as answer:
            assert (await answer.json())["priority"] == 100
        (scope,) = (await service.get("/v1/scopes"))["scopes"]
        assert (scope["limit"], len(scope["waves"])) == ("40/s", 3)
        ended = [await service.until(wave["id"], State.ENDED) for wave in (low, high, other)]
        assert [wave["exit_code"] for wave in ended] == [0, 0, 0]
        assert max(ended[1]["ended_at"], ended[2]["ended_at"]) < ended[0]["ended_at"]
    made = sorted(creation.job_id for creation in creations(cloud.ledger))
    assert made == sorted([*(f"job-{n}" for n in range(60)), *(f"job-{n}" for n in range(30)),
                           *(f"job-{n}" for n in range(500, 505))])  # fmt: skip


async def test_what_makes_no_sense_is_refused_in_words_of_the_service(cloud: Simulator, tmp_path: Path) -> None:
    async with serving(tmp_path / "data") as service:
        wave = await service.submit(csv(3), "start=false")
        path = f"/v1/waves/{wave['id']}"
        unheld = await service.post(f"{path}/approve", {"digest": wave["digest"]}, status=409)
        assert "needs no approval" in unheld["detail"]
        early = await service.post(f"{path}/entries/1/settle", {"as": "failed"}, status=409)
        assert "has not begun" in early["detail"]
        (wrong,) = (await service.post(f"{path}/entries/1/settle", {"as": "zz"}, status=422))["findings"]
        assert (wrong["problem"], wrong["mend"].partition("=")[0]) == ("is no ruling", "Write created")
        for change in ({"rate": None}, {"rate": None, "priority": None}, {}):
            async with service.client.patch(path, json=change) as answer:
                assert answer.status == 422
                assert "changes nothing" in (await answer.json())["detail"]
        lines = (await service.get("/v1/audit"))["lines"]
        assert [line["action"] for line in lines] == ["submit"]


async def test_a_wave_without_a_credential_says_so_in_a_line_and_the_log_says_where_it_looked(
    cloud: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BATCHER_TOKEN", raising=False)
    monkeypatch.setenv("BATCHER_ENDPOINT", cloud.url)
    async with serving(tmp_path / "data") as service:
        with structlog.testing.capture_logs() as lines:
            wave = await service.submit(csv(3))
            stopped = await service.until(wave["id"], State.STOPPED)
    assert stopped["exit_code"] == 2
    assert stopped["reason"].startswith("no credential for project")
    assert stopped["reason"].endswith("none found. The service's log says more.")
    assert str(tmp_path) not in stopped["reason"]
    (told,) = [line["error"] for line in lines if line["event"] == "service.wave_refused"]
    assert "Looked for, in this order" in told


async def test_of_a_wave_that_rests_each_scope_tells_what_is_settled_in_it(cloud: Simulator, tmp_path: Path) -> None:
    rows = "".join(f"job-{n},{n % 3:032x},objects\n" for n in range(60))
    manifest = f"job_id,project_id,object_level_compare_type\n{rows}".encode()
    async with serving(tmp_path / "data") as service:
        wave = await service.submit(manifest, "rate=20/s")
        path = f"/v1/waves/{wave['id']}"

        async def each_has_begun() -> bool:
            return all(scope["settled"] for scope in (await service.get(path))["scopes"])

        await eventually(each_has_begun)
        await service.post(f"{path}/stop")
        stopped = await service.until(wave["id"], State.STOPPED)
        settled = [scope["settled"] for scope in stopped["scopes"]]
        assert sum(settled) == stopped["counts"]["created"]
        assert all(settled)
        again = await service.post(f"{path}/start")
        assert [scope["settled"] for scope in again["scopes"]] == settled
        ended = await service.until(wave["id"], State.ENDED)
        assert [scope["settled"] for scope in ended["scopes"]] == [20, 20, 20]


async def test_a_stopped_wave_goes_on_and_what_failed_is_taken_up_again(cloud: Simulator, tmp_path: Path) -> None:
    async with serving(tmp_path / "data") as service:
        wave = await service.submit(csv(40), "rate=20/s")
        path = f"/v1/waves/{wave['id']}"
        await service.created(wave["id"], 2)
        assert (await service.post(f"{path}/stop"))["state"] == "stopping"
        stopped = await service.until(wave["id"], State.STOPPED)
        assert (stopped["exit_code"], stopped["reason"]) == (3, "stopped by local")
        lines = await service.lines(f"{path}/results?follow=true")
        assert sum(stopped["counts"].values()) == len(lines) == 40
        await service.post(f"{path}/stop", status=409)
        await service.post(f"{path}/retry-failed", status=409)
        await service.post(f"{path}/start")
        ended = await service.until(wave["id"], State.ENDED)
        assert (ended["exit_code"], ended["counts"]["created"]) == (0, 40)
        assert await service.get("/v1/waves/nosuchwave00", status=404)
        await service.post("/v1/waves/nosuchwave00/start", status=404)
    assert doubles(cloud.ledger) == {}
    assert sum(1 for _ in creations(cloud.ledger)) == 40


async def test_held_waves_are_listed_by_state_page_by_page(cloud: Simulator, tmp_path: Path) -> None:
    async with serving(tmp_path / "data") as service:
        held = [(await service.submit(csv(1), f"start=false&name=w{n}"))["id"] for n in range(7)]
        found, after = [], ""
        while True:
            page = await service.get(f"/v1/waves?state=held&limit=3{after}")
            found += [wave["id"] for wave in page["waves"]]
            if page["next"] is None:
                break
            after = f"&after={page['next']}"
        assert found == held[::-1]
        assert (await service.get("/v1/waves?state=ended"))["waves"] == []
        assert (await service.get("/v1/waves?state=odd", status=422))["findings"][0]["field"] == "state"
        assert (await service.post(f"/v1/waves/{held[0]}/start"))["state"] == "queued"
        await service.until(held[0], State.ENDED)
        assert (await service.post(f"/v1/waves/{held[1]}/stop"))["state"] == "stopped"
