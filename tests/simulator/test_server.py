"""The simulator over real sockets: what each fault looks like to a client, and what the ledger says about it."""

import asyncio
import io
import socket
import urllib.request
from collections.abc import AsyncIterator
from contextlib import closing
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from batcher.errors import UserError
from batcher.rates import Rate
from batcher.simulator.config import CloudConfig
from batcher.simulator.faults import FAULTS, AnswerDelivery, EffectWhen, Script
from batcher.simulator.iam import IamConfig
from batcher.simulator.jobs import JobRule
from batcher.simulator.ledger import AnswerSent, Effect, Event, FileLedger, ListLedger, RequestSeen, cancelled
from batcher.simulator.server import Exchange, Simulator, ThreadedSimulator
from batcher.simulator.service import ServiceConfig
from tests.simulator import bodies

JSON = {"Content-Type": "application/json"}


class Awaited(ListLedger):
    """A ledger on which a test can wait for the first event of a kind."""

    def __init__(self) -> None:
        super().__init__()
        self._came = {kind: asyncio.Event() for kind in (RequestSeen, Effect, AnswerSent)}

    def record(self, event: Event) -> None:
        super().record(event)
        self._came[type(event)].set()

    async def first(self, kind: type[Event]) -> None:
        async with asyncio.timeout(90):
            await self._came[kind].wait()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=90)) as made:
        yield made


async def post(
    session: aiohttp.ClientSession,
    sim: Simulator,
    call: str,
    body: bytes,
    *,
    headers: dict[str, str] = JSON,
    timeout_s: float = 10,
) -> tuple[int, bytes, Any]:
    url = f"{sim.url}/v3/p/jobs/{call}"
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    async with session.post(url, data=body, headers=headers, timeout=timeout) as response:
        return response.status, await response.read(), response.headers


async def test_all_calls_are_served(session: aiohttp.ClientSession) -> None:
    async with Simulator() as sim:
        status, body, headers = await post(session, sim, "create-compare-task", bodies.create())
        assert status == 200
        task_id = orjson.loads(body)["data_level_compare_create_result"]["compare_task_id"]
        assert len(headers["X-Request-Id"]) == 32
        assert headers["Date"]
        _, body, _ = await post(session, sim, "query-compare-result", bodies.query())
        assert orjson.loads(body)["compare_task_list_results"]["compare_task_list"][0]["compare_task_id"] == task_id
        _, body, _ = await post(session, sim, "batch-status", bodies.batch("jb1"))
        assert orjson.loads(body)["results"] == [{"id": "jb1", "status": "INCRE_TRANSFER_STARTED"}]
        assert (await post(session, sim, "batch-detail", bodies.batch("jb1")))[0] == 200
        assert [event.call for event in sim.ledger if isinstance(event, RequestSeen)] == [
            "create-compare-task",
            "query-compare-result",
            "batch-status",
            "batch-detail",
        ]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Content-Type": "text/plain"}, "DRS.M00300"),
        ({**JSON, "X-Language": "de-de"}, "DRS.M00202"),
    ],
)
async def test_headers_are_checked(session: aiohttp.ClientSession, headers: dict[str, str], code: str) -> None:
    async with Simulator() as sim:
        status, body, _ = await post(session, sim, "create-compare-task", bodies.create(), headers=headers)
        assert (status, orjson.loads(body)["error_code"]) == (400, code)


async def test_anything_else_is_not_there(session: aiohttp.ClientSession) -> None:
    async with Simulator() as sim:
        for path in ("/", "/v3/p/job", "/v3/p/jobs/create-compare-tasks", "/v3/p/jobs/create-compare-task/x"):
            async with session.post(sim.url + path, data=b"{}", headers=JSON) as response:
                assert response.status == 404
                assert (await response.json())["error_code"] == "APIGW.0101"
        async with session.get(f"{sim.url}/v3/p/jobs/create-compare-task") as response:
            assert response.status == 404


