"""What follows for a service's wave from where it stands in the database. Pure: any service may find it out first."""

from collections.abc import Mapping
from typing import Any

from batcher import exits
from batcher.life.result import Status
from batcher.machines.shared_status import WaveSighting
from batcher.machines.standing import SharedStanding
from batcher.service.kept.register import WaveRow
from batcher.service.models import State
from batcher.service.running.verbs import final
from batcher.service.shared.sights import counted_status
from batcher.wave.engine import WaveEnd
from batcher.wave.stop import Stop, StopKind

_UNDER_WAY = (State.RUNNING, State.PAUSED, State.STOPPING)


def is_under_way(row: WaveRow) -> bool:
    """Whether the wave *row* was opened for the run that goes on, or is being stopped. One that was paused before
    that rests: what keeps workers from it is no stop."""
    return row.is_begun and (row.is_open or row.state is State.STOPPING) and row.state in _UNDER_WAY


def what_follows(row: WaveRow, standing: SharedStanding) -> Mapping[str, Any]:
    """What changes of *row* while its wave goes on: somebody ordered something past the service (`batcher control`)."""
    orders = standing.orders
    if not row.is_open or row.state not in (State.RUNNING, State.PAUSED):
        return {}
    if orders.stop is not None:
        return {"state": State.STOPPING, "reason": orders.stop}
    if orders.paused is not None and row.state is State.RUNNING:
        return {"state": State.PAUSED, "reason": orders.paused}
    if orders.paused is None and row.state is State.PAUSED:
        return {"state": State.RUNNING, "reason": None}
    return {}


def taken_up(row: WaveRow, standing: SharedStanding) -> Mapping[str, Any]:
    """What changes of *row*, which had come to rest, where somebody goes on with its wave past the services."""
    orders = standing.orders
    is_kept_back = orders.stop is not None or orders.are_awaited or standing.is_forbidden
    if not row.is_final or is_kept_back or standing.settled >= standing.entries:
        return {}
    return {
        "state": State.RUNNING if orders.paused is None else State.PAUSED,
        "is_open": True,
        "runs": row.runs + 1,
        "reason": orders.paused,
        "exit_code": None,
        "ended_at": None,
        "counts": final(row.counts),
    }


def ruled_on(row: WaveRow, standing: SharedStanding) -> Mapping[str, Any]:
    """What changes of *row*, which has come to rest, where somebody ruled on its entries past the services."""
    to_rule = standing.by_status.get(Status.UNSETTLED, 0)
    if not row.is_final or row.to_rule == to_rule:
        return {}
    return {"counts": {status.value: standing.by_status.get(status, 0) for status in Status}, "to_rule": to_rule}


def is_followed(standing: SharedStanding) -> bool:
    """Whether all is settled, and verdicts are to be found still."""
    return standing.stage == "following"


def is_held(standing: SharedStanding) -> bool:
    """Whether a worker has a scope in which something of the wave is left."""
    return any(scope.is_held for scope in standing.scopes if scope.settled < scope.entries)


def is_judged(standing: SharedStanding) -> bool:
    """Whether the gate has its say, where nothing more comes of the wave."""
    return standing.wanted and standing.settled >= standing.entries


def end_of(
    row: WaveRow, standing: SharedStanding, left_open: Mapping[Status, int], judged: int, now: float
) -> Mapping[str, Any]:
    """What changes of *row* where its wave has ended, or was ended by orders; nothing where it goes on.

    *left_open* counts what stays open by the status that it is given, *judged* is what the gate exits with over a wave
    that was followed. *now* is Unix seconds.
    """
    sight = WaveSighting(standing=standing, others=0)
    if not is_under_way(row) or not (sight.is_settled or sight.is_forbidden) or is_followed(standing):
        return {}
    counts = {status: standing.by_status.get(status, 0) for status in Status}
    stop = None
    if not sight.is_settled:
        stop = sight.stop()
        counts = {status: count + left_open.get(status, 0) for status, count in counts.items()}
    exit_code = _exit_code(standing.entries, counts, stop)
    if is_judged(standing):
        if exit_code in (exits.CREATED, exits.INCOMPLETE):
            exit_code = judged or exit_code
        if not sight.is_decided:
            orders_stop = standing.orders.stop is not None
            stop = sight.stop() if orders_stop else Stop(StopKind.WATCH_TIMEOUT, "its watch_timeout is over")
    return {
        "state": State.ENDED if stop is None else State.STOPPED,
        "is_open": False,
        "reason": None if stop is None else _why(row, standing, stop),
        "exit_code": exit_code,
        "ended_at": now,
        "counts": {status.value: count for status, count in counts.items()},
        "verdicts": dict(standing.verdicts),
        "settled": tuple((scope.endpoint, scope.project_id, scope.settled) for scope in standing.scopes),
        "to_rule": standing.by_status.get(Status.UNSETTLED, 0),
    }


def _why(row: WaveRow, standing: SharedStanding, stop: Stop) -> str:
    if standing.orders.stop is None:
        return stop.text
    return row.reason if row.state is State.STOPPING and row.reason else standing.orders.stop


def _exit_code(entries: int, counts: Mapping[Status, int], stop: Stop | None) -> int:
    return WaveEnd(stop=stop, halted={}, status=counted_status(entries, counts), unrecorded=()).exit_code
