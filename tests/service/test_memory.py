"""What waves took is given back when none runs any more."""

from pathlib import Path

import pytest

from batcher.service.models import State
from batcher.service.running import memory
from batcher.service.running.memory import LEAST_S, MemoryReturn
from batcher.simulator.server import Simulator
from tests.service.serving import csv, eventually, serving


async def test_memory_is_given_back_once_waves_have_ended(
    cloud: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = []
    monkeypatch.setattr(memory, "give_back", lambda: given.append(1))
    async with serving(tmp_path / "data") as service:
        long = await service.submit(csv(60), "rate=20/s")
        short = await service.submit(csv(2, first=100))
        await service.until(short["id"], State.ENDED)
        assert not given
        await service.until(long["id"], State.ENDED)
        await eventually(lambda: bool(given))
        await service.until((await service.submit(csv(2, first=200)))["id"], State.ENDED)
    assert given == [1]  # the next comes a minute later


async def test_it_is_not_given_back_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    given, now = [], [0.0]
    monkeypatch.setattr(memory, "give_back", lambda: given.append(now[0]))
    keeping = MemoryReturn(lambda: now[0])
    for now[0] in (0.0, 1.0, LEAST_S - 1, LEAST_S, LEAST_S + 1, 3 * LEAST_S):
        assert await keeping.when_idle() == (now[0] in (0.0, LEAST_S, 3 * LEAST_S))
    assert given == [0.0, LEAST_S, 3 * LEAST_S]
