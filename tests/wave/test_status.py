"""What a snapshot of a running wave says."""

import asyncio
from pathlib import Path

import pytest

from batcher import StopKind, Wave
from batcher.clock import SystemClock
from batcher.simulator.faults import Script
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from batcher.wave.stop import Stop


@pytest.fixture(autouse=True)
def _two_jobs(elsewhere: None) -> None:
    Path("jobs.csv").write_text("job_id,object_level_compare_type\njob-1,objects\njob-2,objects\n")


async def test_the_wave_does_not_end_before_what_waits_is_due() -> None:
    """One entry is created at once, the other is looked up in a while: the time left is not what one entry took."""
    lost = Script(creates=["reset-after"], reads=["", *["502-html-before"] * 9], jobs=frozenset({"job-2"}))
    async with (
        Simulator(ServiceConfig(faults=lost)) as cloud,
        Wave("jobs.csv", "results.jsonl", endpoint=cloud.url, project_id="p", landing_time=60.0) as wave,
    ):
        task = asyncio.create_task(wave.run())
        async with asyncio.timeout(90):
            while not (wave.status().created == 1 and wave.status().waiting == 1):  # noqa: ASYNC110 - from outside
                await asyncio.sleep(0.01)
        status = wave.status()
        wave.stop(Stop(StopKind.ASKED, "seen enough"))
        await task
    assert status.eta_s is not None
    assert status.eta_s > 1.0


async def test_what_was_looked_for_in_vain_takes_its_landing_time() -> None:
    """A request that nobody answered, and that the cloud's list does not show, may still land for minutes."""
    lost = Script(creates=["reset-before"], jobs=frozenset({"job-2"}))
    async with (
        Simulator(ServiceConfig(faults=lost)) as cloud,
        Wave("jobs.csv", "results.jsonl", endpoint=cloud.url, project_id="p", landing_time=150.0) as wave,
    ):
        task = asyncio.create_task(wave.run())
        async with asyncio.timeout(90):
            while not (wave.status().in_doubt == 1 and (wave.status().eta_s or 0.0) > 100.0):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        wave.stop(Stop(StopKind.ASKED, "seen enough"))
        await task


async def test_each_scope_says_how_many_requests_it_has_in_flight() -> None:
    """The scopes' numbers add up to the wave's."""
    async with (
        Simulator(ServiceConfig(latency_s=(0.3, 0.3))) as cloud,
        Wave("jobs.csv", "results.jsonl", endpoint=cloud.url, project_id="p") as wave,
    ):
        task = asyncio.create_task(wave.run())
        async with asyncio.timeout(90):
            while not wave.status().in_flight:  # noqa: ASYNC110 - from outside
                await asyncio.sleep(0.01)
        assert [scope.in_flight for scope in wave.status().scopes] == [1]
        end = await task
    assert [scope.in_flight for scope in end.status.scopes] == [0]


class _Ahead(SystemClock):
    """A clock that can be set forward."""

    ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


async def test_a_pause_is_no_time_in_which_little_was_done() -> None:
    clock = _Ahead()
    async with (
        Simulator(ServiceConfig()) as cloud,
        Wave("jobs.csv", "results.jsonl", endpoint=cloud.url, project_id="p", rate="1/min", clock=clock) as wave,
    ):
        task = asyncio.create_task(wave.run())
        async with asyncio.timeout(90):
            while wave.status().created < 1:  # noqa: ASYNC110 - from outside
                await asyncio.sleep(0.01)
        for _ in range(2):
            wave.hand.pause()
            clock.ahead_s += 1800
            wave.hand.pause()
            assert wave.status().eta_s is None
            clock.ahead_s += 1800
            wave.hand.resume()
            wave.hand.resume()
            status = wave.status()
            assert status.eta_s is not None
            assert status.eta_s < 100
            assert status.elapsed_s >= 3600
        wave.stop(Stop(StopKind.ASKED, "seen enough"))
        await task
