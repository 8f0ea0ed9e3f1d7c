"""`batcher rehearse` and `batcher demo`: waves through a cloud in the same process, in a hurry."""

import asyncio
import re
import time
from itertools import pairwise
from pathlib import Path

import pytest

from batcher.cli.options import ALL
from batcher.journal.beside import reading
from batcher.rehearsal.leap import LeapingLoop, LoopClock, SteadyLoop
from batcher.settings import RunSettings, flag_name
from tests.cli.commands import lines_of, write_manifest
from tests.cli.conftest import Batcher


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    return write_manifest(tmp_path / "wave.csv", [f"job-{number}" for number in range(20)])


def test_a_rehearsal_says_how_long_the_wave_takes(batcher: Batcher, manifest: Path) -> None:
    said = batcher("rehearse", manifest, "--rate", "2/s", "--json").json
    assert said["by_status"]["created"] == 20
    assert 9.0 < said["duration_s"] < 12.0  # 20 entries at 2/s, of which the first goes at once
    assert said["cloud"]["busiest_window"]["create_requests"] == {"rehearsal": 2}
    assert said["results"] is None


def test_it_needs_no_credential_and_leaves_nothing(batcher: Batcher, manifest: Path) -> None:
    ended = batcher("rehearse", manifest, "--rate", "20/s", "--latency", "0")
    assert ended.code == 0
    assert "This wave takes" in ended.err
    assert "a simulated token" in ended.err
    assert {path.name for path in Path().iterdir()} <= {"wave.csv", "home"}


def test_nothing_goes_where_the_manifest_points(
    batcher: Batcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its endpoints nor a proxy of ours is real enough to be asked."""
    monkeypatch.setenv("BATCHER_PROXY", "http://proxy.example.invalid:1")
    manifest = tmp_path / "wave.jsonl"
    manifest.write_text(
        '{"job_id": "job-1", "object_level_compare_type": "objects", "endpoint": "https://drs.example.invalid"}\n'
        '{"job_id": "job-2", "object_level_compare_type": "objects", "region": "eu-west-101"}\n'
    )
    said = batcher("rehearse", manifest, "--json").json
    assert said["by_status"]["created"] == 2


def test_a_kept_rehearsal_has_the_times_of_the_rehearsed_night(
    batcher: Batcher, manifest: Path, tmp_path: Path
) -> None:
    """What its journal and its report say of the pace is what the wave kept, not how fast it was rehearsed."""
    kept = tmp_path / "kept"
    assert batcher("rehearse", manifest, "--rate", "60/min", "--keep", kept).code == 0
    with reading(kept / "rehearsal.jsonl.journal") as record:
        sent = sorted(answer.sent_at for _, answer in record.answers())
    assert len(sent) == 20
    assert all(later - earlier > 0.9 for earlier, later in pairwise(sent))


def test_a_tighter_limit_shows(batcher: Batcher, manifest: Path) -> None:
    said = batcher("rehearse", manifest, "--rate", "10/s", "--limit", "4/s", "--json").json
    assert said["by_status"]["created"] == 20
    assert said["cloud"]["answers"]["429 APIGW.0308"] >= 1


@pytest.mark.parametrize("fault", ["partial", "busy-202"])
def test_what_passes_by_itself_costs_seconds(batcher: Batcher, tmp_path: Path, fault: str) -> None:
    """Each job's first request is told to come again: in one half that it came too often, or that the job is busy."""
    manifest = tmp_path / "both.csv"
    rows = "".join(f"job-{number},objects,keep,lines,db\n" for number in range(20))
    columns = "job_id,object_level_compare_type,conflict_policy,compare_type,compare_object_infos"
    manifest.write_text(f"{columns}\n{rows}")
    ended = batcher("rehearse", manifest, "--rate", "200/s", "--faults", f"creates:{fault}=first", "--json")
    assert (ended.code, ended.json["cloud"]["faults"]) == (0, {fault: 20})
    assert (ended.json["attempts"], ended.json["cloud"]["created"]) == (40, 40)
    assert ended.json["duration_s"] < 10
    assert "turned away" not in ended.err


def test_the_same_seed_meets_the_same_faults(batcher: Batcher, manifest: Path) -> None:
    def faults(seed: int) -> object:
        arguments = ("--faults", "partial-final=10%,slow=20%", "--seed", seed, "--json")
        return batcher("rehearse", manifest, *arguments).json["cloud"]["faults"]

    assert faults(1) == faults(1)
    assert faults(1)


def test_what_is_kept_can_be_looked_into(batcher: Batcher, manifest: Path) -> None:
    ended = batcher("rehearse", manifest, "--keep", "rehearsal")
    assert "Results, journal and the cloud's ledger: rehearsal" in ended.err
    assert len(lines_of(Path("rehearsal/rehearsal.jsonl"))) == 20
    assert Path("rehearsal/ledger.jsonl").stat().st_size > 0
    assert batcher("explain", "rehearsal/rehearsal.jsonl", "--index", 0).code == 0
    assert "exists: name a folder that does not" in batcher("rehearse", manifest, "--keep", "rehearsal").err


def test_findings_end_a_rehearsal_as_they_end_a_run(batcher: Batcher, manifest: Path) -> None:
    manifest.write_text(manifest.read_text().replace("lines", "rows"))
    ended = batcher("rehearse", manifest)
    assert ended.code == 2
    assert "nothing was sent" in ended.err


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--faults", "flacky", "did you mean flaky?"),
        ("--limit", "many", "--limit: 'many' is no rate"),
        ("--latency", "2s..1s", "write the shorter time first"),
    ],
)
def test_what_cannot_be_rehearsed_is_said(batcher: Batcher, manifest: Path, option: str, value: str, said: str) -> None:
    ended = batcher("rehearse", manifest, option, value)
    assert ended.code == 2
    assert said in ended.err


