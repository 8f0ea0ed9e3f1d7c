"""Made-up waves for the report's tests: a journal, results and verdicts as `run` and `watch` leave them."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from batcher.drs.outcome import ErrorKind, Fate, Half, Made, Trouble
from batcher.drs.v3.create_compare_task import (
    CompareObjectInfo,
    CreateCompareTaskReq,
    CreateDataLevelCompareReq,
)
from batcher.follow.verdict import Counts, Difference, HalfVerdict, Verdict, VerdictLine
from batcher.journal.files import WaveFiles
from batcher.journal.ops import Happened, Op, Settled
from batcher.journal.sqlite.keeper import SqliteKeeper
from batcher.life.entry import PlannedEntry, Scope
from batcher.life.events import Answered, Intended
from batcher.life.result import CreateCompareTaskResult, Result, Status

BEGAN = datetime(2026, 3, 1, 1, 30, tzinfo=UTC)
SCOPES = (
    Scope(0, "https://drs.eu-west-101.myhuaweicloud.eu", "0a1b2c3d4e5f"),
    Scope(1, "https://drs.ap-southeast-1.myhuaweicloud.com", "99ffeeddccbb"),
)
THROTTLED = Trouble(fate=Fate.TURNED_AWAY, kind=ErrorKind.THROTTLED, error_code="APIGW.0308", error_msg="slow down")


def write_wave(
    results: Path,
    entries: int,
    *,
    seed: int = 1,
    journal: bool = True,
    verdicts: bool = True,
    after: timedelta = timedelta(),
) -> None:
    """Write a wave of *entries* entries: most are created, every status and verdict occurs from about 100 on.

    It began *after* the others, whose first entries it has once more.
    """
    rng = random.Random(seed)
    found = list(_results(entries, rng, BEGAN + after))
    results.write_bytes(b"".join(result.to_line() for result in found))
    if journal:
        _write_journal(WaveFiles.of(results).journal, found, rng)
    if verdicts:
        WaveFiles.of(results).verdicts.write_bytes(b"".join(_verdict(result, rng).to_line() for result in found))


def _results(entries: int, rng: random.Random, first: datetime) -> Iterator[Result]:
    grave = [Status.PARTIAL, Status.FAILED, Status.UNSETTLED, Status.NOT_SUBMITTED]
    for index in range(entries):
        status = rng.choice(grave) if rng.random() < 0.05 else Status.CREATED
        scope = SCOPES[index % 7 == 0]
        began = first + timedelta(seconds=index / 10)
        trouble = _TROUBLES[status]
        sent = status is not Status.NOT_SUBMITTED
        made = CreateCompareTaskResult(compare_task_id=f"cmp-{index:06}-data")
        yield Result(
            key=f"wave-7/{index:06}",
            index=index,
            job_id=f"{index * 2654435761 % 2**32:08x}-77aa-4bcd-9eef-000000jb{100 + index % 900}",
            project_id=scope.project_id,
            endpoint=scope.endpoint,
            status=status,
            attempts=rng.choice([1, 1, 1, 1, 1, 2, 3]) if sent else 0,
            recovered=status is Status.CREATED and rng.random() < 0.01,
            object_level_compare_create_result=None,
            data_level_compare_create_result=made if status in (Status.CREATED, Status.PARTIAL) else None,
            error_code=trouble and trouble.error_code,
            error_msg=trouble and trouble.error_msg,
            error_kind=trouble and trouble.kind,
            http_status=200 if sent else None,
            request_id=f"req-{index:08x}" if sent else None,
            submitted_at=began if sent else None,
            finished_at=began + timedelta(seconds=rng.expovariate(2)),
            labels={"source": f"mysql-{index % 12:02}", "team": rng.choice(["orders", "billing"])},
        )


_TROUBLES = {
    Status.CREATED: None,
    Status.PARTIAL: Trouble(
        fate=Fate.REFUSED,
        kind=ErrorKind.STATE,
        error_code="DRS.M00304",
        error_msg="The task status does not allow it.",
    ),
    Status.FAILED: Trouble(
        fate=Fate.REFUSED,
        kind=ErrorKind.NOT_FOUND,
        error_code="DRS.M05003",
        error_msg="No such job: <b>&\"'.",
    ),
    Status.UNSETTLED: Trouble(
        fate=Fate.MAYBE,
        kind=ErrorKind.TIMEOUT,
        error_msg="no answer within 60 s; the request may have been taken",
    ),
    Status.NOT_SUBMITTED: Trouble(fate=Fate.NOT_RECEIVED, kind=ErrorKind.STOPPED, error_msg="the wave was stopped"),
}


def _verdict(result: Result, rng: random.Random) -> VerdictLine:
    verdict = Verdict.UNKNOWN
    half = None
    if result.status in (Status.CREATED, Status.PARTIAL):
        verdict = Verdict.CONSISTENT if rng.random() < 0.95 else rng.choice(list(Verdict))
        tables = 12
        bad = 2 if verdict is Verdict.INCONSISTENT else 0
        half = HalfVerdict(
            compare_task_id=f"cmp-{result.index:06}-data",
            compare_type="lines",
            compare_task_status="SUCCESSFUL",
            verdict=verdict,
            counts=Counts(compared=tables, consistent=tables - bad, inconsistent=bad),
            complete=True,
            differences=tuple(_difference(result.index, place) for place in range(bad)),
            reason=f"{bad} of {tables} tables differ" if bad else None,
            started_at=result.submitted_at,
            ended_at=result.finished_at,
        )
    return VerdictLine(
        key=result.key,
        index=result.index,
        job_id=result.job_id,
        project_id=result.project_id,
        endpoint=result.endpoint,
        status=result.status,
        verdict=verdict,
        final=True,
        object_level_compare_result=None,
        data_level_compare_result=half,
        reason=half and half.reason,
        decided_at=BEGAN + timedelta(hours=1),
        labels=result.labels,
    )


def _difference(index: int, place: int) -> Difference:
    return Difference(
        object_type="TABLE",
        database=f"shop{index % 3}",
        table=("orders", "=order_items")[place],
        target_database=f"shop{index % 3}",
        target_table=("orders", "=order_items")[place],
        result="INCONSISTENT",
        source_count=120_000 + index,
        target_count=119_998 + index,
        diff_count=2,
        source_value=None,
        target_value=None,
        message=None,
    )


def _write_journal(path: Path, results: list[Result], rng: random.Random) -> None:
    keeper = SqliteKeeper(path)
    record = keeper.wave()
    with record.planning() as plan:
        for scope in SCOPES:
            plan.add_scope(scope)
        plan.add_entries(_planned(result) for result in results)
        plan.finish(
            {
                "batcher": "0.1.0",
                "begun_at": BEGAN.isoformat(),
                "manifest": "wave-7.csv",
                "digest": "sha256:" + "ab" * 32,
                "command": "batcher run wave-7.csv -o results.jsonl --rate 10/s",
                "settings": {"rate": "10/s", "concurrency": 16},
            }
        )
    pending: list[Op] = []
    for place, result in enumerate(results):
        ops: list[Op] = []
        at = result.submitted_at.timestamp() if result.submitted_at else 0.0
        for attempt in range(result.attempts):
            last = attempt == result.attempts - 1
            ops += _attempt(result, at + 4.0 * attempt, None if last else THROTTLED if rng.random() < 0.3 else _MAYBE)
        ops.append(Settled(index=result.index, status=result.status, line=result.to_line()))
        pending += ops
        if len(pending) > 2000 or place == len(results) - 1:
            record.commit(pending)
            pending = []
    keeper.close()


_MAYBE = Trouble(fate=Fate.NOT_RECEIVED, kind=ErrorKind.NETWORK, error_msg="connection refused")


_LINES = CreateDataLevelCompareReq(
    conflict_policy="keep", compare_type="lines", compare_object_infos=[CompareObjectInfo(db_name="shop")]
)


def _planned(result: Result) -> PlannedEntry:
    assert result.job_id is not None
    return PlannedEntry(
        index=result.index,
        line=result.index + 2,
        key=result.key,
        scope=SCOPES[result.index % 7 == 0],
        job_id=result.job_id,
        body=CreateCompareTaskReq(job_id=result.job_id, data_level_compare_info=_LINES).to_wire(),
        x_language=None,
        labels=result.labels,
    )


def _attempt(result: Result, at: float, trouble: Trouble | None) -> Iterator[Op]:
    yield Happened(index=result.index, event=Intended(at=at, asked=frozenset({Half.DATA})))
    yield Happened(
        index=result.index,
        event=Answered(
            at=at + 0.2,
            sent_at=at,
            halves={Half.DATA: trouble or Made(f"cmp-{result.index:06}-data")},
            http_status=200,
            request_id=f"req-{result.index:08x}",
        ),
    )
