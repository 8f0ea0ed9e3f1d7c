"""A wave as the service tells it, in the terms in which a wave that runs here tells of itself."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from batcher.follow.follower import FollowEnd, FollowStatus
from batcher.follow.verdict import Verdict
from batcher.life.result import Status
from batcher.wave.engine import WaveEnd
from batcher.wave.status import ScopeStatus, WaveStatus
from batcher.wave.stop import Stop, StopKind

Told = Mapping[str, Any]


def status_of(told: Told, now: float) -> WaveStatus:
    """The wave's status; *now* is Unix seconds. What the service does not tell is 0."""
    counts = {status.value: told["counts"].get(status.value, 0) for status in Status}
    state, reason = told["state"], told["reason"]
    return WaveStatus(
        entries=told["entries"],
        **counts,
        in_flight=sum(scope["in_flight"] for scope in told["scopes"]),
        elapsed_s=_elapsed_s(told, now),
        rate_per_s=told["rate_per_s"],
        eta_s=told["eta_s"],
        stopping=reason or "stopped" if state == "stopping" else None,
        scopes=tuple(_scope(scope, reason if state == "paused" else None) for scope in told["scopes"]),
    )


def _scope(told: Told, reason: str | None) -> ScopeStatus:
    return ScopeStatus(
        endpoint=told["endpoint"],
        project_id=told["project_id"] or "",
        entries=told["entries"],
        settled=told["settled"],
        in_flight=told["in_flight"],
        rate_text=told["rate"] or "off",
        paused_until_s=told["paused_until_s"] if told["paused_until_s"] is not None or reason is None else 0.0,
        reason=told["reason"] or reason,
    )


def _elapsed_s(told: Told, now: float) -> float:
    began, ended = told["started_at"], told["ended_at"]
    if began is None:
        return 0.0
    until = now if ended is None else datetime.fromisoformat(ended).timestamp()
    return max(0.0, until - datetime.fromisoformat(began).timestamp())


def stop_of(told: Told) -> Stop | None:
    """Why the wave, which is over, ended before its last entry or verdict; None where it did not."""
    if told["state"] != "stopped":
        return None
    return Stop(StopKind.ASKED, (told["reason"] or "it was stopped").rstrip("."))


def end_of(told: Told, now: float) -> WaveEnd:
    """How the wave ended, which is over."""
    return WaveEnd(stop=stop_of(told), halted={}, status=status_of(told, now), unrecorded=())


def follow_end_of(told: Told, verdicts: Path | None = None) -> FollowEnd:
    """How its following ended, with the wave; *verdicts* are its lines on this side, where they are here."""
    status = follow_status_of(told) or FollowStatus(entries=0, verdicts={}, running=0, looks=0, silent=False)
    return FollowEnd(verdicts=verdicts or Path(), status=status, stop=stop_of(told), halted={})


def follow_status_of(told: Told) -> FollowStatus | None:
    """The status of the following of its comparisons; None before the first verdict, or where none is followed."""
    verdicts = {verdict: told["verdicts"].get(verdict.value, 0) for verdict in Verdict}
    created = told["counts"].get(Status.CREATED.value, 0) + told["counts"].get(Status.PARTIAL.value, 0)
    decided = sum(verdicts.values())
    if not decided:
        return None
    return FollowStatus(
        entries=max(created, decided),
        verdicts=verdicts,
        running=max(0, created - decided),
        looks=0,
        silent=False,
    )
