"""Real files on disks that fill up, and files that somebody takes away while a wave runs: what the cloud told stays."""

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from batcher.api import Wave
from batcher.simulator.ledger import creations, doubles
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig
from batcher.wave.engine import WaveEnd
from batcher.wave.stop import StopKind
from tests.wave.killing import SETTINGS, entry_line, nursery

ENTRIES = 30


@pytest.fixture
async def cloud(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Simulator]:
    monkeypatch.setenv("BATCHER_TOKEN", "t" * 20)
    async with Simulator(ServiceConfig(latency_s=(0.005, 0.02))) as simulator:
        yield simulator


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "wave"
    folder.mkdir()
    (tmp_path / "manifest.jsonl").write_bytes(b"".join(map(entry_line, range(ENTRIES))))
    return folder


async def run(cloud: Simulator, folder: Path, watch: Callable[[str], None] = lambda _: None) -> WaveEnd:
    settings = {**SETTINGS, "endpoint": cloud.url, "grace": 2.0}
    wave = Wave(folder.parent / "manifest.jsonl", folder / "results.jsonl", watch=watch, **settings)
    async with wave:
        return await wave.run()


def judge(cloud: Simulator, folder: Path) -> None:
    lines = [orjson.loads(line) for line in (folder / "results.jsonl").read_bytes().splitlines()]
    assert sorted(line["index"] for line in lines) == list(range(ENTRIES))
    assert doubles(cloud.ledger) == {}
    told = {
        (line[f"{half}_compare_create_result"] or {}).get("compare_task_id")
        for line in lines
        for half in ("object_level", "data_level")
    }
    assert {creation.compare_task_id for creation in creations(cloud.ledger)} <= told
    assert {line["status"] for line in lines} == {"created"}


class At:
    """Does *act* the *nth* time that the boundary is passed."""

    def __init__(self, boundary: str, nth: int, act: Callable[[], object]) -> None:
        self._boundary, self._left, self._act = boundary, nth, act

    def __call__(self, boundary: str) -> None:
        self._left -= boundary == self._boundary
        if self._left == 0 and boundary == self._boundary:
            self._act()


async def test_a_disk_that_fills_up(folder: Path) -> None:
    """Files cannot grow any more: nothing new is sent, and the next run, with room again, ends the wave."""
    async with nursery() as home:
        for limit_kb in (90, 220):
            wave = folder / str(limit_kb)
            wave.mkdir()
            async with Simulator(ServiceConfig(latency_s=(0.005, 0.02))) as cloud:
                order: dict[str, Any] = {
                    "manifest": str(folder.parent / "manifest.jsonl"),
                    "results": str(wave / "results.jsonl"),
                    "settings": {**SETTINGS, "endpoint": cloud.url, "grace": 0.5},
                }
                full = await home.run({**order, "file_size": limit_kb * 1024})
                assert full["code"] == 3
                assert (await home.run(order))["code"] == 0
                judge(cloud, wave)


async def test_the_results_file_is_deleted(cloud: Simulator, folder: Path) -> None:
    end = await run(cloud, folder, At("outcome durable", 5, (folder / "results.jsonl").unlink))
    assert end.stop is not None
    assert end.stop.kind is StopKind.RESULTS
    assert "deleted or moved" in end.stop.text
    assert (await run(cloud, folder)).stop is None
    judge(cloud, folder)


async def test_the_results_file_is_edited(cloud: Simulator, folder: Path) -> None:
    def edit() -> None:
        with (folder / "results.jsonl").open("ab") as file:
            file.write(b"# looks good\n")

    end = await run(cloud, folder, At("outcome durable", 5, edit))
    assert end.stop is not None
    assert "changed by something else" in end.stop.text
    assert (await run(cloud, folder)).stop is None
    judge(cloud, folder)
    assert len(list(folder.glob("results.jsonl.edited-*"))) == 1


async def test_the_journal_is_deleted(cloud: Simulator, folder: Path) -> None:
    """All that it held is written to its path again, and the next run goes on with it."""
    with capture_logs() as logs:
        end = await run(cloud, folder, At("outcome durable", 5, (folder / "results.jsonl.journal").unlink))
    assert end.stop is not None
    assert end.stop.kind is StopKind.JOURNAL
    assert end.unrecorded == ()
    journal = folder / "results.jsonl.journal"
    assert [line["kept"] for line in logs if line.get("kept")] == [str(journal)]
    assert journal.stat().st_mode & 0o777 == 0o600  # as before: the wave's owner alone reads it
    assert (await run(cloud, folder)).stop is None
    judge(cloud, folder)


async def test_the_journals_log_is_deleted(cloud: Simulator, folder: Path) -> None:
    """The file beside it that holds what was committed last: a death would take all of that along."""
    log = folder / "results.jsonl.journal-wal"
    with capture_logs() as logs:
        end = await run(cloud, folder, At("outcome durable", 5, log.unlink))
    assert end.stop is not None
    assert end.stop.kind is StopKind.JOURNAL
    assert "-wal was deleted" in end.stop.text
    assert [line["kept"] for line in logs if line.get("kept")] == [str(folder / "results.jsonl.journal")]
    assert (await run(cloud, folder)).stop is None
    judge(cloud, folder)


async def test_the_whole_folder_vanishes(cloud: Simulator, folder: Path) -> None:
    """What the cloud told is kept elsewhere, and it is said where."""
    with capture_logs() as logs:
        end = await run(cloud, folder, At("outcome durable", 5, lambda: shutil.rmtree(folder)))
    assert end.stop is not None
    (kept,) = (Path(line["kept"]) for line in logs if line.get("kept"))
    folder.mkdir()
    shutil.move(kept, folder / "results.jsonl.journal")
    assert (await run(cloud, folder)).stop is None
    judge(cloud, folder)
    shutil.rmtree(kept.parent)
