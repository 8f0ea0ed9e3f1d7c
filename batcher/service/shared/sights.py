"""Where the waves, scopes and workers of a database stand, as a service tells it."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from batcher.clock import Clock
from batcher.follow.follower import FollowStatus
from batcher.follow.verdict import Verdict
from batcher.journal.postgres.link import DatabaseLink
from batcher.life.result import Status, rfc3339
from batcher.machines.look import GONE_AFTER_S
from batcher.machines.standing import SeenWorker, SharedScope, SharedStanding, in_flight_of
from batcher.wave.status import ScopeStatus, WaveStatus

_OVER_S = 10.0  # over which a pace is taken

# What is to be done of a wave (w) in a scope (s, by p): something is to be sent, or a verdict to be found.
_TO_DO = """(p.settled < p.entries AND coalesce(forbidden(w.number, s.id), 'paused') IN ('paused', 'scope paused'))
    OR (p.decided < p.settled AND followed(w.number))"""
_WORKERS = f"""
SELECT k.name, k.host, k.pid, k.version, k.started_at AT TIME ZONE 'UTC', k.seen_at AT TIME ZONE 'UTC', k.lanes,
    k.refuses,
    coalesce((SELECT jsonb_agg(jsonb_build_object('endpoint', s.endpoint, 'project_id', s.project_id, 'epoch', s.epoch,
        'lease_left_s', round(extract(epoch FROM s.lease_until - clock_timestamp())::numeric, 1))
        ORDER BY s.endpoint, s.project_id)
        FROM scopes s WHERE s.owner = k.name AND s.lease_until > clock_timestamp()), '[]'),
    coalesce((SELECT jsonb_agg(DISTINCT w.id) FROM scopes s
        JOIN wave_scopes p ON p.scope = s.id JOIN waves w ON w.number = p.wave AND w.planned
        WHERE s.owner = k.name AND s.lease_until > clock_timestamp() AND ({_TO_DO})), '[]')
FROM workers k WHERE k.seen_at > clock_timestamp() - make_interval(secs => %s) ORDER BY k.name
"""  # noqa: S608 - a condition of ours
_SCOPES = f"""
SELECT s.endpoint, s.project_id, s.rate, s.paused, CASE WHEN s.lease_until > clock_timestamp() THEN s.owner END,
    array_agg(w.id ORDER BY w.number), array_agg(o.rate ORDER BY w.number)
FROM scopes s JOIN wave_scopes p ON p.scope = s.id
JOIN waves w ON w.number = p.wave AND w.planned JOIN wave_orders o ON o.wave = w.number
WHERE {_TO_DO}
GROUP BY s.id ORDER BY s.endpoint, s.project_id
"""  # noqa: S608 - likewise


def workers_told(link: DatabaseLink) -> list[dict[str, Any]]:
    """Every worker that was heard of lately, see `WorkerModel`. Raises `JournalFailed`."""
    return [
        {
            "id": name,
            "host": host,
            "pid": pid,
            "version": version,
            "started_at": rfc3339(started_at) + "Z",
            "seen_at": rfc3339(seen_at) + "Z",
            "lanes": lanes,
            "waves": waves,
            "scopes": scopes,
            "refuses": refuses,
        }
        for name, host, pid, version, started_at, seen_at, lanes, refuses, scopes, waves in link.rows(
            _WORKERS, (GONE_AFTER_S,)
        )
    ]


def scopes_told(link: DatabaseLink, pace: str) -> list[dict[str, Any]]:
    """Every scope in which something is to be done, see `ScopeModel`; *pace* is what the service's settings have.

    Raises `JournalFailed`.
    """
    flying: Counter[tuple[str, str]] = Counter()
    for (_, endpoint, project_id), count in in_flight_of(link).items():
        flying[endpoint, project_id] += count
    return [
        {
            "endpoint": endpoint,
            "project_id": project_id,
            "rate": rate or next(filter(None, rates), None) or pace,
            "limit": pace,
            "in_flight": flying[endpoint, project_id],
            "paused_until_s": None,
            "reason": paused,
            "waves": waves,
            "worker": owner,
        }
        for endpoint, project_id, rate, paused, owner, waves, rates in link.rows(_SCOPES)
    ]


class Pace:
    """How fast a wave gets on, by what was seen of it over the last seconds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()

    def see(self, settled: int) -> None:
        """So many are settled now."""
        now = self._clock.monotonic()
        if self._seen and settled < self._seen[-1][1]:
            self._seen.clear()  # some were taken up again
        self._seen.append((now, settled))
        while len(self._seen) > 2 and self._seen[1][0] <= now - _OVER_S:
            self._seen.popleft()

    @property
    def per_s(self) -> float:
        """Entries settled a second."""
        if len(self._seen) < 2:
            return 0.0
        (began, first), (ended, last) = self._seen[0], self._seen[-1]
        return (last - first) / (ended - began) if ended > began else 0.0


