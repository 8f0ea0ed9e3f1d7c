"""Real waves in real processes over real sockets, killed with SIGKILL and run again; the simulator's ledger judges."""

import asyncio
import json
import os
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from batcher.simulator.faults import Fault, FaultProfile, FaultSource
from batcher.simulator.ledger import creations, doubles
from batcher.simulator.model import READS
from batcher.simulator.server import Simulator
from batcher.simulator.service import ServiceConfig

BOUNDARIES = ("plan durable", "intent queued", "intent durable", "answer received", "outcome durable", "finished")
ROOT = Path(__file__).resolve().parents[2]
SETTINGS: dict[str, Any] = {
    "project_id": "p",
    "rate": "off",
    "concurrency": 4,
    "timeout": 1.0,
    "connect_timeout": 1.0,
    "landing_time": 1.6,
    "log_level": "error",
}


@dataclass(slots=True)
class Died:
    """What became of the runs of one wave."""

    kills: int = 0
    runs: int = 0
    entries: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)  # promises that were broken

    def add(self, other: "Died") -> None:
        """Take in another wave."""
        self.kills += other.kills
        self.runs += other.runs
        self.entries += other.entries
        self.statuses += other.statuses
        self.faults += other.faults


class Nursery:
    """The process that forks waves."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def run(self, order: dict[str, Any]) -> dict[str, Any]:
        """Have a wave run to its end or its death."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(order).encode() + b"\n")
        await stdin.drain()
        answer: dict[str, Any] = json.loads(await stdout.readline())
        return answer


@asynccontextmanager
async def nursery() -> AsyncIterator[Nursery]:
    """Start one, and end it."""
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.wave.nursery",
        cwd=ROOT,
        env={**environment, "BATCHER_TOKEN": "t" * 20},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    await process.stdout.readline()
    try:
        yield Nursery(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


class _LossyCreates(FaultProfile):
    """Loses answers to create requests; look-ups get theirs, as a wave waits a while for each that does not."""

    def choose(self, seed: int, *, call: str, job_id: str, nth: int, elapsed_s: float) -> Fault | None:
        """See `FaultProfile.choose`."""
        if call in READS:
            return None
        return super().choose(seed, call=call, job_id=job_id, nth=nth, elapsed_s=elapsed_s)


LOSSY = _LossyCreates(
    name="lossy",
    description="a quarter of all answers is lost, most of them after the effect",
    chances={"silent-after": 0.05, "silent-late": 0.05, "reset-after": 0.1, "reset-before": 0.02, "504-after": 0.03},
    late_s=(0.05, 0.3),
)


def at_every_boundary() -> Iterator[dict[str, Any]]:
    """A death at each boundary, the first time it is passed and a later time; then peace."""
    for boundary in BOUNDARIES[:-1]:
        yield {"kill_at": [boundary, 1]}
    for boundary in BOUNDARIES[1:-1]:
        yield {"kill_at": [boundary, 3]}
    yield {"kill_at": ["finished", 1]}


def at_random(rng: random.Random, kills: int) -> Iterator[dict[str, Any]]:
    """Deaths at random moments and at random boundaries."""
    for _ in range(kills):
        if rng.random() < 0.5:
            yield {"kill_after_s": rng.uniform(0.01, 0.2)}
        else:
            yield {"kill_at": [rng.choice(BOUNDARIES[:-1]), rng.randint(1, 6)]}


async def kill_and_resume(
    home: Nursery, folder: Path, deaths: Iterator[dict[str, Any]], *, entries: int, faults: FaultSource, seed: int
) -> Died:
    """Run one wave through *deaths*, then to its end, and judge it."""
    folder.mkdir(parents=True)
    manifest, results = folder / "manifest.jsonl", folder / "results.jsonl"
    manifest.write_bytes(b"".join(map(entry_line, range(entries))))
    died = Died(entries=entries)
    async with Simulator(ServiceConfig(faults=faults, seed=seed)) as cloud:
        order = {
            "manifest": str(manifest),
            "results": str(results),
            "settings": {**SETTINGS, "endpoint": cloud.url},
        }
        for death in deaths:
            ended = await home.run({**order, **death})
            died.runs += 1
            died.kills += ended["signal"] is not None
            if ended["code"] not in (None, 0):
                died.faults.append(f"a run ended with {ended} instead of {death}")
        ended = await home.run(order)
        died.runs += 1
        if ended["code"] != 0:
            died.faults.append(f"the last run ended with {ended}")
        died.faults += _broken(cloud, results, entries, died.statuses)
    return died


def entry_line(index: int) -> bytes:
    """The manifest line of an entry: objects, data, or both."""
    entry: dict[str, Any] = {"job_id": f"job-{index}"}
    if index % 3 != 1:
        entry["object_level_compare_type"] = "objects"
    if index % 3 != 0:
        entry["data_level_compare_info"] = {
            "conflict_policy": "cancel" if index % 2 else "keep",
            "compare_type": "lines",
            "compare_object_infos": [{"db_name": "db"}],
        }
    return orjson.dumps(entry) + b"\n"


def _broken(cloud: Simulator, results: Path, entries: int, statuses: Counter[str]) -> Iterator[str]:
    lines = [orjson.loads(line) for line in results.read_bytes().splitlines()] if results.exists() else []
    statuses.update(line["status"] for line in lines)
    for index, count in Counter(line["index"] for line in lines).items():
        if count != 1:
            yield f"entry {index} has {count} result lines"
    if len(lines) != entries:
        yield f"{len(lines)} result lines for {entries} entries"
    for (_, job, half), several in doubles(cloud.ledger).items():
        yield f"{job} has {len(several)} {half} comparisons"
    by_job = {line["job_id"]: line for line in lines}
    for creation in creations(cloud.ledger):
        line = by_job.get(creation.job_id, {})
        fate = line.get(f"{creation.half}_compare_create_result") or {}
        if fate.get("compare_task_id") != creation.compare_task_id and line.get("status") != "unsettled":
            yield f"{creation.job_id} is {line.get('status')}, and does not name {creation.compare_task_id}"
