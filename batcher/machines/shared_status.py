"""Where a wave in a shared database stands, for whoever runs it here.

The database tells of all of it, and this process of the scopes that it has itself.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from batcher.clock import Clock
from batcher.drs.outcome import ErrorKind, Fate, Trouble
from batcher.journal.postgres.link import DatabaseLink
from batcher.life.entry import Scope
from batcher.life.result import Status
from batcher.machines.look import GONE_AFTER_S
from batcher.machines.standing import SharedScope, SharedStanding, standings_of
from batcher.wave.status import ScopeStatus, WaveStatus
from batcher.wave.stop import Stop, StopKind

_FOUND_WITHIN_S = 7.0  # whoever has room sees a scope that is free
_ENDED = {
    "stopped": StopKind.ASKED,
    "deadline": StopKind.DEADLINE,
    "max_failures": StopKind.MAX_FAILURES,
}


class WaveSighting(Struct, frozen=True, kw_only=True):
    """What the database says of a wave at one moment: where it stands, and how many *others* that run waves, or this
    one, were heard of lately, and do not refuse all that is left there. *refusing* are the names of those that do."""

    standing: SharedStanding
    others: int
    refusing: Sequence[str] = ()

    @property
    def is_settled(self) -> bool:
        """Whether every entry has a result."""
        return self.standing.settled >= self.standing.entries

    @property
    def decided(self) -> int:
        """How many entries have a verdict."""
        return sum(self.standing.verdicts.values())

    @property
    def is_decided(self) -> bool:
        """Whether every entry has a verdict as well."""
        return self.is_settled and all(scope.decided >= scope.settled for scope in self.standing.scopes)

    @property
    def is_forbidden(self) -> bool:
        """Whether orders have ended the wave until it is run again."""
        return self.standing.is_forbidden

    def stop(self) -> Stop:
        """Why orders have ended the wave, where they have."""
        orders = self.standing.orders
        why = orders.forbids or "stopped"
        said = {
            "stopped": f"told to stop: {orders.stop}",
            "deadline": "the deadline is reached",
            "max_failures": f"more than --max-failures allows have failed ({orders.max_failures})",
        }
        return Stop(_ENDED[why], said[why])

    def open_scopes(self) -> list[SharedScope]:
        """The scopes in which something is left to do."""
        return [scope for scope in self.standing.scopes if scope.settled < scope.entries]

    def held_by_others(self, me: str) -> list[SharedScope]:
        """Those of them that another process has."""
        return [scope for scope in self.open_scopes() if scope.is_held and scope.owner != me]

    def goes_on_without(self, me: str) -> bool:
        """Whether others go on with it where this process does not."""
        return not (self.is_settled or self.is_forbidden) and bool(self.held_by_others(me) or self.others)

    def elsewhere(self, me: str) -> dict[tuple[str, str], str]:
        """The same by (endpoint, project_id), each with who has it, for people."""
        return {
            (scope.endpoint, scope.project_id): scope.owner.partition(":")[0]
            for scope in self.held_by_others(me)
            if scope.owner is not None
        }

    def nobody_can(
        self, cannot: Mapping[tuple[str, str], str], left: Sequence[SharedScope]
    ) -> dict[Scope, Trouble] | None:
        """Where nobody is there who could go on with the scopes that are *left*: each with why, as this process
        *cannot* take it. None: somebody is."""
        if self.others or not left or any((one.endpoint, one.project_id) not in cannot for one in left):
            return None
        nor = f"; nor does any worker take it that is there ({', '.join(self.refusing)})" if self.refusing else ""
        return {
            Scope(number, one.endpoint, one.project_id): Trouble(
                fate=Fate.NOT_LET_IN, kind=ErrorKind.AUTH, error_msg=cannot[one.endpoint, one.project_id] + nor
            )
            for number, one in enumerate(left)
        }


def look_at(link: DatabaseLink, wave: str, me: str) -> WaveSighting:
    """What the database says of the planned *wave* with that id; *me* is this process's own name there.

    Raises `JournalFailed`.
    """
    rows = link.rows(
        "SELECT name, refuses FROM workers "
        "WHERE name <> %s AND seen_at > clock_timestamp() - make_interval(secs => %s) "
        "AND split_part(name, ':', 2) IN ('', %s)",  # a worker, or another run of this wave
        (me, GONE_AFTER_S, wave),
    )
    (standing,) = standings_of(link, wave)
    undone = [*standing.undecided, *(scope for scope in standing.scopes if scope.settled < scope.entries)]
    left = {(scope.endpoint, scope.project_id) for scope in undone}
    refusing = [
        name.partition(":")[0]
        for name, refuses in rows
        if left <= {(one["endpoint"], one["project_id"]) for one in refuses}
    ]
    return WaveSighting(standing=standing, others=len(rows) - len(refusing), refusing=sorted(refusing))


class SharedStatus:
    """Makes a `WaveStatus` of what was seen."""

    def __init__(self, clock: Clock, sight: WaveSighting, me: str, pace: str) -> None:
        self._clock = clock
        self._me = me
        self._pace = pace
        self._began = clock.monotonic()
        self._settled_before = sight.standing.settled
        self._free_since: dict[tuple[str, str], float] = {}  # monotonic: scopes that nobody was seen to have
        self.sight = sight

    def status(
        self, parts: Iterable[WaveStatus], stopping: str | None = None, tail: Mapping[Status, int] | None = None
    ) -> WaveStatus:
        """Where the wave stands; *parts* are those of it that this process runs, *tail* counts those that stay open."""
        standing, here = self.sight.standing, list(parts)
        mine = {(scope.endpoint, scope.project_id): scope for part in here for scope in part.scopes}
        counts = {status: standing.by_status.get(status, 0) + (tail or {}).get(status, 0) for status in Status}
        elapsed = self._clock.monotonic() - self._began
        done_here = standing.settled - self._settled_before
        left = standing.entries - standing.settled
        return WaveStatus(
            entries=standing.entries,
            **{status.value: counts[status] for status in Status},
            in_flight=sum(part.in_flight for part in here),
            in_doubt=sum(part.in_doubt for part in here),
            waiting=sum(part.waiting for part in here),
            attempts=sum(part.attempts for part in here),
            retried=sum(part.retried for part in here),
            throttled=sum(part.throttled for part in here),
            recovered=sum(part.recovered for part in here),
            elapsed_s=elapsed,
            rate_per_s=sum(part.rate_per_s for part in here),
            eta_s=left * elapsed / done_here if done_here > 0 and elapsed > 0 else None,
            stopping=stopping,
            changed=tuple(dict.fromkeys(change for part in here for change in part.changed)),
            scopes=tuple(self._scope(scope, mine.get((scope.endpoint, scope.project_id))) for scope in standing.scopes),
        )

    def _scope(self, scope: SharedScope, mine: ScopeStatus | None) -> ScopeStatus:
        if mine is not None:
            return replace(mine, entries=scope.entries, settled=max(scope.settled, mine.settled))
        is_open = scope.settled < scope.entries
        reason = None
        if scope.is_held:
            self._free_since.pop((scope.endpoint, scope.project_id), None)
        if is_open and scope.is_held and scope.owner is not None and scope.owner != self._me:
            return ScopeStatus(
                endpoint=scope.endpoint, project_id=scope.project_id, entries=scope.entries, settled=scope.settled,
                in_flight=0, rate_text=f"run by {scope.owner.partition(':')[0]}",
            )  # fmt: skip
        if is_open:
            orders = self.sight.standing.orders
            reason = orders.why_kept_back or scope.paused or self._long_free(scope)
        return ScopeStatus(
            endpoint=scope.endpoint, project_id=scope.project_id, entries=scope.entries, settled=scope.settled,
            in_flight=0, rate_text=self._pace, reason=reason, paused_until_s=0.0 if reason else None,
        )  # fmt: skip

    def _long_free(self, scope: SharedScope) -> str | None:
        """That nobody has it, where that has been so for longer than it takes to find it."""
        now = self._clock.monotonic()
        since = self._free_since.setdefault((scope.endpoint, scope.project_id), now)
        return "no machine has it at the moment" if now - since > _FOUND_WITHIN_S else None