async def seen_by_client(session: aiohttp.ClientSession, sim: Simulator, *, timeout_s: float) -> AnswerDelivery:
    """What a client makes of the answer to one create request of job jb1."""
    body = bodies.create(object_level=True)
    try:
        status, body, headers = await post(session, sim, "create-compare-task", body, timeout_s=timeout_s)
    except TimeoutError:
        return AnswerDelivery.NOTHING
    except aiohttp.ClientPayloadError:
        return AnswerDelivery.TRUNCATED
    except aiohttp.ClientOSError:
        return AnswerDelivery.RESET
    if not body:
        return AnswerDelivery.EMPTY
    if len(body) > 1 << 20:
        return AnswerDelivery.OVERSIZED
    if headers["Content-Type"] == "application/json":
        try:
            orjson.loads(body)
        except orjson.JSONDecodeError:
            assert status == 200
            return AnswerDelivery.GARBAGE
    return AnswerDelivery.WHOLE


IN_ORDER = {
    EffectWhen.NOW: ["request", "effect", "answer"],
    EffectWhen.LATE: ["request", "answer", "effect"],
    EffectWhen.NEVER: ["request", "answer"],
}


@pytest.mark.parametrize("name", FAULTS)
async def test_each_fault_is_seen_and_takes_effect_as_it_says(session: aiohttp.ClientSession, name: str) -> None:
    fault = FAULTS[name]
    script = Script(creates=[name], late_s=(0.05, 0.05), slow_s=(0.01, 0.02))
    ledger = Awaited()
    async with Simulator(ServiceConfig(faults=script), ledger=ledger) as sim:
        # Only where nothing comes does the client's patience matter.
        timeout_s = 0.2 if fault.delivery is AnswerDelivery.NOTHING else 10
        assert await seen_by_client(session, sim, timeout_s=timeout_s) is fault.delivery
        if fault.effect is not EffectWhen.NEVER:
            await ledger.first(Effect)
    assert [event.event for event in ledger] == IN_ORDER[fault.effect]
    (answered,) = (event for event in ledger if isinstance(event, AnswerSent))
    assert answered.fault == name
    if fault.canned is not None:
        assert (answered.http_status, answered.error_code) == (fault.canned.status, fault.canned.error_code)


async def test_a_throttled_answer_can_name_its_wait(session: aiohttp.ClientSession) -> None:
    async with Simulator(ServiceConfig(faults=Script(creates=["throttled-told", "throttled"]))) as sim:
        told = await post(session, sim, "create-compare-task", bodies.create())
        untold = await post(session, sim, "create-compare-task", bodies.create())
    assert (told[0], told[2]["Retry-After"]) == (429, "1")
    assert (untold[0], "Retry-After" in untold[2]) == (429, False)


async def test_one_of_two_halves_can_be_refused(session: aiohttp.ClientSession) -> None:
    async with Simulator(ServiceConfig(faults=Script(creates=["partial"]))) as sim:
        _, body, _ = await post(session, sim, "create-compare-task", bodies.create(object_level=True))
        (effect,) = (event for event in sim.ledger if isinstance(event, Effect))
    codes = [half.get("error_code") for name, half in orjson.loads(body).items() if name != "job_id"]
    assert sorted(codes, key=str) == ["DRS.M01503", None]
    assert len(effect.created) == 1


async def test_faults_befall_look_ups_as_well(session: aiohttp.ClientSession) -> None:
    async with Simulator(ServiceConfig(faults=Script(reads=["oversized", "partial"]))) as sim:
        _, body, _ = await post(session, sim, "query-compare-result", bodies.query())
        assert len(body) > 8 << 20
        assert (await post(session, sim, "query-compare-result", bodies.query()))[0] == 200


async def test_an_effect_happens_though_the_client_has_gone(session: aiohttp.ClientSession) -> None:
    ledger = Awaited()
    async with Simulator(ServiceConfig(latency_s=(0.4, 0.4)), ledger=ledger) as sim:
        with pytest.raises(TimeoutError):
            await post(session, sim, "create-compare-task", bodies.create(), timeout_s=0.05)
        await ledger.first(Effect)


