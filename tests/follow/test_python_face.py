"""The same from Python: run a wave, follow it, rule over it."""

from datetime import date
from pathlib import Path

from batcher.api import Wave
from batcher.gate.result import evaluate
from batcher.gate.wave_entries import entries_of
from batcher.rates import Rate
from tests.follow.conftest import Fleet


async def test_a_wave_is_run_followed_and_ruled_over(fleet: Fleet, manifest: Path) -> None:
    fleet()
    async with Wave(manifest, "r.jsonl", rate=Rate(200, 1.0), poll=0.05, wait=True) as wave:
        results = [result.status async for result in wave]
        followed = await wave.follow()
    assert results == ["created"] * 3
    assert followed is not None
    assert followed.status.decided == 3
    assert evaluate(entries_of([Path("r.jsonl")]), (), date.today()).go  # noqa: DTZ011 - nothing is accepted until a day


async def test_without_wait_there_is_nothing_to_follow(fleet: Fleet, manifest: Path) -> None:
    fleet()
    async with Wave(manifest, "r.jsonl") as wave:
        await wave.run()
        assert await wave.follow() is None


async def test_leaving_before_the_verdicts_leaves_them_to_the_next_watch(fleet: Fleet, manifest: Path) -> None:
    fleet(speed=0.1)
    async with Wave(manifest, "r.jsonl", wait=True) as wave:
        await wave.run()
    assert (Path("r.verdicts.jsonl").read_bytes(), wave.end.status.created) == (b"", 3)
