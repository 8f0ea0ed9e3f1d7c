"""Watching against the simulated cloud, over real sockets and in virtual time: hours pass in an instant."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from batcher.clock import utc
from batcher.drs.v3.batch_status import READY
from batcher.follow.follower import FollowEnd
from batcher.follow.verdict import Verdict, VerdictLine
from batcher.follow.verdicts_file import VerdictsError, verdict_lines
from batcher.follow.watch_session import WatchSession
from batcher.life.result import Status
from batcher.rates import Rate
from batcher.settings import RunSettings
from batcher.simulator import results
from batcher.simulator.checks import QueryReq
from batcher.simulator.config import CloudConfig
from batcher.simulator.differences import Differences, SimulatedDifference
from batcher.simulator.faults import Script
from batcher.simulator.jobs import ExistingComparison, JobRule
from batcher.simulator.model import SimulatedCloud
from batcher.simulator.replies import Reply
from batcher.simulator.server import Simulator
from batcher.wave.stop import Stop, StopKind, Stopping
from tests.follow.cloud import (
    a_token,
    cloud,
    created,
    hurried,
    journal_beside_results,
    looks,
    loop_clock,
    within,
)
from tests.simulator import bodies

pytestmark = pytest.mark.virtual_time


def session(results: Path, settings: RunSettings | None = None, stopping: Stopping | None = None) -> WatchSession:
    stopping = stopping or Stopping()
    return WatchSession(results, settings or hurried(), stopping, credential_for=a_token, clock=loop_clock())


async def watched(results: Path, settings: RunSettings | None = None) -> tuple[FollowEnd, dict[str, VerdictLine]]:
    end = await session(results, settings).run()
    return end, {line.key: line for line in verdict_lines(end.verdicts)}


async def test_every_comparison_is_followed_to_its_end(tmp_path: Path) -> None:
    async with cloud() as sim:
        await created(sim, tmp_path / "r.jsonl", 5, object_level=True)
        end, lines = await watched(tmp_path / "r.jsonl")
    assert end.stop is None
    assert [lines[f"k{n}"].verdict for n in range(5)] == [Verdict.CONSISTENT] * 5
    line = lines["k0"]
    assert line.final
    assert line.object_level_compare_result is not None
    assert line.data_level_compare_result is not None
    assert line.data_level_compare_result.compare_task_status == "SUCCESSFUL"
    assert line.data_level_compare_result.counts is not None
    assert line.data_level_compare_result.counts.compared == 2
    assert line.data_level_compare_result.ended_at is not None


async def test_differences_have_names_and_counts(tmp_path: Path) -> None:
    rules = (
        SimulatedDifference(job_id="job-1", table="orders", rows=7),
        SimulatedDifference(job_id="job-2", object_type="VIEW", name="v_sales"),
    )
    async with cloud(differences=Differences(rules=rules)) as sim:
        await created(sim, tmp_path / "r.jsonl", 3, object_level=True)
        _, lines = await watched(tmp_path / "r.jsonl")
    assert [lines[f"k{n}"].verdict.value for n in range(3)] == ["consistent", "inconsistent", "inconsistent"]
    rows = lines["k1"].data_level_compare_result
    assert rows is not None
    (row,) = rows.differences
    assert (row.database, row.table, row.diff_count) == ("shop", "orders", 7)
    assert row.source_count is not None
    assert row.target_count == row.source_count - 7
    objects = lines["k2"].object_level_compare_result
    assert objects is not None
    assert [(one.object_type, one.source_value) for one in objects.differences] == [("VIEW", "v_sales")]


async def test_all_pages_of_details_are_read_where_something_differs(tmp_path: Path) -> None:
    tables = [f"t{n}" for n in range(73)]
    rules = (SimulatedDifference(table="t5", rows=1), SimulatedDifference(table="t72", rows=3))
    async with cloud(differences=Differences(rules=rules)) as sim:
        await created(sim, tmp_path / "r.jsonl", objects=[{"db_name": "shop", "table_name": tables}])
        _, lines = await watched(tmp_path / "r.jsonl")
    half = lines["k0"].data_level_compare_result
    assert half is not None
    assert half.counts is not None
    assert (half.counts.compared, half.counts.inconsistent, half.complete) == (73, 2, True)
    assert [one.table for one in half.differences] == ["t5", "t72"]


async def test_larger_pages_are_tried_where_small_ones_do_not_tell_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cloud that cuts the list of databases, too, tells of one database's tables only those of the first page."""
    whole = results._data_level

    def cut(*given: Any) -> dict[str, Any]:
        block, query = whole(*given), given[-1]
        return block | {"line_compare_details": results._cut(block["line_compare_details"], query)}

    monkeypatch.setattr(results, "_data_level", cut)
    tables = [f"t{n}" for n in range(73)]
    async with cloud(differences=Differences(rules=(SimulatedDifference(table="t72", rows=3),))) as sim:
        await created(sim, tmp_path / "r.jsonl", objects=[{"db_name": "shop", "table_name": tables}])
        _, lines = await watched(tmp_path / "r.jsonl")
    half = lines["k0"].data_level_compare_result
    assert half is not None
    assert (half.complete, [one.table for one in half.differences]) == (True, ["t72"])


