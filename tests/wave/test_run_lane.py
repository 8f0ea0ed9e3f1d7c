"""A lane run by itself, by a lease: others of its wave may be run elsewhere, or not at all."""

import asyncio
from pathlib import Path

import orjson
import pytest

from batcher import Wave
from batcher.journal.sqlite.keeper import SqliteKeeper
from batcher.life.events import Intended, decode, encode
from batcher.simulator.server import Simulator
from tests.journal.made import INTENT

ROWS = "".join(f"job-{number},project-{number % 2},objects\n" for number in range(8))


async def test_one_lane_alone_settles_its_entries_and_names_its_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BATCHER_TOKEN", "simulated-token")
    Path("wave.csv").write_text(f"job_id,project_id,object_level_compare_type\n{ROWS}")
    async with Simulator() as simulator:
        async with Wave("wave.csv", "results.jsonl", endpoint=simulator.url, rate="off") as wave:
            engine = wave._opened_engine
            scope = next(one for one in engine.reads if one.project_id == "project-1")
            await engine.run_lane(scope, lease=7)
            assert wave.status().created == 4
        async with Wave("wave.csv", "results.jsonl", endpoint=simulator.url, rate="off") as rest:
            await rest.run()
            assert rest.end.status.created == 8
            assert rest.journal_path is not None
            path = rest.journal_path
    keeper = await asyncio.to_thread(SqliteKeeper, path)
    record = keeper.wave()
    leases = {
        event.lease: record.entry(index).scope.project_id  # type: ignore[union-attr] # it is planned
        for index in range(8)
        for event in record.events(index)
        if isinstance(event, Intended)
    }
    await keeper.aclose()
    assert leases == {7: "project-1", None: "project-0"}


def test_an_intent_of_before_has_no_lease() -> None:
    raw = orjson.loads(encode(INTENT))
    del raw["lease"]
    assert decode("intended", orjson.dumps(raw)) == INTENT
