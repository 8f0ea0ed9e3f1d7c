"""Orders for the waves and scopes of a database that machines share: pause, pace, stop, deadline, most failures.

Invariants:
- An order is a row, and in force once it is committed: the statement that intends a request looks at it
  (`record_commit`), whichever machine that is of.
- Each change counts the version up; `record` tells whoever records which version there is by then, so that a lane reads
  a new pace before it sends the next request.
- A deadline is kept by the database's clock, the one that machines share.
"""

from typing import Any, Final

from msgspec import UNSET, Struct, UnsetType

from batcher.errors import UserError
from batcher.journal.postgres.link import DatabaseLink

AWAITED: Final = ":awaited"
"""What is kept in place of the reason to stop while whoever plans the wave has yet to give its orders. Reasons are for
people, and none begins with a colon."""


class Orders(Struct, frozen=True, kw_only=True):
    """What is ordered for a wave in one of its scopes.

    *stop* and *paused* say why, for people; *rate*, *read_rate* and *concurrency* are written as the settings of
    `batcher run`, None: as the wave's settings have them. *deadline_in_s* is when nothing new is sent any more, seconds
    from now, negative where that is past. *scope_paused* and *scope_rate* are for all waves in the scope. *forbids* is
    what keeps anything new from being sent now, one of `batcher.journal.errors.WHY_REFUSED`. *are_awaited*: whoever
    plans the wave has yet to say what they are; until then nobody takes it, which is no stop.
    """

    version: int
    stop: str | None = None
    paused: str | None = None
    rate: str | None = None
    read_rate: str | None = None
    concurrency: int | None = None
    priority: int = 0
    deadline_in_s: float | None = None
    max_failures: int | None = None
    scope_paused: str | None = None
    scope_rate: str | None = None
    forbids: str | None = None
    are_awaited: bool = False

    @property
    def why_kept_back(self) -> str | None:
        """Why nothing new of the wave is sent, for people: it was stopped, is being planned, or paused."""
        return self.stop or ("it is being planned" if self.are_awaited else self.paused)


def orders_of(link: DatabaseLink, wave: int, place: int | None = None) -> Orders:
    """The orders for the wave with that number in the database, in the scope that it numbers *place* (None: whichever).
    Raises `JournalFailed`."""
    row = link.row(
        "SELECT coalesce(o.version, 0) + coalesce(s.orders, 0), nullif(o.stop, %s), o.paused, o.rate, o.read_rate, "
        "o.concurrency, coalesce(o.priority, 0), extract(epoch FROM o.deadline_at - clock_timestamp())::float8, "
        "o.max_failures, s.paused, s.rate, forbidden(w.number, s.id), coalesce(o.stop = %s, false) "
        "FROM waves w LEFT JOIN wave_orders o ON o.wave = w.number LEFT JOIN scopes s ON s.id = %s "
        "WHERE w.number = %s",
        (AWAITED, AWAITED, place, wave),
    )
    return Orders(version=0) if row is None else Orders(**dict(zip(Orders.__struct_fields__, row, strict=True)))


def order_wave(
    link: DatabaseLink,
    wave: int,
    *,
    stop: str | UnsetType | None = UNSET,
    paused: str | UnsetType | None = UNSET,
    rate: str | UnsetType | None = UNSET,
    read_rate: str | UnsetType | None = UNSET,
    concurrency: int | UnsetType | None = UNSET,
    priority: int | UnsetType = UNSET,
    deadline_in_s: float | UnsetType | None = UNSET,
    max_failures: int | UnsetType | None = UNSET,
) -> None:
    """Change what is given of the orders for the wave with that number; None takes an order back.

    See `Orders`. Once this returns, nothing is intended any more that it forbids. Raises `JournalFailed`.
    """
    changes = {
        "stop": stop,
        "paused": paused,
        "rate": rate,
        "read_rate": read_rate,
        "concurrency": concurrency,
        "priority": priority,
        "max_failures": max_failures,
    }
    sets = {name: value for name, value in changes.items() if value is not UNSET}
    columns = [f"{name} = %s" for name in sets]
    values: list[Any] = [*sets.values()]
    if deadline_in_s is not UNSET:
        columns.append("deadline_at = clock_timestamp() + make_interval(secs => %s)")
        values.append(deadline_in_s)
    if columns:
        changed = ", ".join([*columns, "version = version + 1"])
        link.do(
            lambda c: c.execute(f"UPDATE wave_orders SET {changed} WHERE wave = %s", (*values, wave)),  # noqa: S608
            writing=True,
        )


def hold_until_ordered(link: DatabaseLink, wave: int) -> None:
    """Have nobody take the wave with that number once it is planned, until `order_wave` takes the stop back.

    Nothing where it is planned, or another process plans it at this moment, whose orders these are. Raises
    `JournalFailed`.
    """
    link.do(
        lambda c: c.execute(
            "WITH planless AS (SELECT number FROM waves WHERE number = %s AND NOT planned FOR UPDATE SKIP LOCKED) "
            "UPDATE wave_orders o SET stop = %s, version = version + 1 "
            "FROM planless WHERE o.wave = planless.number",
            (wave, AWAITED),
        ),
        writing=True,
    )


def order_scope(
    link: DatabaseLink,
    endpoint: str,
    project_id: str,
    *,
    paused: str | UnsetType | None = UNSET,
    rate: str | UnsetType | None = UNSET,
) -> None:
    """Change what is given of the orders for a scope, which hold for all waves in it; None takes an order back.

    Raises `UserError` where no wave of the database has such a scope, and `JournalFailed`.
    """
    sets = {name: value for name, value in (("paused", paused), ("rate", rate)) if value is not UNSET}
    if not sets:
        return
    changed = ", ".join([*(f"{name} = %s" for name in sets), "orders = orders + 1"])
    found = link.do(
        lambda c: c.execute(
            f"UPDATE scopes SET {changed} WHERE endpoint = %s AND project_id = %s RETURNING id",  # noqa: S608
            (*sets.values(), endpoint, project_id),
        ).fetchone(),
        writing=True,
    )
    if found is None:
        raise UserError(f"no wave in {link.name} has project {project_id} at {endpoint}")


def rename_wave(link: DatabaseLink, wave: int, id: str) -> None:
    """Have the wave with that number be known by another *id*, and send nothing new for it. Raises `JournalFailed`."""
    link.do(
        lambda c: c.execute(
            "WITH stopped AS (UPDATE wave_orders SET stop = 'another was begun in its place', version = version + 1 "
            "WHERE wave = %s) UPDATE waves SET id = %s WHERE number = %s",
            (wave, id, wave),
        ),
        writing=True,
    )