def test_an_hour_passes_on_a_leaping_loop_without_waiting() -> None:
    async def sleep() -> float:
        clock = LoopClock(asyncio.get_running_loop())
        before = clock.monotonic(), clock.now()
        await asyncio.gather(clock.sleep(3600.0), clock.sleep(60.0))
        assert clock.now() - before[1] >= 3600.0
        return clock.monotonic() - before[0]

    began = time.monotonic()
    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        assert 3600.0 <= runner.run(sleep()) < 3601.0
    assert time.monotonic() - began < 60.0


def test_on_a_steady_loop_waiting_takes_its_time_and_computing_none() -> None:
    async def work() -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        before = loop.time()
        time.sleep(0.2)  # noqa: ASYNC251 - as if computing
        computed = loop.time() - before
        await asyncio.sleep(0.05)
        return computed, loop.time() - before

    began = time.monotonic()
    with asyncio.Runner(loop_factory=SteadyLoop) as runner:
        computed, passed = runner.run(work())
    assert computed == 0.0
    assert 0.05 <= passed < 0.06
    assert time.monotonic() - began >= 0.25


def test_time_stands_still_while_a_thread_works() -> None:
    async def work() -> float:
        loop = asyncio.get_running_loop()
        timer = asyncio.create_task(asyncio.sleep(3600.0))
        before = loop.time()
        await asyncio.to_thread(time.sleep, 0.02)
        stood = loop.time() - before
        assert not timer.done()
        await timer
        return stood

    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        assert runner.run(work()) < 1.0


# --- demo -----------------------------------------------------------------------------------------------