def status_of(standing: SharedStanding, workers: Sequence[SeenWorker], pace: str, per_s: float) -> WaveStatus:
    """Where a wave stands. *pace* is what its settings have, *per_s* how many entries are settled a second."""
    left = standing.entries - standing.settled
    return replace(
        counted_status(standing.entries, standing.by_status),
        in_flight=sum(scope.in_flight for scope in standing.scopes),
        rate_per_s=per_s,
        eta_s=left / per_s if per_s > 0 and left else None,
        scopes=tuple(_scope(standing, scope, workers, pace) for scope in standing.scopes),
    )


def following_of(standing: SharedStanding) -> FollowStatus | None:
    """Where the following of a wave stands; None: nobody wants verdicts on it."""
    if not standing.wanted:
        return None
    verdicts = {Verdict(name): count for name, count in standing.verdicts.items()}
    left = max(0, standing.settled - sum(verdicts.values()))
    return FollowStatus(entries=standing.settled, verdicts=verdicts, running=left, looks=0, silent=False)


def counted_status(entries: int, counts: Mapping[Status, int]) -> WaveStatus:
    """A status of so many *entries*, with *counts* alone."""
    return replace(WaveStatus(entries=entries), **{status.value: counts.get(status, 0) for status in Status})


def _scope(standing: SharedStanding, scope: SharedScope, workers: Sequence[SeenWorker], pace: str) -> ScopeStatus:
    orders = standing.orders
    reason = None
    if scope.settled < scope.entries or scope.is_waiting:
        untaken = nobody_takes(scope, workers) if scope.is_waiting else None
        reason = orders.why_kept_back or scope.paused or untaken
    return ScopeStatus(
        endpoint=scope.endpoint,
        project_id=scope.project_id,
        entries=scope.entries,
        settled=scope.settled,
        in_flight=scope.in_flight,
        rate_text=scope.rate or orders.rate or pace,
        reason=reason,
    )


def why_untaken(standing: SharedStanding, workers: Sequence[SeenWorker]) -> str | None:
    """Why a wave waits of which no worker has anything, though there is work; None: one has, or may at any moment."""
    left = [scope for scope in standing.scopes if scope.settled < scope.entries]
    if standing.stage != "waiting" or not left or not all(scope.is_waiting for scope in left):
        return None  # without any its last entry was settled between two looks: at its counts, and at its scopes
    return nobody_takes(left[0], workers)


def nobody_takes(scope: SharedScope, workers: Sequence[SeenWorker]) -> str:
    """Why a scope waits that nobody has, for people."""
    if not workers:
        return "no worker is there: start one with batcher worker, or serve with --workers 1"
    whys = [why for worker in workers if (why := _why(worker, scope)) is not None]
    if len(whys) < len(workers):
        return "no worker has taken it yet"
    more = "" if len(set(whys)) == 1 else f" (and {len(set(whys)) - 1} more reasons: GET /v1/workers)"
    return f"no worker can take it: {whys[0]}{more}"


def _why(worker: SeenWorker, scope: SharedScope) -> str | None:
    named: Mapping[tuple[str, str], str] = {(one["endpoint"], one["project_id"]): one["why"] for one in worker.refuses}
    return named.get((scope.endpoint, scope.project_id))
