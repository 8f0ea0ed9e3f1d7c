"""A wave's life in the service: handed in, run, read."""

from pathlib import Path

from batcher.service.models import State
from batcher.simulator.server import Simulator
from tests.service.serving import csv, serving


async def test_a_wave_is_run_and_all_of_it_can_be_read(cloud: Simulator, tmp_path: Path) -> None:
    async with serving(tmp_path / "data") as service:
        wave = await service.submit(csv(7), "name=first&rate=100/s")
        ended = await service.until(wave["id"], State.ENDED)
        assert (ended["exit_code"], ended["counts"]["created"], ended["entries"]) == (0, 7, 7)
        lines = await service.lines(f"/v1/waves/{wave['id']}/results?follow=true")
        assert sorted(line["key"] for line in lines) == sorted(f"k{number}" for number in range(7))
        assert await service.lines(f"/v1/waves/{wave['id']}/results?after=5") == lines[5:]
