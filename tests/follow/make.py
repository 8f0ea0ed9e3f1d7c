"""Values that tests of following begin with."""

from datetime import UTC, date, datetime
from itertools import count
from typing import Any

from hypothesis import strategies as st

from batcher.follow.verdict import Counts, Difference, HalfVerdict, Verdict, VerdictLine
from batcher.gate.accepted import Acceptance
from batcher.gate.result import WaveEntry
from batcher.life.result import CreateCompareTaskResult, Result, Status

AT = datetime(2026, 11, 25, 2, 0, tzinfo=UTC)
TODAY = date(2026, 11, 25)


def difference(table: str | None = "orders", database: str | None = "shop", **changes: Any) -> Difference:
    """A table whose rows differ by two."""
    return Difference(
        **{
            "object_type": "TABLE",
            "database": database,
            "table": table,
            "target_database": database,
            "target_table": table,
            "result": "INCONSISTENT",
            "source_count": 1000,
            "target_count": 998,
            "diff_count": 2,
            "source_value": None,
            "target_value": None,
            "message": None,
            **changes,
        }
    )


def half(*differences: Difference, **changes: Any) -> HalfVerdict:
    """A row comparison of three tables that ended; consistent where no difference is given."""
    differ = len(differences)
    return HalfVerdict(
        **{
            "compare_task_id": "task-1",
            "compare_type": "lines",
            "compare_task_status": "SUCCESSFUL",
            "verdict": Verdict.INCONSISTENT if differ else Verdict.CONSISTENT,
            "counts": Counts(compared=3 + differ, consistent=3, inconsistent=differ),
            "differences": differences,
            "complete": True,
            "reason": "it differs" if differ else None,
            "started_at": AT,
            "ended_at": AT,
            **changes,
        }
    )


def line(data: HalfVerdict | None = None, **changes: Any) -> VerdictLine:
    """A verdict line with one data-level half, consistent unless told otherwise."""
    data = data or half()
    return VerdictLine(
        **{
            "key": "k1",
            "index": 0,
            "job_id": "job-1",
            "project_id": "p",
            "endpoint": "https://drs.example.com",
            "status": Status.CREATED,
            "verdict": data.verdict,
            "final": True,
            "object_level_compare_result": None,
            "data_level_compare_result": data,
            "reason": data.reason,
            "decided_at": AT,
            "labels": {},
            **changes,
        }
    )


def result(index: int = 0, *, object_id: str | None = None, data_id: str | None = "task-1", **changes: Any) -> Result:
    """The result of an entry for which the named comparisons were created."""
    made = [
        None if task_id is None else CreateCompareTaskResult(compare_task_id=task_id)
        for task_id in (object_id, data_id)
    ]
    return Result(
        **{
            "key": f"k{index}",
            "index": index,
            "job_id": f"job-{index}",
            "project_id": "p",
            "endpoint": "http://127.0.0.1:1",
            "status": Status.CREATED,
            "attempts": 1,
            "recovered": False,
            "object_level_compare_create_result": made[0],
            "data_level_compare_create_result": made[1],
            "error_code": None,
            "error_msg": None,
            "error_kind": None,
            "http_status": 200,
            "request_id": "r",
            "submitted_at": AT,
            "finished_at": AT,
            "labels": {},
            **changes,
        }
    )


places = count()


def waved(verdict: VerdictLine | None, **changes: Any) -> WaveEntry:
    return WaveEntry(
        **{
            "file": "wave.jsonl",
            "index": next(places),
            "key": verdict.key if verdict else "k1",
            "job_id": "job-1",
            "scope": ("https://drs.example.com", "p"),
            "status": Status.CREATED,
            "verdict": verdict,
            "finished_at": AT,
            **changes,
        }
    )


def accept(table: str = "orders", *, line: int = 2, expires: date = TODAY, job_id: str = "job-1") -> Acceptance:
    return Acceptance(line=line, job_id=job_id, database="shop", table=table, reason="known", expires=expires)


def waved_entries() -> st.SearchStrategy[list[WaveEntry]]:
    """Entries as they may stand at the gate, of every status and verdict, each with a key of its own."""
    halves = st.builds(
        lambda differs, **changes: half(*[difference()] * differs, **changes),
        st.booleans(),
        compare_task_status=st.sampled_from(["SUCCESSFUL", "TIMEOUT_INTERRUPT", "CANCELLED"]),
        complete=st.booleans(),
    )
    lines = st.builds(line, halves, final=st.booleans())
    entries = st.builds(
        lambda verdict, status, key: waved(verdict, status=status, key=key),
        st.none() | lines | st.just(line()),
        st.sampled_from([Status.CREATED] * 5 + [*Status, None]),
        st.uuids(),
    )
    return st.lists(entries, max_size=6)
