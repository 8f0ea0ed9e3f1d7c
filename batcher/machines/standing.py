"""Where a wave stands in a database that machines share: its counts, its orders, and who has each of its scopes."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, to_builtins

from batcher.journal.postgres.link import DatabaseLink
from batcher.journal.postgres.orders import Orders, orders_of
from batcher.life.result import Status
from batcher.machines.look import GONE_AFTER_S
from batcher.machines.sweep import EVERY_S

_LONG_FREE_S = 2 * EVERY_S  # by then a worker with room would have taken it


class SharedScope(Struct, frozen=True, kw_only=True):
    """One scope of a wave: (endpoint, project_id).

    *owner* is the worker that has it, *lease_left_s* how long its lease lasts unless it is renewed, 0: it has run out.
    *epoch* grows each time it is taken. *paused* and *rate* are ordered for all waves in it. *is_waiting* tells that
    there is work in it and that nobody has taken it for a while. *decided* is how many of the *settled* entries have a
    verdict. *in_flight* is how many of its entries whoever has it was sending at that moment, where that was counted.
    """

    endpoint: str
    project_id: str
    entries: int
    settled: int
    decided: int
    epoch: int
    owner: str | None
    lease_left_s: float | None
    paused: str | None
    rate: str | None
    is_waiting: bool
    in_flight: int = 0

    @property
    def is_held(self) -> bool:
        """Whether a worker has it at this moment."""
        return self.owner is not None and bool(self.lease_left_s)


class SeenWorker(Struct, frozen=True, kw_only=True):
    """A worker that was heard of lately: how many scopes it runs at most, and which it *refuses* (endpoint, project_id,
    why), as it has no credential or no way for them, or is not for them."""

    name: str
    host: str
    lanes: int
    refuses: Sequence[Mapping[str, Any]]


class SharedStanding(Struct, frozen=True, kw_only=True):
    """A wave; *by_status* counts its results. *looks_first*: what has no result yet is looked up before it is sent, as
    the database went on elsewhere, or the operator asked for it.

    *verdicts* counts its verdicts by their names. *wanted*: they are, by whoever ran it; *followed*: at this moment, so
    that whoever has a scope looks for them."""

    wave: str
    entries: int
    by_status: Mapping[Status, int]
    orders: Orders
    scopes: Sequence[SharedScope]
    looks_first: bool
    verdicts: Mapping[str, int]
    wanted: bool
    followed: bool

    @property
    def settled(self) -> int:
        """Entries that have a result."""
        return sum(self.by_status.values())

    @property
    def undecided(self) -> list[SharedScope]:
        """The scopes in which verdicts are to be found still."""
        return [scope for scope in self.scopes if scope.decided < scope.settled] if self.followed else []

    @property
    def is_forbidden(self) -> bool:
        """Whether orders have ended the wave until it is run again."""
        return self.orders.forbids in ("stopped", "deadline", "max_failures") and not self.orders.are_awaited

    @property
    def stage(self) -> str:
        """`ended`, `following` (all is settled, and verdicts are to be found), `planning` (who planned it has yet to
        give its orders), `stopped`, `paused`, `running`, or `waiting`: there is work, and no worker has any of it."""
        if self.settled >= self.entries:
            return "following" if self.undecided else "ended"
        if self.orders.are_awaited:
            return "planning"
        held = any(scope.is_held for scope in self.scopes if scope.settled < scope.entries)
        if self.is_forbidden:
            return "stopping" if held else "stopped"
        if self.orders.paused is not None:
            return "paused"
        return "running" if held else "waiting"

    @property
    def is_over(self) -> bool:
        """Whether no more results come of it by themselves."""
        return self.stage in ("ended", "following", "stopped")

    @property
    def waiting(self) -> list[SharedScope]:
        """The scopes that nobody takes."""
        return [scope for scope in self.scopes if scope.is_waiting]

    def as_json(self) -> dict[str, Any]:
        """The same as plain data, for `--json`."""
        return {
            "wave": self.wave,
            "stage": self.stage,
            "entries": self.entries,
            "by_status": {status.value: self.by_status.get(status, 0) for status in Status},
            "looks_first": self.looks_first,
            "verdicts": dict(self.verdicts) if self.wanted or self.verdicts else None,
            "orders": to_builtins(self.orders),
            "scopes": to_builtins(self.scopes),
        }


_RECENT = 8192  # events in which what is in flight is looked for: some minutes of a fleet at full pace
_IN_FLIGHT = f"""
WITH r AS MATERIALIZED (  -- once, not for each scope
    SELECT DISTINCT ON (wave, idx) wave, idx, kind, epoch FROM events
    WHERE id > (SELECT coalesce(max(id), 0) FROM events) - {_RECENT} ORDER BY wave, idx, id DESC)