async def test_the_limit_is_enforced(session: aiohttp.ClientSession) -> None:
    async with Simulator(ServiceConfig(cloud=CloudConfig(limit=Rate(2, 60.0)))) as sim:
        statuses = [(await post(session, sim, "create-compare-task", bodies.create(f"jb{n}")))[0] for n in range(3)]
    assert statuses == [200, 200, 429]


async def test_tokens_are_given_and_asked_for(session: aiohttp.ClientSession) -> None:
    async with Simulator(ServiceConfig(iam=IamConfig(mode="any"))) as sim:
        status, body, headers = await post(session, sim, "create-compare-task", bodies.create())
        assert (status, orjson.loads(body)["error_code"]) == (401, "APIGW.0301")
        user = {"name": "simulated-user", "password": "simulated-password", "domain": {"name": "simulated-domain"}}
        login = {
            "auth": {
                "identity": {"methods": ["password"], "password": {"user": user}},
                "scope": {"project": {"id": "p"}},
            }
        }
        async with session.post(f"{sim.url}/v3/auth/tokens?nocatalog=true", json=login) as response:
            assert response.status == 201
            assert response.headers["X-IAM-Trace-Id"]
            token = response.headers["X-Subject-Token"]
        headers = {**JSON, "X-Auth-Token": token}
        assert (await post(session, sim, "create-compare-task", bodies.create(), headers=headers))[0] == 200
        async with session.get(f"{sim.url}/v3/projects", params={"name": "eu-1"}, headers=headers) as response:
            assert [project["name"] for project in (await response.json())["projects"]] == ["eu-1"]
        async with session.get(f"{sim.url}/v3/projects", params={"name": "eu-1"}) as response:
            assert response.status == 401


async def test_its_clock_can_be_off(session: aiohttp.ClientSession) -> None:
    async with Simulator(clock=lambda: 1_767_225_600.0, clock_offset_s=3600.0) as sim:
        _, body, headers = await post(session, sim, "create-compare-task", bodies.create())
        _, body, _ = await post(session, sim, "query-compare-result", bodies.query())
    assert parsedate_to_datetime(headers["Date"]).timestamp() == 1_767_229_200.0
    assert orjson.loads(body)["compare_task_list_results"]["compare_task_list"][0]["create_time"] == "1767229200000"


async def test_an_observer_is_told_of_each_exchange(session: aiohttp.ClientSession) -> None:
    told: list[Exchange] = []
    async with Simulator(ServiceConfig(faults=Script(creates=["throttled"])), observer=told.append) as sim:
        await post(session, sim, "create-compare-task", bodies.create())
        async with session.get(f"{sim.url}/favicon.ico") as response:
            assert response.status == 404
    assert [(one.call, one.job_id, one.http_status, one.error_code, one.fault) for one in told] == [
        ("create-compare-task", "jb1", 429, "APIGW.0308", "throttled"),
        ("GET /favicon.ico", "", 404, "APIGW.0101", None),
    ]


async def test_a_body_over_the_gateways_limit_is_refused(session: aiohttp.ClientSession) -> None:
    async with Simulator() as sim:
        url = f"{sim.url}/v3/p/jobs/create-compare-task"
        async with session.post(url, data=io.BytesIO(b" " * (13 << 20)), headers=JSON) as response:
            assert response.status == 413
            assert (await response.json())["error_code"] == "APIGW.0201"


