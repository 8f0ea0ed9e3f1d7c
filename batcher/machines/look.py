"""What a worker reads and writes in the database beside the waves: what is to be done, and that it is there itself.

Blocking, each a single statement; a worker asks in the thread of its journals.
"""

from collections.abc import Mapping

import orjson

from batcher._version import __version__
from batcher.journal.postgres.link import DatabaseLink
from batcher.machines.sweep import Named, OpenScope, Surroundings

GONE_AFTER_S = 15.0
"""From when on a worker that gave no sign is not counted any more, in seconds."""

_WORK = """
SELECT s.id, s.endpoint, s.project_id, s.owner, extract(epoch FROM s.lease_until - clock_timestamp())::float8,
    greatest(0, coalesce(extract(epoch FROM clock_timestamp() - greatest(coalesce(s.lease_until, s.free_since),
        max(v.planned_at)))::float8, 1e9)), max(coalesce(o.priority, 0)), bool_and(w.settled >= w.entries)
FROM scopes s
JOIN wave_scopes w ON w.scope = s.id
JOIN waves v ON v.number = w.wave AND v.planned
LEFT JOIN wave_orders o ON o.wave = v.number
WHERE (%(wave)s::text IS NULL OR v.id = %(wave)s) AND (
    (w.settled < w.entries AND coalesce(forbidden(v.number, s.id), 'paused') IN ('paused', 'scope paused'))
    OR (w.decided < w.settled AND o.follow AND followed(v.number)))
GROUP BY s.id ORDER BY s.id
"""
_SHOWN = """
INSERT INTO workers AS w (name, host, pid, version, lanes, refuses) VALUES (%s, %s, %s, %s, %s, %s::jsonb)
ON CONFLICT (name) DO UPDATE SET lanes = excluded.lanes, refuses = excluded.refuses, seen_at = clock_timestamp()
"""
_FORGET = "DELETE FROM workers WHERE seen_at < clock_timestamp() - interval '1 day'"


class WorkerCard:
    """What the worker *name* shows of itself: a row that whoever asks for the status reads."""

    def __init__(self, link: DatabaseLink, *, name: str, host: str, pid: int, lanes: int) -> None:
        self._link = link
        self.name = name
        self._about = (name, host, pid, __version__)
        self._lanes = lanes

    def show(self, refused: Mapping[Named, str]) -> None:
        """That it is there, and what it cannot or will not take, with why. Raises `JournalFailed`."""
        refuses = orjson.dumps(
            [{"endpoint": endpoint, "project_id": project, "why": why} for (endpoint, project), why in refused.items()]
        ).decode()
        self._link.do(lambda c: c.execute(_SHOWN, (*self._about, self._lanes, refuses)), writing=True)

    def take_away(self) -> None:
        """That it is there no more; and forget those that nobody has heard of for a day. Raises `JournalFailed`."""
        self._link.do(lambda c: c.execute("DELETE FROM workers WHERE name = %s", (self.name,)), writing=True)
        self._link.do(lambda c: c.execute(_FORGET), writing=True)


def look_around(link: DatabaseLink, wave: str | None = None) -> Surroundings:
    """What is to be done in the database, of the *wave* with that id or of all, and who is there for it.

    Raises `JournalFailed`.
    """
    rows = link.do(lambda c: c.execute(_WORK, {"wave": wave}).fetchall())
    lanes = link.rows(
        "SELECT lanes FROM workers WHERE seen_at > clock_timestamp() - make_interval(secs => %s)", (GONE_AFTER_S,)
    )
    return Surroundings(
        work=[
            OpenScope(
                number=number, endpoint=endpoint, project_id=project, owner=owner, left_s=left_s, free_s=free_s,
                priority=priority, is_settled=is_settled,
            )
            for number, endpoint, project, owner, left_s, free_s, priority, is_settled in rows
        ],
        workers=[one for (one,) in lanes],
    )  # fmt: skip


def invite(link: DatabaseLink, scopes: list[int], priority: int = 0) -> None:
    """Tell whoever listens that there is work in *scopes*, the database's numbers. Raises `JournalFailed`."""
    if scopes:
        link.do(lambda c: c.execute("SELECT invite(%s, %s)", (scopes, priority)), writing=True)


def invite_to(link: DatabaseLink, wave: int) -> None:
    """The same for all scopes of the wave with that number. Raises `JournalFailed`."""
    link.do(
        lambda c: c.execute("SELECT invite(array_agg(scope)) FROM wave_scopes WHERE wave = %s", (wave,)), writing=True
    )
