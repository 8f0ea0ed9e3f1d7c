"""The entries as the page's scripts get them: JSON, in pieces, so that it is never held as one text."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import orjson

from batcher.follow.verdict import Verdict
from batcher.gate.evaluator import EvaluatedEntry
from batcher.life.result import Status
from batcher.report.gather import task_id
from batcher.report.page_data import PageData, PageRow
from batcher.report.state import ReviewState
from batcher.report.tally import code_of, said_of

STATUS_TONES: Mapping[Status | None, str] = {
    Status.CREATED: "good",
    Status.PARTIAL: "warn",
    Status.FAILED: "bad",
    Status.UNSETTLED: "doubt",
    Status.INVALID: "bad",
    Status.NOT_SUBMITTED: "warn",
    None: "warn",
}
VERDICT_TONES: Mapping[Verdict | None, str] = {
    Verdict.CONSISTENT: "good",
    Verdict.INCONSISTENT: "bad",
    Verdict.FAILED: "bad",
    Verdict.TIMEOUT: "warn",
    Verdict.CANCELLED: "warn",
    Verdict.UNKNOWN: "doubt",
    None: "idle",
}

# Columns whose texts repeat hold numbers: places in the pool, where each text stands once.
_POOLED = (
    *("wave", "project_id", "endpoint", "status", "verdict", "state", "verdict_reason", "why", "error_kind"),
    *("error_code", "code", "said", "error_msg", "accepted", "labels"),
)
_COLUMNS = (
    *("wave", "index", "key", "job_id", "project_id", "endpoint", "status", "verdict", "state", "verdict_reason"),
    *("why", "attempts", "recovered", "object_level_compare_task_id", "data_level_compare_task_id"),
    *(
        "error_kind",
        "error_code",
        "code",
        "said",
        "error_msg",
        "http_status",
        "request_id",
        "submitted_at",
        "finished_at",
    ),
    *("took_s", "labels", "accepted", "earlier"),
)
_OF_LINE = (
    *("key", "job_id", "project_id", "endpoint", "status"),
    *("attempts", "recovered", "error_kind", "error_code", "error_msg", "http_status", "request_id"),
    *("submitted_at", "finished_at"),
)


def payload(data: PageData) -> Iterator[str]:
    """The list's entries as JSON that may stand in a script element."""
    return map(_in_script, _payload(data))


def _in_script(json: str) -> str:
    return json.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _payload(data: PageData) -> Iterator[str]:
    pool: dict[Any, int] = {}
    names = [wave.called for wave in data.waves]
    yield '{"rows":['
    for number, row in enumerate(data.listed()):
        values = _values(row, names)
        cells = [pool.setdefault(values[name], len(pool)) if name in _POOLED else values[name] for name in _COLUMNS]
        yield ("," if number else "") + orjson.dumps(cells).decode()
    rest = {
        "columns": _COLUMNS,
        "pooled": _POOLED,
        "pool": list(pool),
        "tones": {
            "status": {str(status or "no_result"): tone for status, tone in STATUS_TONES.items()},
            "verdict": {str(verdict or ""): tone for verdict, tone in VERDICT_TONES.items()},
        },
        "states": [state.value for state in ReviewState],
        "grave": [state.value for state in ReviewState if state.grave],
        "files": [wave.typed for wave in data.waves],
    }
    yield "]," + orjson.dumps(rest).decode()[1:]


def _values(row: PageRow, names: list[str]) -> dict[str, Any]:
    line = row.line or {}
    return {
        **{name: line.get(name) for name in _OF_LINE},
        "wave": row.wave,
        "index": row.index,
        "state": row.state.value,
        "object_level_compare_task_id": task_id(line, "object_level_compare_create_result") if line else None,
        "data_level_compare_task_id": task_id(line, "data_level_compare_create_result") if line else None,
        "code": code_of(line) if line else None,
        "said": said_of(line) if line and line["status"] != Status.CREATED else None,
        "took_s": _took(line) if line else None,
        "labels": tuple(line["labels"].items()) if line else (),
        "verdict": Verdict.CONSISTENT.value if row.state is ReviewState.CONSISTENT else None,
        "verdict_reason": None,
        "why": None,
        "accepted": None,
        "earlier": [
            [names[wave], run.status and run.status.value, run.verdict and run.verdict.verdict.value]
            for wave, run in row.earlier
        ]
        or None,
        **(_of_evaluated(row.evaluated, row.state) if row.evaluated is not None else {}),
    }


def _of_evaluated(evaluated: EvaluatedEntry, state: ReviewState) -> dict[str, Any]:
    latest, blocker = evaluated.latest, evaluated.blocker
    verdict = latest.verdict
    told = blocker is not None and latest.status in (None, Status.CREATED) and state is not ReviewState.CREATED
    return {
        "key": latest.key,
        "job_id": latest.job_id,
        "project_id": latest.scope[1],
        "endpoint": latest.scope[0],
        "status": latest.status and latest.status.value,
        "verdict": verdict and verdict.verdict.value,
        "verdict_reason": verdict and verdict.reason,
        "why": blocker.why if blocker is not None and told else None,
        "accepted": "; ".join(dict.fromkeys(passed.acceptance.reason for passed in evaluated.passed)) or None,
    }


def _took(line: Mapping[str, Any]) -> float | None:
    """Seconds from an entry's first request to its result."""
    began, ended = line["submitted_at"], line["finished_at"]
    if not (isinstance(began, str) and isinstance(ended, str)):
        return None
    return round((datetime.fromisoformat(ended) - datetime.fromisoformat(began)).total_seconds(), 3)
