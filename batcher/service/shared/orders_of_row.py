"""What a service's wave means to the workers: its row as orders, written in the transaction that changes it. Pure."""

from collections.abc import Mapping
from typing import Any

from batcher.service.kept.register import WaveRow
from batcher.service.models import State


def orders_of_row(row: WaveRow) -> Mapping[str, Any]:
    """The columns of `wave_orders` for *row*, but for those that its opening writes (deadline, most failures).

    Workers may send only for a wave that was opened for the run that goes on, and that nobody has stopped since. Where
    one has ended there is nothing to stop.
    """
    may_run = row.state is State.ENDED or (row.is_open and row.state in (State.RUNNING, State.PAUSED))
    rate, concurrency = row.given.get("rate"), row.given.get("concurrency")
    return {
        "stop": None if may_run else row.reason or "it was not started yet",
        "paused": (row.reason or "paused") if row.state is State.PAUSED else None,
        "priority": row.priority,
        "rate": rate,
        "read_rate": row.given.get("read_rate", rate),  # by default it is the same
        "concurrency": None if concurrency is None else int(concurrency),
    }


def changed_orders(before: WaveRow, after: WaveRow) -> Mapping[str, Any]:
    """The columns that a change of the row changes; all of them where the wave is opened.

    The others stay as they are: `batcher control` may have changed them.
    """
    old, new = orders_of_row(before), orders_of_row(after)
    if after.is_open and not before.is_open:
        return new
    return {name: value for name, value in new.items() if value != old[name]}
