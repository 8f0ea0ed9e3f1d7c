"""A simulated cloud with comparisons in it, for tests of following; on whatever clock the loop has."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from batcher.clock import Clock, utc
from batcher.drs.cloud import HttpRequest, Refusal
from batcher.journal.files import WaveFiles
from batcher.journal.sqlite.keeper import SqliteKeeper
from batcher.life.entry import PlannedEntry, Scope
from batcher.life.result import CreateCompareTaskResult, Result, Status
from batcher.rates import Rate
from batcher.settings import RunSettings
from batcher.simulator.config import CloudConfig
from batcher.simulator.faults import NO_FAULTS, FaultSource
from batcher.simulator.ledger import RequestSeen
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from tests.simulator import bodies
from tests.virtual import VirtualLoop

PROJECT = "p"


class Token:
    """A credential that never changes."""

    at_hand = True

    def describe(self) -> str:
        return "a token for tests"

    async def prepare(self) -> Refusal | None:
        return None

    def headers(self, request: HttpRequest) -> Mapping[str, str]:
        return {"X-Auth-Token": "simulated-token"}

    async def renew(self, used: Mapping[str, str]) -> bool:
        return False


def a_token(scope: Scope) -> Token:
    """`credential_for` of tests."""
    return Token()


def loop_clock() -> Clock:
    """The running virtual loop's clock."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop.clock


@asynccontextmanager
async def cloud(
    config: CloudConfig | None = None, *, faults: FaultSource = NO_FAULTS, **given: Any
) -> AsyncIterator[Simulator]:
    """A simulator on the running loop's virtual clock."""
    made = ServiceConfig(cloud=config or CloudConfig(**given), faults=faults)
    async with Simulator(made, clock=loop_clock().now) as simulator:
        yield simulator


async def created(
    simulator: Simulator, results: Path, jobs: int = 1, *, start_in_s: float | None = None, **body: Any
) -> list[Result]:
    """Create a comparison request for each of so many jobs, and write their results as a run would."""
    made = []
    now = simulator.now
    start = None if start_in_s is None else str(round((now + start_in_s) * 1000))
    async with aiohttp.ClientSession() as session:
        for index in range(jobs):
            job_id = f"job-{index}"
            request = bodies.create(job_id, start_time=start, **body)
            url = f"{simulator.url}/v3/{PROJECT}/jobs/create-compare-task"
            async with session.post(url, data=request, headers={"Content-Type": "application/json"}) as response:
                told = orjson.loads(await response.read())
            made.append(result_of(simulator, index, job_id, told))
    results.write_bytes(b"".join(result.to_line() for result in made))
    return made


def result_of(simulator: Simulator, index: int, job_id: str, told: dict[str, Any]) -> Result:
    """The result line of an answer *told*."""
    halves = {
        name: None if told.get(name) is None else CreateCompareTaskResult.model_validate(told[name])
        for name in ("object_level_compare_create_result", "data_level_compare_create_result")
    }
    return Result(
        key=f"k{index}",
        index=index,
        job_id=job_id,
        project_id=PROJECT,
        endpoint=simulator.url,
        status=Status.CREATED,
        attempts=1,
        recovered=False,
        **halves,
        error_code=None,
        error_msg=None,
        error_kind=None,
        http_status=200,
        request_id="r",
        submitted_at=utc(simulator.now),
        finished_at=utc(simulator.now),
        labels={},
    )


def hurried(**changes: Any) -> RunSettings:
    """Settings of a watch at ten look-ups a second."""
    return RunSettings(**{"read_rate": Rate(10, 1.0), **changes})


def looks(simulator: Simulator) -> list[RequestSeen]:
    """The look-ups that the simulator has seen."""
    return [
        event
        for event in simulator.ledger
        if isinstance(event, RequestSeen) and event.call in ("query-compare-result", "batch-status")
    ]


def within(arrivals: list[float], rate: Rate) -> bool:
    """Whether *arrivals* keep to *rate* in every window."""
    return all(
        later - earlier >= rate.period_s for earlier, later in zip(arrivals, arrivals[rate.count :], strict=False)
    )


def journal_beside_results(results: Path, made: list[Result], **body: Any) -> None:
    """A journal with the plan of *made*, as a run leaves it; *body* is of `bodies.create`."""
    keeper = SqliteKeeper(WaveFiles.of(results).journal)
    scope = Scope(0, made[0].endpoint or "", PROJECT)
    entries = (
        PlannedEntry(
            index=result.index,
            line=result.index + 1,
            key=result.key,
            scope=scope,
            job_id=result.job_id or "",
            body=bodies.create(result.job_id or "", **body),
            x_language=None,
            labels=result.labels,
        )
        for result in made
    )
    with keeper.wave().planning() as plan:
        plan.add_scope(scope)
        plan.add_entries(entries)
        plan.finish({})
    keeper.close()
