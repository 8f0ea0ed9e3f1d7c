"""What may be done with a wave in which state, and what state it is in then. Pure."""

from collections.abc import Callable, Mapping
from typing import Any

from batcher.follow.verdict import Verdict
from batcher.life.result import Status
from batcher.service import approval
from batcher.service.kept.register import WaveRow
from batcher.service.models import State
from batcher.service.problem import Problem
from batcher.service.roles import Who

BUT = "; "  # between who asked for a pause or stop and what is in its way; no name has it
_UNDER_WAY = (State.QUEUED, State.RUNNING, State.PAUSED, State.STOPPING)


def approved(row: WaveRow, who: Who, digest: str) -> dict[str, Any]:
    """What changes when *who* approves the manifest with *digest*. Raises `Problem`."""
    if not row.needs_approval:
        raise _not_now(row, "needs no approval: POST …/start lets it go, if it is held")
    refused = approval.refusal(
        state=row.state,
        digest=row.digest,
        submitted_by=row.submitted_by,
        approved_by=row.approved_by,
        who=who,
        given=digest,
    )
    if refused is not None:
        raise Problem(refused.status, refused.detail, title=refused.title)
    return {"approved_by": who.name, "state": State.QUEUED if row.starts else State.HELD}


def started(row: WaveRow, _: str, __: float) -> dict[str, Any]:
    """What changes when it is started. Raises `Problem`."""
    if row.state is State.HELD:
        if not row.is_approved:
            raise _not_now(row, "waits to be approved: POST …/approve by another than its submitter")
        return {"state": State.QUEUED, "starts": True}
    if row.state is State.STOPPED:
        return {**_again(row), "starts": True}
    raise _not_now(row, "has ended" if row.state is State.ENDED else "was started already")


def _again(row: WaveRow) -> dict[str, Any]:
    return {
        "state": State.QUEUED if row.is_approved else State.HELD,  # stopped before anybody approved it: it waits again
        "exit_code": None,
        "ended_at": None,
        "reason": None,
        "deadline_at": None,
        "counts": final(row.counts),
    }


def final(counts: Mapping[str, int]) -> dict[str, int]:
    """What of *counts* is settled whatever comes; the next run takes up the others again."""
    return {name: count for name, count in counts.items() if name not in (Status.NOT_SUBMITTED, Status.UNSETTLED)}


def paused(row: WaveRow, by: str, _: float) -> dict[str, Any]:
    """What changes when it is paused. Raises `Problem`."""
    if row.state not in (State.QUEUED, State.RUNNING):
        raise _not_now(row, "is paused already" if row.state is State.PAUSED else "is not running")
    return {"state": State.PAUSED, "reason": f"paused by {by}"}


def resumed(row: WaveRow, _: str, __: float) -> dict[str, Any]:
    """What changes when it goes on; whether it runs already is for others to know. Raises `Problem`."""
    if row.state is not State.PAUSED:
        raise _not_now(row, "is not paused")
    return {"state": State.QUEUED, "reason": None}


def stopped(row: WaveRow, by: str, now: float) -> dict[str, Any]:
    """What changes when it is stopped. Raises `Problem`."""
    reason = f"stopped by {by}"
    if row.state is State.HELD or (row.state in (State.QUEUED, State.PAUSED) and not row.is_begun):
        return {"state": State.STOPPED, "reason": reason, "ended_at": now, "exit_code": 3}
    if row.state in (State.QUEUED, State.RUNNING, State.PAUSED):
        return {"state": State.STOPPING, "reason": reason}
    raise _not_now(row, "is stopping already" if row.state is State.STOPPING else "has ended")


def retried(row: WaveRow, _: str, __: float) -> dict[str, Any]:
    """What changes when its failed entries are taken up again. Raises `Problem`."""
    if not row.is_final:
        raise _not_now(row, "has not ended")
    failed = row.counts.get(Status.FAILED, 0) + row.counts.get(Status.PARTIAL, 0)
    if not failed:
        raise _not_now(row, "has no failed entry")
    return {**_again(row), "retry_failed": True}


VERBS: Mapping[str, Callable[[WaveRow, str, float], dict[str, Any]]] = {
    "start": started,
    "pause": paused,
    "resume": resumed,
    "stop": stopped,
    "retry_failed": retried,
}
"""What each verb changes of a wave, asked by somebody at some time (Unix seconds)."""


def asked(row: WaveRow) -> str:
    """Why it is paused or stopped, without what came in the way of that."""
    return (row.reason or "").partition(BUT)[0]


def is_due(row: WaveRow) -> bool:
    """Whether the wave is to be opened: one that was paused before it began, or before the service was started again,
    has nothing to do until `resume`, unless it may have something in flight. Whatever its state says, one that nobody
    has approved is never due."""
    if not row.is_approved:
        return False
    return row.state in (State.QUEUED, State.STOPPING) or (row.state is State.PAUSED and row.is_begun)


def require_recheck(row: WaveRow) -> None:
    """Raises `Problem` where there is nothing to compare again."""
    if not row.is_final:
        raise _not_now(row, "has not ended")
    if not any(count for verdict, count in row.verdicts.items() if verdict != Verdict.CONSISTENT):
        raise _not_now(row, "has no comparison that did not come out consistent")


def require_changeable(row: WaveRow) -> None:
    """Raises `Problem` where nothing of how it runs can be changed any more."""
    if row.state in (State.ENDED, State.STOPPING):
        raise _not_now(row, "is at its end")


def require_quiet(row: WaveRow) -> None:
    """Raises `Problem` while it runs: what is decided about its entries then would meet what the run does."""
    if row.state in _UNDER_WAY:
        raise _not_now(row, "runs, or is about to: stop it first")
    if not row.is_begun:
        raise _not_now(row, "has not begun, and so none of its entries is unsettled")


def _not_now(row: WaveRow, why: str) -> Problem:
    return Problem(409, f"Wave {row.id} is {row.state.value}: it {why}.", title="Not in this state")
