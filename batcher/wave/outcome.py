"""From an entry's state to its result line."""

from datetime import datetime

from batcher.drs.create_compare_task import CreateCompareTaskResult
from batcher.drs.outcome import Half, Trouble
from batcher.wave.clocks import utc
from batcher.wave.life import EntryState, HalfState
from batcher.wave.plan import PlannedEntry
from batcher.wave.result import Result, Status


def result_of(
    entry: PlannedEntry, state: EntryState, status: Status, trouble: Trouble | None, finished_at: float
) -> Result:
    """The result of *entry*: *trouble* says what went wrong, None where nothing did."""
    return Result(
        key=entry.key,
        index=entry.index,
        job_id=entry.job_id,
        project_id=entry.scope.project_id,
        endpoint=entry.scope.endpoint,
        status=status,
        attempts=state.attempts,
        recovered=any(half.recovered for half in state.halves.values()),
        object_level_compare_create_result=_half(state.halves.get(Half.OBJECT)),
        data_level_compare_create_result=_half(state.halves.get(Half.DATA)),
        error_code=trouble.error_code if trouble else None,
        error_msg=trouble.error_msg if trouble else None,
        error_kind=trouble.kind if trouble else None,
        http_status=state.http_status,
        request_id=state.request_id,
        submitted_at=_moment(state.first_at),
        finished_at=utc(finished_at),
        labels=entry.labels,
    )


def _half(half: HalfState | None) -> CreateCompareTaskResult | None:
    if half is None or half.doubt:
        return None
    if half.made is not None:
        return CreateCompareTaskResult(compare_task_id=half.made)
    if half.trouble is not None:
        return CreateCompareTaskResult(error_code=half.trouble.error_code, error_msg=half.trouble.error_msg)
    return None


def _moment(at: float | None) -> datetime | None:
    return None if at is None else utc(at)
