"""Entries wait for their jobs, and for nobody else's; what cannot get ready is refused, what cannot be told is not."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from batcher.channel.scope_reader import ScopeReader
from batcher.follow.connect import connected
from batcher.holding.admission import Admittance, Admitted, Refused, Waits
from batcher.holding.preflight import JobReport, preflight, states_of
from batcher.holding.readiness import Readiness
from batcher.holding.readiness_admission import ReadinessAdmission
from batcher.life.entry import Scope
from batcher.rates import Rate
from batcher.simulator.config import CloudConfig
from batcher.simulator.faults import Script
from batcher.simulator.jobs import JobRule
from batcher.simulator.server import Simulator
from tests.follow.cloud import a_token, cloud, hurried, looks, loop_clock, within
from tests.follow.test_running_limit import entry

pytestmark = pytest.mark.virtual_time


@asynccontextmanager
async def reader_of(simulator: Simulator) -> AsyncIterator[ScopeReader]:
    scope = Scope(0, simulator.url, "p")
    settings = hurried()
    async with connected([scope], settings, loop_clock(), credential_for=a_token) as reads:
        yield ScopeReader(reads[scope], loop_clock())


@asynccontextmanager
async def admission_of(simulator: Simulator, *, wait_s: float = 3600) -> AsyncIterator[ReadinessAdmission]:
    async with reader_of(simulator) as reader:
        admission = ReadinessAdmission(reader, loop_clock(), random.Random(1), wait_s=wait_s, poll_s=30)
        running = asyncio.create_task(admission.run())
        yield admission
        running.cancel()


async def admittance(admission: ReadinessAdmission, index: int) -> tuple[Admittance, float]:
    """What `entry(index)` is told in the end, and after how long."""
    again = asyncio.Event()
    began = loop_clock().monotonic()
    told = admission.ask(entry(index), again.set)
    while isinstance(told, Waits):
        await again.wait()
        again.clear()
        told = admission.ask(entry(index), again.set)
    return told, loop_clock().monotonic() - began


async def test_each_is_let_in_as_soon_as_its_own_job_is_ready() -> None:
    later = JobRule(pattern="job-1", status="FULL_TRANSFER_STARTED", becomes=((1200.0, "INCRE_TRANSFER_STARTED"),))
    async with cloud(jobs=(later,)) as sim, admission_of(sim) as admission:
        (first, first_s), (second, second_s) = await asyncio.gather(admittance(admission, 0), admittance(admission, 1))
    assert isinstance(first, Admitted)
    assert first_s < 2
    assert isinstance(second, Admitted)
    assert 1200 <= second_s < 1200 + 35


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        (JobRule(pattern="*", status="PAUSING"), "it is paused: resume it"),
        (JobRule(pattern="*", children=("c",)), "it has subtasks"),
        (JobRule(pattern="*", status="FULL_TRANSFER_STARTED"), "still FULL_TRANSFER_STARTED after 1h00m"),
    ],
)
async def test_what_does_not_get_ready_is_refused_with_its_reason(rule: JobRule, said: str) -> None:
    async with cloud(jobs=(rule,)) as sim, admission_of(sim) as admission:
        told, _ = await admittance(admission, 0)
    assert isinstance(told, Refused)
    assert said in (told.trouble.error_msg or "")


@pytest.mark.parametrize(
    "config",
    [
        CloudConfig(denied=frozenset({"batch-status"})),
        CloudConfig(jobs=(JobRule(pattern="*", exists=False),)),
    ],
)
async def test_whoever_may_not_look_may_still_create(config: CloudConfig) -> None:
    """What the cloud does not tell is left to its answer to the create request."""
    async with cloud(config) as sim, admission_of(sim) as admission:
        told, _ = await admittance(admission, 0)
    assert isinstance(told, Admitted)


async def test_states_are_asked_in_full_batches_within_the_limit() -> None:
    async with cloud() as sim, admission_of(sim) as admission:
        await asyncio.gather(*(admittance(admission, index) for index in range(95)))
        assert len(looks(sim)) == 10


async def test_a_look_that_fails_is_made_again() -> None:
    async with cloud(faults=Script(reads=("500-before",))) as sim, admission_of(sim) as admission:
        told, _ = await admittance(admission, 0)
    assert isinstance(told, Admitted)


# --- preflight --------------------------------------------------------------------------------------------


def jobs(scope: Scope, count: int) -> dict[Scope, dict[str, JobReport]]:
    names = [f"job-{n}" for n in range(count)]
    return {
        scope: {name: JobReport(job_id=name, endpoint=scope.endpoint, project_id="p", keys=[name]) for name in names}
    }


async def test_preflight_sorts_every_job() -> None:
    rules = (
        JobRule(pattern="job-1", status="FULL_TRANSFER_STARTED"),
        JobRule(pattern="job-2", status="INCRE_TRANSFER_FAILED"),
        JobRule(pattern="job-3", children=("c",)),
        JobRule(pattern="job-4", exists=False),
        JobRule(pattern="job-5", status="DELETED"),
    )
    async with cloud(jobs=rules) as sim:
        scope = Scope(0, sim.url, "p")
        asked = jobs(scope, 24)
        async with connected([scope], hurried(), loop_clock(), credential_for=a_token) as reads:
            await preflight(asked, reads, loop_clock(), random.Random(1))
        assert len(looks(sim)) == 3
    found = [job.state.readiness for job in asked[scope].values() if job.state is not None]
    assert found == [
        Readiness.READY,
        Readiness.NOT_YET,
        Readiness.WRONG_STATE,
        Readiness.PARENT,
        Readiness.UNKNOWN,
        Readiness.UNKNOWN,
        *[Readiness.READY] * 18,
    ]


async def test_preflight_keeps_to_the_limit_of_look_ups() -> None:
    rate = Rate(4, 1.0)
    async with cloud() as sim:
        scope = Scope(0, sim.url, "p")
        asked = jobs(scope, 400)
        async with connected([scope], hurried(read_rate=rate), loop_clock(), credential_for=a_token) as reads:
            await preflight(asked, reads, loop_clock(), random.Random(1))
        seen = [look.at for look in looks(sim)]
    assert len(seen) == 40
    assert within(seen, rate)


async def test_preflight_says_where_it_may_not_look() -> None:
    async with cloud(CloudConfig(denied=frozenset({"batch-status"}))) as sim:
        scope = Scope(0, sim.url, "p")
        asked = jobs(scope, 3)
        async with connected([scope], hurried(), loop_clock(), credential_for=a_token) as reads:
            await preflight(asked, reads, loop_clock(), random.Random(1))
    assert {job.state.readiness for job in asked[scope].values() if job.state} == {Readiness.NO_PERMISSION}


async def test_preflight_waits_an_outage_out_and_then_says_what_it_does_not_know() -> None:
    async with cloud(faults=Script(reads=("reset-before",) * 3)) as sim:
        scope = Scope(0, sim.url, "p")
        asked = jobs(scope, 3)
        async with connected([scope], hurried(), loop_clock(), credential_for=a_token) as reads:
            await preflight(asked, reads, loop_clock(), random.Random(1))
            assert {job.state.readiness for job in asked[scope].values() if job.state} == {Readiness.READY}
            await sim.close()
            await preflight(asked, reads, loop_clock(), random.Random(1))
    assert {job.state.readiness for job in asked[scope].values() if job.state} == {Readiness.UNKNOWN}


async def test_a_cloud_that_answers_nobody_is_not_asked_about_every_job() -> None:
    ids = [f"job-{n}" for n in range(4000)]
    async with cloud() as sim, reader_of(sim) as reader:
        await sim.close()
        states = await states_of(reader, ids, loop_clock(), random.Random(1), at_once=8)
        assert reader.looks == 8 * 8  # so many tries of each of the first batches
    assert states.keys() == set(ids)
    assert {state.readiness for state in states.values()} == {Readiness.UNKNOWN}
