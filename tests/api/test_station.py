"""Several waves in one process: what belongs to a scope they share, and each ends by itself."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from batcher import Status, Stop, StopKind
from batcher.simulator.iam import IamConfig
from batcher.simulator.ledger import Effect, RequestSeen
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from batcher.station import Station

HASTE: dict[str, Any] = {"landing_time": 1.0, "project_id": "project-a"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BATCHER_TOKEN", "simulated-token")


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(ServiceConfig(latency_s=(0.0, 0.01), iam=IamConfig(mode="token"))) as serving:
        yield serving


def manifest(name: str, jobs: range) -> Path:
    path = Path(f"{name}.csv")
    rows = "".join(f"job-{number},objects\n" for number in jobs)
    path.write_text(f"job_id,object_level_compare_type\n{rows}")
    return path


def creates(simulator: Simulator) -> list[RequestSeen]:
    return [e for e in simulator.ledger if isinstance(e, RequestSeen) and e.call == "create-compare-task"]


async def test_two_waves_on_the_same_jobs_each_get_their_own(simulator: Simulator) -> None:
    """Also where the cloud loses answers: what one has made is never taken for the other's."""
    async with Station(endpoint=simulator.url, rate="100/s", **HASTE) as station:
        waves = [station.wave(manifest(name, range(10)), f"{name}.jsonl") for name in ("one", "two")]
        async with waves[0], waves[1]:
            await asyncio.gather(*(wave.run() for wave in waves))
            assert [wave.end.status.created for wave in waves] == [10, 10]
    made = [task for event in simulator.ledger if isinstance(event, Effect) for task in event.created.values()]
    assert len(made) == len(set(made)) == 20


async def test_a_wave_that_stops_stops_alone_and_goes_on_here(simulator: Simulator) -> None:
    async with Station(endpoint=simulator.url, rate="30/s", **HASTE) as station:
        second = station.wave(manifest("two", range(20, 40)), "two.jsonl")
        async with second:
            other = asyncio.create_task(second.run())
            async with station.wave(manifest("one", range(20)), "one.jsonl") as first:
                async for _ in first:
                    first.stop(Stop(StopKind.ASKED, "enough"))
            assert first.end.stop is not None
            assert first.end.status.not_submitted > 0
            async with station.wave("one.csv", "one.jsonl") as again:
                await again.run()
            assert again.end.status.created == 20
            assert (await other).status.created == 20
    assert len(creates(simulator)) == 40


async def test_a_pause_is_of_one_wave(simulator: Simulator) -> None:
    async with Station(endpoint=simulator.url, rate="off", concurrency=2, **HASTE) as station:
        first = station.wave(manifest("one", range(20)), "one.jsonl", priority=100)
        second = station.wave(manifest("two", range(20)), "two.jsonl", priority=-100)
        async with first, second:
            first.hand.pause()
            paused = asyncio.create_task(first.run())
            assert (await second.run()).status.created == 20
            assert len(creates(simulator)) == 20
            assert first.status().scopes[0].paused_until_s == 0.0
            first.hand.resume()
            assert (await paused).status.created == 20


async def test_a_refused_credential_is_not_shown_again_unless_it_is_another_or_somebody_says_so(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = Path("token")
    token.write_text("no-token")
    monkeypatch.delenv("BATCHER_TOKEN")
    monkeypatch.setenv("BATCHER_TOKEN_FILE", str(token))
    async with Station(endpoint=simulator.url, **HASTE) as station:

        def asked() -> int:
            return sum(isinstance(event, RequestSeen) for event in simulator.ledger)

        async def run(name: str) -> tuple[bool, int]:
            async with station.wave(manifest(name, range(3)), f"{name}.jsonl") as wave:
                before = asked()
                end = await wave.run()
                return bool(end.halted), asked() - before

        assert await run("one") == (True, 1)
        assert await run("two") == (True, 0)
        station.try_again()
        assert await run("three") == (True, 1)
        token.write_text("simulated-token")
        halted, _ = await run("four")
        assert not halted
    results = Path("four.jsonl").read_text().splitlines()
    assert sum(Status.CREATED in line for line in results) == 3


async def test_priorities_have_bounds(simulator: Simulator) -> None:
    async with Station(endpoint=simulator.url, **HASTE) as station:
        with pytest.raises(ValueError, match="from -100 to 100"):
            station.wave("one.csv", "one.jsonl", priority=101)