async def test_both_halves_are_read_in_full_where_one_is_of_a_type_not_known_yet(tmp_path: Path) -> None:
    """Without a journal the first answer has the objects' results only; they have several pages themselves."""
    rules = tuple(SimulatedDifference(object_type="VIEW", name=f"v{n}") for n in range(25))
    quick = {"object_comparison": 1.0, "lines": 1.0, "contents": 1.0}
    async with cloud(differences=Differences(rules=rules), runs_s=quick) as sim:
        await created(sim, tmp_path / "r.jsonl", object_level=True)
        await asyncio.sleep(60)
        _, lines = await watched(tmp_path / "r.jsonl")
    objects, rows = lines["k0"].object_level_compare_result, lines["k0"].data_level_compare_result
    assert objects is not None
    assert rows is not None
    assert (len(objects.differences), objects.complete, rows.verdict) == (25, True, Verdict.CONSISTENT)


@pytest.mark.parametrize(
    ("ends", "verdict"),
    [("FAILED", "failed"), ("CANCELLED", "cancelled"), ("TIMEOUT_INTERRUPT", "timeout")],
)
async def test_other_endings(tmp_path: Path, ends: str, verdict: str) -> None:
    async with cloud(jobs=(JobRule(pattern="*", ends=ends),)) as sim:
        await created(sim, tmp_path / "r.jsonl")
        _, lines = await watched(tmp_path / "r.jsonl")
    assert lines["k0"].verdict.value == verdict
    assert lines["k0"].reason


async def test_a_comparison_that_somebody_cancels_is_said_to_be(tmp_path: Path) -> None:
    """A newer comparison of the job under `cancel` ends ours."""
    async with cloud() as sim:
        await created(sim, tmp_path / "r.jsonl")
        watching = asyncio.create_task(watched(tmp_path / "r.jsonl"))
        await asyncio.sleep(60)
        sim.service.cloud.create(sim.now, "p", bodies.create("job-0", policy="cancel"))
        _, lines = await watching
    assert lines["k0"].verdict is Verdict.CANCELLED
    assert "cancelled by someone else" in (lines["k0"].reason or "")


async def test_a_comparison_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    async with cloud() as sim:
        await created(sim, tmp_path / "r.jsonl")
        watching = asyncio.create_task(watched(tmp_path / "r.jsonl"))
        await asyncio.sleep(60)
        sim.service.cloud.job(sim.now, "p", "job-0").tasks.clear()
        _, lines = await watching
    assert lines["k0"].verdict is Verdict.UNKNOWN
    assert "someone deleted it" in (lines["k0"].reason or "")


@pytest.mark.parametrize("told", [[], None])
async def test_a_list_that_nobody_asked_for_and_that_is_empty_is_no_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[Any] | None
) -> None:
    """A cloud may leave blocks empty that were not asked for: what is asked about by its id is not gone for that."""
    whole = SimulatedCloud._listing

    def listing(self: SimulatedCloud, now: float, project_id: str, request_id: str, query: QueryReq) -> Reply:
        reply = whole(self, now, project_id, request_id, query)
        if not query.results:
            return reply
        empty = {"compare_task_list": told, "compare_task_list_count": 0}
        return replace(reply, body=orjson.dumps(orjson.loads(reply.body) | {"compare_task_list_results": empty}))

    monkeypatch.setattr(SimulatedCloud, "_listing", listing)
    async with cloud() as sim:
        await created(sim, tmp_path / "r.jsonl", 2, object_level=True)
        end, lines = await watched(tmp_path / "r.jsonl")
    assert end.stop is None
    assert [line.verdict for line in lines.values()] == [Verdict.CONSISTENT] * 2


async def test_all_jobs_together_keep_to_the_limit_of_look_ups(tmp_path: Path) -> None:
    rate = Rate(5, 1.0)
    async with cloud() as sim:
        await created(sim, tmp_path / "r.jsonl", 25)
        before = len(looks(sim))
        end, _ = await watched(tmp_path / "r.jsonl", hurried(read_rate=rate))
        seen = [look.at for look in looks(sim)[before:]]
    assert len(seen) == end.status.looks > 25
    assert within(seen, rate)


