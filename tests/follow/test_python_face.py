"""The same from Python: run a wave, follow it, rule over it."""

import asyncio
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from batcher import GateVerdict, Rate, UserError, Wave, evaluate_gate
from batcher.simulator.differences import Differences, SimulatedDifference
from tests.follow.conftest import Fleet
from tests.packaging.checkout import ROOT


async def test_a_wave_is_run_followed_and_ruled_over(fleet: Fleet, manifest: Path) -> None:
    fleet()
    async with Wave(manifest, "r.jsonl", rate=Rate(200, 1.0), poll=0.05, wait=True) as wave:
        results = [result.status async for result in wave]
        followed = await wave.follow()
    assert results == ["created"] * 3
    assert followed is not None
    assert followed.status.decided == 3
    gate = evaluate_gate("r.jsonl")
    assert (gate.verdict, gate.exit_code, gate.entries) == (GateVerdict.GO, 0, 3)


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


async def test_the_example_of_the_page_runs_as_it_stands(fleet: Fleet, manifest: Path) -> None:
    fleet(differences=Differences(rules=(SimulatedDifference(job_id="job-2", table="orders", rows=3),)))
    manifest.rename("wave.csv")
    page = (ROOT / "docs" / "verdicts.md").read_text(encoding="utf-8")
    (example,) = (code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "asyncio.run" in code)
    ran = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", example], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    verdict, differing = ran.stdout.splitlines()
    assert verdict == "NO-GO: 3 entries"
    assert differing.startswith("job-2 rows: 1 of ")


async def test_the_gate_says_what_stands_in_the_way(fleet: Fleet, manifest: Path) -> None:
    fleet(differences=Differences(rules=(SimulatedDifference(table="orders"),)))
    async with Wave(manifest, "r.jsonl", poll=0.05, wait=True) as wave:
        await wave.run()
        await wave.follow()
    gate = evaluate_gate("r.jsonl")
    assert (gate.verdict, gate.exit_code, len(gate.blockers)) == (GateVerdict.NO_GO, 1, 3)
    rows = [f"{blocker.job_id},*,*,known,2030-01-01" for blocker in gate.blockers]
    Path("accepted.csv").write_text("\n".join(["job_id,database,table,reason,expires", *rows]))
    assert evaluate_gate("r.jsonl", allow_inconsistent="accepted.csv", today=date(2030, 1, 1)).go
    assert not evaluate_gate("r.jsonl", allow_inconsistent="accepted.csv", today=date(2030, 1, 2)).go
    with pytest.raises(UserError):
        evaluate_gate("there-is-none.jsonl")
    with pytest.raises(ValueError, match="at least one"):
        evaluate_gate()