SELECT r.wave, s.endpoint, s.project_id, count(*) FROM r
JOIN entries n USING (wave, idx) JOIN scopes s ON s.id = n.scope
WHERE r.kind = 'intended' AND r.epoch = s.epoch AND s.lease_until > clock_timestamp() GROUP BY 1, 2, 3
"""  # noqa: S608 - a number of ours
InFlight = Mapping[tuple[int, str, str], int]  # by the wave's number, endpoint and project


def in_flight_of(link: DatabaseLink) -> InFlight:
    """How many entries of each wave are being sent in each scope, by whoever has it. What a worker that is gone has
    left is in doubt, and not counted. Raises `JournalFailed`."""
    return {(wave, endpoint, project): count for wave, endpoint, project, count in link.rows(_IN_FLIGHT)}


def standings_of(
    link: DatabaseLink, wave: str | None = None, *, in_flight: InFlight | None = None
) -> list[SharedStanding]:
    """Where the *wave* with that id stands, or each of the database, oldest first; *in_flight* is of `in_flight_of`,
    where that is to be told. Raises `JournalFailed`."""
    rows = link.rows(
        "SELECT w.number, w.id, w.entries, w.counts, EXISTS (SELECT 1 FROM facts f WHERE f.wave = w.number "
        "AND f.name = 'look_first' AND f.value = 'true'), w.verdicts, coalesce(o.follow, false), followed(w.number) "
        "FROM waves w LEFT JOIN wave_orders o ON o.wave = w.number "
        "WHERE w.planned AND (%s::text IS NULL OR w.id = %s) ORDER BY w.number",
        (wave, wave),
    )
    return [
        SharedStanding(
            wave=name,
            entries=entries,
            by_status={Status(status): count for status, count in counts.items() if count},
            orders=orders_of(link, number),
            scopes=_scopes_of(link, number, in_flight or {}),
            looks_first=looks_first,
            verdicts={name: count for name, count in verdicts.items() if count},
            wanted=wanted,
            followed=followed,
        )
        for number, name, entries, counts, looks_first, verdicts, wanted, followed in rows
    ]


def workers_of(link: DatabaseLink) -> list[SeenWorker]:
    """The workers that were heard of lately. Raises `JournalFailed`."""
    rows = link.rows(
        "SELECT name, host, lanes, refuses FROM workers WHERE seen_at > clock_timestamp() - make_interval(secs => %s) "
        "ORDER BY name",
        (GONE_AFTER_S,),
    )
    return [SeenWorker(name=name, host=host, lanes=lanes, refuses=refuses) for name, host, lanes, refuses in rows]


def _scopes_of(link: DatabaseLink, wave: int, in_flight: InFlight) -> list[SharedScope]:
    rows = link.rows(
        "SELECT s.endpoint, s.project_id, w.entries, w.settled, w.decided, s.epoch, s.owner, "
        "greatest(0, extract(epoch FROM s.lease_until - clock_timestamp()))::float8, s.paused, s.rate, "
        "((w.settled < w.entries AND forbidden(w.wave, s.id) IS NULL) "
        "OR (w.decided < w.settled AND followed(w.wave))) "
        "AND coalesce(s.lease_until, '-infinity') < clock_timestamp() "
        "AND greatest(s.lease_until, s.free_since, v.planned_at) < clock_timestamp() - make_interval(secs => %s) "
        "FROM wave_scopes w JOIN scopes s ON s.id = w.scope JOIN waves v ON v.number = w.wave "
        "WHERE w.wave = %s ORDER BY w.number",
        (_LONG_FREE_S, wave),
    )
    names = SharedScope.__struct_fields__[:-1]
    return [
        SharedScope(**dict(zip(names, row, strict=True)), in_flight=in_flight.get((wave, row[0], row[1]), 0))
        for row in rows
    ]


def owners_of(link: DatabaseLink, wave: int) -> list[str]:
    """Who has a scope in which the wave with that number has something to do, and may do it: who runs it.

    Raises `JournalFailed`.
    """
    rows = link.rows(
        "SELECT DISTINCT s.owner FROM wave_scopes p JOIN scopes s ON s.id = p.scope "
        "WHERE p.wave = %s AND s.owner IS NOT NULL AND s.lease_until > clock_timestamp() AND ((p.settled < p.entries "
        "AND coalesce(forbidden(p.wave, s.id), 'paused') IN ('paused', 'scope paused')) "
        "OR (p.decided < p.settled AND followed(p.wave))) ORDER BY 1",
        (wave,),
    )
    return [owner for (owner,) in rows]