def test_the_demo_replaces_an_old_one_and_leaves_what_it_says(
    batcher: Batcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")  # as after scripts/demo: what it says to type next must be found
    Path("demo").mkdir()
    for name in (".batcher-demo", "wave.csv", "results.jsonl", "results.jsonl.journal", "ledger.jsonl"):
        Path("demo", name).write_text("of an old demo")
    ended = batcher("demo", "--fast")
    assert (ended.code, ended.out) == (0, "")
    lines = lines_of(Path("demo/results.jsonl"))
    statuses = [line["status"] for line in lines]
    assert len(lines) == 300
    assert {"created", "partial", "failed"} <= set(statuses)
    assert "unsettled" not in statuses
    assert any(line["recovered"] for line in lines)
    assert "none of them twice" in ended.err
    assert int(re.findall(r"(\d+) create requests in the busiest second of a project, of 25", ended.err)[0]) <= 25
    assert ended.err.index("export PATH=") < ended.err.index("batcher check ")
    for name in ("wave.csv", "results.jsonl", "results.jsonl.journal", "ledger.jsonl", "report.html"):
        assert Path("demo", name).stat().st_size > 0
    assert batcher("check", "demo/wave.csv", "--region", "eu-west-101").code == 0
    assert len({line["project_id"] for line in lines}) == 2


def test_the_demo_touches_nobodys_files(batcher: Batcher) -> None:
    Path("demo").mkdir()
    Path("demo/wave.csv").write_text("mine")
    ended = batcher("demo")
    assert ended.code == 2
    assert "files that are not a demo's" in ended.err
    assert Path("demo/wave.csv").read_text() == "mine"


# --- what holds it back ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "others"),
    [("--concurrency", ("--rate", "100/s", "--concurrency", 8)), ("--rate", ("--rate", "4/s"))],
)
def test_what_is_advised_makes_it_as_quick_as_was_said(
    batcher: Batcher, tmp_path: Path, option: str, others: tuple[object, ...]
) -> None:
    """The advice is reckoned from what was measured; whoever follows it gets what it promised."""
    manifest = write_manifest(tmp_path / "many.csv", [f"job-{number}" for number in range(150)])
    usual = ("rehearse", manifest, "--latency", "400ms", "--limit", "off", "--json")
    before = batcher(*usual, *others).json
    said = re.search(rf"{option} (\S+) would make it ([0-9.]+)s", before["advice"])
    assert said is not None, before["advice"]
    after = batcher(*usual, *others, option, said[1]).json
    assert after["duration_s"] == pytest.approx(float(said[2]), rel=0.25)
    assert after["duration_s"] < 0.7 * before["duration_s"]


def test_comparisons_that_may_run_at_once_are_told_as_what_holds_it_back(batcher: Batcher, manifest: Path) -> None:
    said = batcher("rehearse", manifest, "--max-running", "2", "--json").json
    assert "--max-running" in said["advice"]
    assert said["whole_duration_s"] > said["duration_s"] > 60


# --- what it takes, and what it refuses -----------------------------------------------------------------


def test_jobs_and_differences_are_those_of_the_simulator(batcher: Batcher, manifest: Path, tmp_path: Path) -> None:
    jobs = tmp_path / "fleet.json"
    jobs.write_text('[{"job_id": "job-7", "exists": false}]')
    differences = tmp_path / "differences.json"
    differences.write_text('[{"job_id": "job-3", "table": "items", "rows": 2}]')
    ended = batcher("rehearse", manifest, "--wait", "--jobs", jobs, "--differences", differences)
    assert ended.code == 1
    assert "1 failed: nothing was created" in ended.err
    assert "job job-3  rows: 1 of 2 tables differs: shop.items" in ended.err
    assert "its last verdict falls after" in ended.err
    assert "batcher-rehearsal-" not in ended.err  # nothing is kept, so no file of it is named


NOT_REHEARSED = ("proxy", "ca_bundle", "restart", "retry_failed", "look_first", "notify", "on_end")


@pytest.mark.parametrize("name", ALL)
def test_every_option_of_run_is_honoured_or_refused_by_name(batcher: Batcher, manifest: Path, name: str) -> None:
    flag = flag_name(name)
    if name not in NOT_REHEARSED:
        assert f"  {flag} " in batcher("rehearse", "--help-all").out
        return
    value = () if RunSettings.model_fields[name].annotation is bool else ("always",)
    refused = batcher("rehearse", manifest, flag, *value)
    assert refused.code == 2
    assert f"{flag} is for `batcher run`" in refused.err


def test_what_is_set_for_run_alone_is_left_out_and_said(batcher: Batcher, manifest: Path, tmp_path: Path) -> None:
    Path("batcher.toml").write_text(f'on_end = "touch {tmp_path}/told"\nretry_failed = true\n')
    ended = batcher("rehearse", manifest, "--latency", "0")
    assert ended.code == 0
    assert "a rehearsal leaves out retry_failed (batcher.toml, line 2), on_end (batcher.toml, line 1)" in ended.err
    assert not (tmp_path / "told").exists()