async def test_somebody_else_cancels_by_request(session: aiohttp.ClientSession) -> None:
    async with Simulator() as sim:
        _, body, _ = await post(session, sim, "create-compare-task", bodies.create())
        task_id = orjson.loads(body)["data_level_compare_create_result"]["compare_task_id"]
        url = f"{sim.url}/v3/p/jobs/jb1/compare/{task_id}"
        async with session.delete(url) as response:
            assert (response.status, await response.read()) == (200, b"{}")
        async with session.delete(url) as response:
            assert response.status == 400
        _, body, _ = await post(session, sim, "query-compare-result", bodies.query())
        (entry,) = orjson.loads(body)["compare_task_list_results"]["compare_task_list"]
        assert entry["compare_task_status"] == "CANCELLED"
        assert not cancelled(sim.ledger)  # by no create request


async def test_error_texts_follow_the_language_and_codes_do_not(session: aiohttp.ClientSession) -> None:
    gone = CloudConfig(jobs=(JobRule(pattern="gone", exists=False),))
    for language, text in (("en-us", "The job gone does not exist."), ("zh-cn", "任务信息不存在。")):
        async with Simulator(ServiceConfig(cloud=gone)) as sim:
            headers = {**JSON, "X-Language": language}
            _, body, _ = await post(session, sim, "create-compare-task", bodies.create("gone"), headers=headers)
            assert orjson.loads(body) == {"error_code": "DRS.M05003", "error_msg": text}
            await post(session, sim, "create-compare-task", bodies.create(), headers=headers)
            _, body, _ = await post(session, sim, "create-compare-task", bodies.create(), headers=headers)
            half = orjson.loads(body)["data_level_compare_create_result"]
            assert half["error_code"] == "DRS.M00304"
            assert half["error_msg"].isascii() is (language == "en-us")


@pytest.mark.parametrize(
    "broken",
    [
        b"POST /v3/p/jobs/create-compare-task HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
        b"POST / HT",
        b"\x16\x03\x01\x00\r\n\r\n",
    ],
)
async def test_a_client_that_breaks_off_or_talks_nonsense_is_no_failure(
    broken: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    async with Simulator() as sim:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(sim.url.rsplit(":", 1)[1]))
        writer.write(broken)
        writer.write_eof()
        await reader.read()
        writer.close()
        await writer.wait_closed()
    assert not any(isinstance(event, Effect) for event in sim.ledger)
    assert capfd.readouterr().err == ""


async def test_what_keeps_a_request_from_being_served_is_raised_at_the_end(session: aiohttp.ClientSession) -> None:
    async def serve_one(ledger: FileLedger) -> None:
        async with Simulator(ledger=ledger) as sim:
            assert (await post(session, sim, "create-compare-task", bodies.create()))[0] == 500
            await sim.failed()

    with closing(FileLedger(Path("/dev/full"))) as full:
        with pytest.raises(OSError, match="No space left") as caught:
            await serve_one(full)
        assert caught.value.filename == "/dev/full"


async def test_a_taken_port_is_told_with_the_way_out() -> None:
    async with Simulator() as sim:
        port = int(sim.url.rsplit(":", 1)[1])
        with pytest.raises(UserError, match=r"is taken: choose another with --port"):
            await Simulator(port=port).start()


async def test_closing_ends_silent_connections_at_once(session: aiohttp.ClientSession) -> None:
    ledger = Awaited()
    async with Simulator(ServiceConfig(faults=Script(creates=["silent-after"])), ledger=ledger) as sim:
        waiting = asyncio.create_task(post(session, sim, "create-compare-task", bodies.create()))
        await ledger.first(AnswerSent)
    with pytest.raises(aiohttp.ClientConnectionError):
        await waiting


def test_it_serves_clients_that_block_from_a_thread_of_its_own() -> None:
    with ThreadedSimulator() as sim:
        request = urllib.request.Request(  # noqa: S310
            f"{sim.url}/v3/p/jobs/create-compare-task", data=bodies.create(), headers=JSON
        )
        with urllib.request.urlopen(request, timeout=90) as response:  # noqa: S310
            assert response.status == 200
        assert [event.event for event in sim.ledger] == ["request", "effect", "answer"]


def test_a_thread_that_cannot_serve_says_why() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match="is taken"), ThreadedSimulator(port=port):
            pass