async def test_long_comparisons_are_looked_at_ever_more_seldom(tmp_path: Path) -> None:
    """Two and a half hours would be 1,800 looks at the shortest pause."""
    async with cloud(runs_s={"object_comparison": 60.0, "lines": 9_000.0, "contents": 9_000.0}) as sim:
        await created(sim, tmp_path / "r.jsonl")
        end, lines = await watched(tmp_path / "r.jsonl")
    assert lines["k0"].verdict is Verdict.CONSISTENT
    assert end.status.looks < 200


async def test_one_query_serves_both_halves(tmp_path: Path) -> None:
    async with cloud(runs_s={"object_comparison": 10.0, "lines": 10.0, "contents": 10.0}) as sim:
        await created(sim, tmp_path / "r.jsonl", object_level=True)
        await asyncio.sleep(60)
        end, lines = await watched(tmp_path / "r.jsonl")
    assert lines["k0"].verdict is Verdict.CONSISTENT
    # The type of the data-level half is not in a results file: it is learnt with the first look.
    assert end.status.looks == 2


async def test_a_start_in_the_future_is_not_looked_at_before(tmp_path: Path) -> None:
    """The journal beside the results tells the start."""
    async with cloud() as sim:
        made = await created(sim, tmp_path / "r.jsonl", start_in_s=7200)
        start = sim.now + 7200
        journal_beside_results(tmp_path / "r.jsonl", made, start_time=str(round(start * 1000)))
        before = len(looks(sim))
        _, lines = await watched(tmp_path / "r.jsonl")
        seen = [look.at for look in looks(sim)[before:]]
    assert min(seen) >= start - 1
    assert lines["k0"].verdict is Verdict.CONSISTENT


async def test_what_a_clock_ahead_of_ours_submitted_is_looked_at_all_the_same(tmp_path: Path) -> None:
    """Another machine sent it, or our clock was set back: the verdict is not to be late by what lies between them."""
    async with cloud() as sim:
        made = await created(sim, tmp_path / "r.jsonl")
        later = [one.model_copy(update={"submitted_at": utc(sim.now + 7200)}) for one in made]
        (tmp_path / "r.jsonl").write_bytes(b"".join(one.to_line() for one in later))
        before, began = len(looks(sim)), sim.now
        _, lines = await watched(tmp_path / "r.jsonl")
        seen = [look.at for look in looks(sim)[before:]]
    assert lines["k0"].verdict is Verdict.CONSISTENT
    assert min(seen) < began + 60


async def test_an_outage_is_waited_out(tmp_path: Path) -> None:
    async with cloud() as sim:
        await created(sim, tmp_path / "r.jsonl", 3)
        watching = asyncio.create_task(watched(tmp_path / "r.jsonl"))
        await asyncio.sleep(30)
        port, service = sim._port, sim.service
        await sim.close()
        await asyncio.sleep(1800)
        again = Simulator(service.config, port=port, clock=loop_clock().now)
        again.service = service
        async with again:
            end, lines = await watching
    assert end.stop is None
    assert {line.verdict for line in lines.values()} == {Verdict.CONSISTENT}


async def test_faults_of_single_looks_do_no_harm(tmp_path: Path) -> None:
    faults = Script(reads=("reset-before", "500-before", "throttled-told", "garbage", "truncated"))
    async with cloud(faults=faults) as sim:
        await created(sim, tmp_path / "r.jsonl", 4)
        _, lines = await watched(tmp_path / "r.jsonl")
    assert {line.verdict for line in lines.values()} == {Verdict.CONSISTENT}


@pytest.mark.parametrize("fault", ["500-before", "busy-202"])
async def test_a_job_that_is_never_answered_does_not_hold_the_watch_for_ever(tmp_path: Path, fault: str) -> None:
    """While other jobs are answered, it is the job and not the cloud."""
    faults = Script(reads=(fault,) * 500, jobs=frozenset({"job-0"}))
    async with cloud(faults=faults, jobs=(JobRule(pattern="job-1", runs_s=1_500_000),)) as sim:
        await created(sim, tmp_path / "r.jsonl", 2)
        end, lines = await watched(tmp_path / "r.jsonl", hurried(poll=600.0))
    assert end.stop is None
    assert lines["k0"].verdict is Verdict.UNKNOWN
    assert "its results could not be read" in (lines["k0"].reason or "")
    assert lines["k1"].verdict is Verdict.CONSISTENT


