"""A wave that began well: 25,000 lines of results and of verdicts, of which the last are the first with errors."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from batcher.follow.verdict import Counts, Difference, HalfVerdict, Verdict, VerdictLine
from batcher.life.result import CreateCompareTaskResult, Result, Status

ENTRIES, FAILED = 25_000, 50
_AT = datetime(2026, 11, 1, 10, tzinfo=UTC)
_LATE = {"Team": "b", "day": "2026-01-01", "007": "1e5", "late.label": "NULL"}


def results() -> Iterator[dict[str, Any]]:
    """The result lines. Keys and ids look like numbers, as they may."""
    made = CreateCompareTaskResult(compare_task_id="0123")
    refused = CreateCompareTaskResult(error_code="2026-11-01", error_msg="no such job")
    first = Result(
        key="", index=0, job_id="", project_id="0123", endpoint="https://drs.example.com", status=Status.CREATED,
        attempts=1, recovered=False, object_level_compare_create_result=None, data_level_compare_create_result=made,
        error_code=None, error_msg=None, error_kind=None, http_status=None, request_id=None, submitted_at=None,
        finished_at=_AT, labels={},
    ).model_dump(mode="json")  # fmt: skip
    last = {
        "status": "failed",
        "object_level_compare_create_result": refused.model_dump(),
        "data_level_compare_create_result": refused.model_dump(),
        **{"error_code": "2026-11-01", "error_msg": "no such job", "error_kind": "not_found", "http_status": 404},
        **{"request_id": "00e1", "submitted_at": first["finished_at"], "labels": _LATE},
    }
    for index in range(ENTRIES):
        line = {**first, **(last if _is_late(index) else {"labels": {"team": "a"}})}
        yield {**line, "index": index, "key": f"{index}e5" if index % 2 else f"{index:016}", "job_id": f"{index:032}"}


def verdicts() -> Iterator[dict[str, Any]]:
    """The verdict lines."""
    counts = Counts(compared=1, consistent=1)
    agrees = HalfVerdict(
        compare_task_id="0123", compare_type="lines", compare_task_status="SUCCESSFUL", verdict=Verdict.CONSISTENT,
        counts=counts, differences=(), complete=True, reason=None, started_at=None, ended_at=None,
    )  # fmt: skip
    difference = Difference(
        object_type="TABLE", database="shop", table="0123", target_database="shop", target_table="0123",
        result="INCONSISTENT", source_count=2**53 + 1, target_count=1, diff_count=None, source_value=None,
        target_value=None, message="rows differ",
    )  # fmt: skip
    differs = agrees.model_copy(
        update={"verdict": Verdict.INCONSISTENT, "differences": (difference,), "ended_at": _AT, "reason": "1 differs"}
    )
    halves = {}
    for late, half, reason in ((False, agrees, None), (True, differs, "1 table differs")):
        halves[late] = VerdictLine(
            key="", index=0, job_id="", project_id="0123", endpoint="https://drs.example.com", status=Status.CREATED,
            verdict=half.verdict, final=True, object_level_compare_result=half if late else None,
            data_level_compare_result=half, reason=reason, decided_at=_AT, labels=_LATE if late else {},
        ).model_dump(mode="json")  # fmt: skip
    for index in range(ENTRIES):
        yield {**halves[_is_late(index)], "index": index, "key": f"{index}e5", "job_id": f"{index:032}"}


def _is_late(index: int) -> bool:
    return index >= ENTRIES - FAILED


def write(path: Path, lines: Iterator[dict[str, Any]]) -> None:
    """Write *lines* to *path* as batcher does."""
    path.write_bytes(b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines))
