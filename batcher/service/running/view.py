"""A wave as it is told: what is kept of it, and where it stands while it runs. Pure."""

from collections.abc import Mapping
from typing import Any

from batcher.clock import utc
from batcher.follow.follower import FollowStatus
from batcher.follow.verdict import Verdict
from batcher.life.result import Status, rfc3339
from batcher.service.kept.register import WaveRow
from batcher.wave.status import ScopeStatus, WaveStatus


def wave_told(row: WaveRow, status: WaveStatus | None = None, following: FollowStatus | None = None) -> dict[str, Any]:
    """The wave *row* as plain data, with its *status* and that of its *following* where it is open. See `WaveModel`."""
    verdicts = row.verdicts if following is None else {v.value: n for v, n in following.verdicts.items()}
    return {
        "id": row.id,
        "name": row.name,
        "state": row.state.value,
        "entries": row.entries,
        "counts": counts_of(row, status),
        "verdicts": {verdict.value: verdicts.get(verdict.value, 0) for verdict in Verdict},
        "digest": row.digest,
        "priority": row.priority,
        "submitted_by": row.submitted_by,
        "approved_by": row.approved_by,
        "needs_approval": not row.is_approved,
        "created_at": time_told(row.created_at),
        "started_at": time_told(row.started_at),
        "ended_at": time_told(row.ended_at),
        "rate_per_s": 0.0 if status is None else round(status.rate_per_s, 3),
        "eta_s": None if status is None or status.eta_s is None else round(status.eta_s, 1),
        "exit_code": row.exit_code,
        "reason": row.reason,
        "scopes": list(_scopes(row, status)),
    }


def counts_of(row: WaveRow, status: WaveStatus | None) -> dict[str, int]:
    """Entries by status."""
    if status is None:
        return {name.value: row.counts.get(name.value, 0) for name in Status}
    return {name.value: getattr(status, name.value) for name in Status}


def time_told(moment: float | None) -> str | None:
    """Unix seconds as RFC 3339."""
    return None if moment is None else rfc3339(utc(moment))


def _scopes(row: WaveRow, status: WaveStatus | None) -> list[Mapping[str, Any]]:
    if status is not None:
        return [_scope(scope) for scope in status.scopes]
    return [
        {
            "endpoint": endpoint,
            "project_id": project_id or None,
            "entries": entries,
            "settled": _settled(row, endpoint, project_id),
            "in_flight": 0,
            "rate": None,
            "paused_until_s": None,
            "reason": None,
        }
        for endpoint, project_id, entries in row.scopes
    ]


def _settled(row: WaveRow, endpoint: str, project_id: str) -> int:
    """How many entries of a scope were settled when the wave came to rest; *project_id* "": whichever IAM named."""
    named = {project for there, project, _ in row.scopes if there == endpoint and project}
    return sum(
        count
        for there, project, count in row.settled
        if there == endpoint and (project == project_id if project_id else project not in named)
    )


def _scope(scope: ScopeStatus) -> Mapping[str, Any]:
    return {
        "endpoint": scope.endpoint,
        "project_id": scope.project_id,
        "entries": scope.entries,
        "settled": scope.settled,
        "in_flight": scope.in_flight,
        "rate": scope.rate_text,
        "paused_until_s": None if scope.paused_until_s is None else round(scope.paused_until_s, 1),
        "reason": scope.reason,
    }