async def test_a_watch_that_was_stopped_goes_on(tmp_path: Path) -> None:
    """Those that had ended are not asked about again; the others have lines that are not final."""
    rules = (JobRule(pattern="job-1", runs_s=7200),)
    async with cloud(jobs=rules) as sim:
        await created(sim, tmp_path / "r.jsonl", 2)
        stopping = Stopping()
        first = session(tmp_path / "r.jsonl", stopping=stopping)
        watching = asyncio.create_task(first.run())
        await asyncio.sleep(1800)
        stopping.stop(Stop(StopKind.SIGTERM, "SIGTERM received"))
        end = await watching
        lines = {line.key: line for line in verdict_lines(end.verdicts)}
        assert end.stop == Stop(StopKind.SIGTERM, "SIGTERM received")
        assert [lines[key].final for key in ("k0", "k1")] == [True, False]
        assert "still RUNNING" in (lines["k1"].reason or "")
        before = len(looks(sim))
        _, lines = await watched(tmp_path / "r.jsonl")
        assert {look.job_id for look in looks(sim)[before:]} == {"job-1"}
    assert [lines[key].verdict.value for key in ("k0", "k1")] == ["consistent", "consistent"]
    assert all(line.final for line in lines.values())


async def test_the_time_for_watching_can_be_limited(tmp_path: Path) -> None:
    async with cloud(runs_s={"lines": 36_000.0, "object_comparison": 1.0, "contents": 1.0}) as sim:
        await created(sim, tmp_path / "r.jsonl")
        end, lines = await watched(tmp_path / "r.jsonl", hurried(watch_timeout=600.0))
    assert end.stop == Stop(StopKind.WATCH_TIMEOUT, "--watch-timeout 10m is over")
    assert (lines["k0"].verdict, lines["k0"].final) == (Verdict.UNKNOWN, False)


async def test_two_watches_do_not_write_to_one_file(tmp_path: Path) -> None:
    async with cloud() as sim:
        await created(sim, tmp_path / "r.jsonl")
        watching = asyncio.create_task(watched(tmp_path / "r.jsonl"))
        await asyncio.sleep(10)
        with pytest.raises(VerdictsError, match="another batcher follows these results"):
            await watched(tmp_path / "r.jsonl")
        await watching


async def test_what_was_not_created_has_a_line_too(tmp_path: Path) -> None:
    async with cloud() as sim:
        (one,) = await created(sim, tmp_path / "r.jsonl")
        refused = one.model_copy(
            update={
                "key": "k9",
                "index": 9,
                "status": Status.FAILED,
                "error_msg": "no such job",
                "data_level_compare_create_result": None,
            }
        )
        with (tmp_path / "r.jsonl").open("ab") as file:
            file.write(refused.to_line())
        _, lines = await watched(tmp_path / "r.jsonl")
    assert (lines["k9"].verdict, lines["k9"].final) == (Verdict.UNKNOWN, True)
    assert lines["k9"].reason == "nothing was created (failed): no such job"


async def test_a_credential_that_is_refused_ends_the_watch_of_its_scope(tmp_path: Path) -> None:
    async with cloud(CloudConfig(denied=frozenset({"query-compare-result"}))) as sim:
        await created(sim, tmp_path / "r.jsonl", 30)
        before = len(looks(sim))
        end, lines = await watched(tmp_path / "r.jsonl")
        asked = len(looks(sim)) - before
    assert list(end.halted) == [(sim.url, "p")]
    assert asked <= 20  # those that were under way
    assert all(not line.final for line in lines.values())


async def test_comparisons_of_others_in_the_list_are_not_ours(tmp_path: Path) -> None:
    """A job with a long history: ours is found behind many newer ones, on a later page of the list."""
    history = tuple(
        ExistingComparison(compare_type="object_comparison", status="SUCCESSFUL", age_s=n) for n in range(25)
    )
    async with cloud(jobs=(JobRule(pattern="*", status=READY, existing=history),)) as sim:
        await created(sim, tmp_path / "r.jsonl")
        job = sim.service.cloud.job(sim.now, "p", "job-0")
        job.tasks.insert(0, job.tasks.pop())  # ours becomes the oldest
        _, lines = await watched(tmp_path / "r.jsonl")
    assert lines["k0"].verdict is Verdict.CONSISTENT


async def test_lines_stand_in_the_file_as_soon_as_they_fall(tmp_path: Path) -> None:
    rules = (JobRule(pattern="job-1", runs_s=7200),)
    async with cloud(jobs=rules) as sim:
        await created(sim, tmp_path / "r.jsonl", 2)
        watching = asyncio.create_task(watched(tmp_path / "r.jsonl"))
        await asyncio.sleep(1200)
        (only,) = (tmp_path / "r.verdicts.jsonl").read_bytes().splitlines()
        assert orjson.loads(only)["key"] == "k0"
        await watching
