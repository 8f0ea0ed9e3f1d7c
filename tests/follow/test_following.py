"""Taking up a wave of any size: some bytes of an entry are in memory, whether it runs or has its verdict."""

import asyncio
import random
import tracemalloc
from pathlib import Path

import pytest

from batcher.clock import SystemClock
from batcher.follow.follower import FollowStatus
from batcher.follow.following import Following
from batcher.follow.watch_session import WatchSession
from batcher.journal.files import WaveFiles
from batcher.settings import RunSettings
from batcher.wave.stop import Stop, StopKind, Stopping
from tests.follow.cloud import a_token
from tests.report.waves import write_wave

INTERRUPTED = Stop(StopKind.SIGINT, "SIGINT received")
SMALL, LARGE = 300, 2300
MOST_BYTES = 60  # of each further entry


async def taken_up(results: Path) -> tuple[int, int]:
    """What is in memory of the wave of *results* once it is taken up, and how many have a verdict."""
    tracemalloc.start()
    try:
        following = Following(results, RunSettings(), SystemClock(), random.Random(1), Stopping())
        following.take_up(results)
        traced = tracemalloc.get_traced_memory()[0], following.status().decided
        await following.aclose()
        return traced
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("decided", [True, False])
async def test_memory_hardly_grows_with_the_entries(tmp_path: Path, decided: bool) -> None:
    waves = [tmp_path / "small.jsonl", tmp_path / "large.jsonl"]
    for wave, entries in zip(waves, (SMALL, LARGE), strict=True):
        write_wave(wave, entries, journal=False)
        if not decided:
            WaveFiles.of(wave).verdicts.unlink()
    await taken_up(waves[0])  # what is loaded once does not count
    (small, few), (large, many) = [await taken_up(wave) for wave in waves]
    assert (many > few) == decided
    assert large - small < MOST_BYTES * (LARGE - SMALL)


async def test_stopped_while_it_reads_it_leaves_all_as_it_was(tmp_path: Path) -> None:
    results = tmp_path / "r.jsonl"
    write_wave(results, 50, journal=False)
    path = WaveFiles.of(results).verdicts
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines) + lines[0].replace(b'"final":true', b'"final":false'))
    before = path.read_bytes()
    stopping = Stopping()
    following = Following(results, RunSettings(), SystemClock(), random.Random(1), stopping)
    stopping.stop(INTERRUPTED)
    await asyncio.to_thread(following.take_up, results)
    assert not following.is_taken_up
    following.begin({})
    end = await following.finish()
    await following.aclose()
    assert end.stop == INTERRUPTED
    assert path.read_bytes() == before


async def test_nothing_is_said_of_where_it_stands_before_all_results_are_read(tmp_path: Path) -> None:
    results = tmp_path / "r.jsonl"
    write_wave(results, 50, journal=False)
    WaveFiles.of(results).verdicts.unlink()
    told: list[FollowStatus | None] = []

    class Watched(WatchSession):
        def _take_up(self) -> None:
            told.append(self.status())
            super()._take_up()
            told.append(self.status())
            stopping.stop(INTERRUPTED)

    stopping = Stopping()
    await Watched(results, RunSettings(), stopping, credential_for=a_token).run()
    before, after = told
    assert before is None
    assert after is not None
    assert after.entries == 50
