"""Which scopes a worker takes: a pure decision over what it sees in the database and what it has.

Whoever comes first would take all that it has room for, and those who come later would stand idle. So of scopes that
were just planned or handed on a worker takes no more than its share; what nobody has taken after a while anybody takes,
and so what a worker that died has left: that has waited for long enough.
"""

import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from math import ceil

from msgspec import Struct

from batcher.errors import UserError
from batcher.logger import scope_name

Named = tuple[str, str]
"""A scope: (endpoint, project_id)."""

EVERY_S = 3.0
"""How often a worker looks around, in seconds, unless it is invited before."""

FOLLOWED = 16
"""So many times its lanes a worker has scopes at most in which nothing is to be sent, and verdicts are to be found."""

_AFTER_ITS_END_S = (0.02, 0.2)  # of another's lease; not all workers at once
_SPREAD = 0.2  # of the time between two looks, so that workers do not look all at once


class OpenScope(Struct, frozen=True, kw_only=True):
    """A scope in which something is to be done.

    *owner* has the lease, for *left_s* more seconds (not above 0: it has run out); None: nobody has it. *free_s* is for
    how long nobody has had it, in seconds, as far as that is known. *priority* is the highest of its waves.
    *is_settled*: nothing is to be sent there, only verdicts are to be found.
    """

    number: int
    endpoint: str
    project_id: str
    owner: str | None
    left_s: float | None
    free_s: float
    priority: int = 0
    is_settled: bool = False

    @property
    def named(self) -> Named:
        """The endpoint and the project by which it is known."""
        return self.endpoint, self.project_id

    @property
    def is_free(self) -> bool:
        """Whether nobody has it, or whoever had it was not heard of for the length of a lease."""
        return self.left_s is None or self.left_s <= 0


class Surroundings(Struct, frozen=True, kw_only=True):
    """What a worker sees at a look around: scopes with *work*, and how many lanes each of the *workers* has that were
    seen lately, itself among them."""

    work: Sequence[OpenScope]
    workers: Sequence[int]


class ScopeFilter(Struct, frozen=True):
    """The scopes that a worker is for: those that one of *globs* names, or all.

    A glob is held against `endpoint=HOST`, `project=ID` or, where it has neither in front, against PROJECT@HOST.
    """

    globs: tuple[str, ...] = ()

    @classmethod
    def of(cls, globs: Iterable[str]) -> "ScopeFilter":
        """Those that *globs* name, as typed. Raises `UserError` for one that can name nothing."""
        kept = tuple(glob.strip() for glob in globs)
        for glob in kept:
            field, equals, value = glob.partition("=")
            if not glob or (equals and (field not in ("project", "endpoint") or not value)):
                raise UserError(
                    f"--scopes {glob!r} names no scopes: write project=ID, endpoint=HOST or PROJECT@HOST, with * and ? "
                    "for what may be anything"
                )
        return cls(kept)

    def has(self, named: Named) -> bool:
        """Whether the scope *named* is one of them."""
        return not self.globs or any(_fits(glob, named) for glob in self.globs)


def left_out(seen: Surroundings, wanted: ScopeFilter) -> dict[Named, str]:
    """The scopes with work that a worker for those *wanted* never takes, each with why."""
    return {work.named: "its --scopes leave it out" for work in seen.work if not wanted.has(work.named)}


def _fits(glob: str, named: Named) -> bool:
    endpoint, project_id = named
    host = endpoint.partition("://")[2] or endpoint
    field, _, value = glob.rpartition("=")
    match field:
        case "project":
            return fnmatchcase(project_id, value)
        case "endpoint":
            return fnmatchcase(host, value) or fnmatchcase(endpoint, value)
    return fnmatchcase(scope_name(endpoint, project_id), glob)


def to_take(
    seen: Surroundings,
    *,
    name: str,
    mine: Collection[Named],
    lanes: int,
    wanted: ScopeFilter,
    cannot: Mapping[Named, str],
    rng: random.Random,
    long_free_s: float = 2 * EVERY_S,
) -> list[OpenScope]:
    """The scopes that the worker *name* tries to take now: those of the highest priority first, of these the longest
    free, and of what was just planned any, as others look at the same moment.

    It has *mine*, may have *lanes* at once, and *cannot* take those there, each with why. Of what was handed on or
    planned less than *long_free_s* ago it leaves the others theirs. Scopes in which verdicts alone are to be found take
    no lanes: they may take hours, while others wait to be sent. It has `FOLLOWED` times as many of those.
    """
    may = [one for one in seen.work if one.named not in mine and wanted.has(one.named) and one.named not in cannot]
    # What is ours by the database and not in hand is of an earlier process of this name, or of a take whose answer was
    # lost: nobody else can have it before its lease is over.
    free = [one for one in may if one.is_free or one.owner == name]
    free.sort(key=lambda one: (-one.priority, -max(one.free_s, long_free_s), rng.random()))
    sending = [work for work in seen.work if not work.is_settled]
    busy = busy_lanes(seen, mine)
    taken = _within(
        [one for one in free if not one.is_settled], lanes - busy, fair_share(len(sending), seen.workers, lanes) - busy,
        long_free_s,
    )  # fmt: skip
    followed, more = len(mine) - busy, FOLLOWED * lanes
    share = fair_share(len(seen.work) - len(sending), [FOLLOWED * one for one in seen.workers], more)
    return taken + _within(
        [one for one in free if one.is_settled], more - followed, share - followed, long_free_s
    )  # fmt: skip


def _within(free: Sequence[OpenScope], room: int, share: int, long_free_s: float) -> list[OpenScope]:
    """Of the scopes that are *free* as many as there is *room*, and of what became free lately no more than *share*."""
    taken: list[OpenScope] = []
    fresh = 0
    for one in free:
        is_fresh = one.owner is None and one.free_s < long_free_s
        if len(taken) >= room or (is_fresh and fresh >= share):
            continue
        fresh += is_fresh
        taken.append(one)
    return taken


def busy_lanes(seen: Surroundings, mine: Collection[Named]) -> int:
    """In how many of the scopes that it has, *mine*, a worker has something to send, as far as it has *seen*."""
    settled = {work.named for work in seen.work if work.is_settled}
    return sum(named not in settled for named in mine)


def fair_share(scopes: int, workers: Sequence[int], lanes: int) -> int:
    """How many of *scopes* are for a worker of so many *lanes*, where *workers* share them by their lanes."""
    total = max(sum(workers), lanes, 1)
    return min(lanes, ceil(scopes * lanes / total))


def every_s(lease_s: float) -> float:
    """How often to look around where leases last *lease_s*, in seconds: what a worker that died has left is to stand
    still for hardly longer than its lease."""
    return min(EVERY_S, lease_s / 5)


def next_look_s(rng: random.Random, seen: Surroundings | None, *, name: str, every_s: float = EVERY_S) -> float:
    """Seconds until the next look around of the worker *name*, after what it has *seen*: when the lease of another is
    about to run out it looks right after that."""
    pause_s = every_s * rng.uniform(1 - _SPREAD, 1 + _SPREAD)
    for work in seen.work if seen is not None else ():
        if work.owner != name and work.left_s is not None and 0 < work.left_s < pause_s:
            pause_s = work.left_s + rng.uniform(*_AFTER_ITS_END_S)
    return pause_s
