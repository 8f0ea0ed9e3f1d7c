"""Values that tests of following begin with."""

from datetime import UTC, datetime
from typing import Any

from batcher.drs.create_compare_task import CreateCompareTaskResult
from batcher.follow.verdict import Counts, Difference, HalfVerdict, Verdict, VerdictLine
from batcher.wave.result import Result, Status

AT = datetime(2026, 11, 25, 2, 0, tzinfo=UTC)


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
