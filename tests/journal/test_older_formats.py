"""Journals of every older version are read as they are, and gone on with: see `older/README.md`."""

import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest

from batcher.api import Wave
from batcher.journal.beside import reading
from batcher.journal.sqlite.keeper import SqliteKeeper
from batcher.journal.wave_lock import WaveLock
from batcher.life.result import Status
from batcher.simulator.config import CloudConfig
from batcher.simulator.jobs import JobRule
from batcher.simulator.ledger import creations
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig

OLDER = sorted(Path(__file__).with_name("older").glob("*.tar.gz"))
ENTRIES = 8


@pytest.fixture(params=OLDER, ids=lambda path: path.name.removesuffix(".tar.gz"))
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def test_there_is_one_of_each() -> None:
    assert len(OLDER) == 8


def test_it_is_read_as_it_stands(folder: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with reading(folder / "results.jsonl.journal") as record:
        assert record.entry_count() == ENTRIES
        assert record.status_counts() == {Status.CREATED: 2, Status.FAILED: 1}
        assert b"".join(record.lines()) == (folder / "results.jsonl").read_bytes()
        begun = [entry.index for entry, _ in record.open_entries(0, -1, 9)]
        assert begun
        assert begun + [entry.index for entry in record.planned(0, -1, 9)] == [3, 4, 5, 6, 7]
        assert len(list(record.answers())) == 3
        assert not record.is_settled()
    after = {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}
    assert after == before


def test_a_keeper_has_its_wave_and_tells_the_next_number(folder: Path) -> None:
    keeper = SqliteKeeper(folder / "results.jsonl.journal")
    (wave,) = keeper.waves()
    assert keeper.wave(wave).next_seq() == 3
    keeper.close()


async def test_it_is_gone_on_with(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was settled stays as it is, byte by byte; what was in doubt is looked up; the rest is created."""
    monkeypatch.setenv("BATCHER_TOKEN", "t" * 20)
    results = folder / "results.jsonl"
    settled = results.read_bytes()
    with reading(folder / "results.jsonl.journal") as record:
        (scope,) = record.scopes()
        in_doubt = len(record.open_entries(0, -1, 9))
    rules = (JobRule(pattern="job-1", exists=False),)
    async with Simulator(ServiceConfig(seed=1, cloud=CloudConfig(jobs=rules))) as cloud:
        steady: dict[str, Any] = {"rate": "off", "read_rate": "off", "landing_time": 0.1, "log_level": "error"}
        async with Wave(
            folder / "manifest.jsonl",
            results,
            endpoint=scope.endpoint,
            project_id=scope.project_id,
            address_of=lambda _: cloud.url,
            **steady,
        ) as wave:
            assert wave.found is not None
            assert (wave.found.resumed, wave.found.settled, wave.found.in_doubt) == (True, 3, in_doubt)
            end = await wave.run()
        made = {creation.job_id for creation in creations(cloud.ledger)}
    assert (end.stop, end.status.open) == (None, 0)
    assert results.read_bytes().startswith(settled)
    lines = [orjson.loads(line) for line in results.read_bytes().splitlines()]
    assert Counter(line["status"] for line in lines) == {"created": ENTRIES - 1, "failed": 1}
    assert made == {f"job-{index}" for index in range(3, ENTRIES)}
    with reading(folder / "results.jsonl.journal") as record:
        assert b"".join(record.lines()) == results.read_bytes()
        assert [record.result_of(line["index"]) is not None for line in lines] == [True] * ENTRIES
    lock = WaveLock(folder / "results.jsonl.journal")
    assert lock.sign() is not None  # from now on it has one
    lock.release()
