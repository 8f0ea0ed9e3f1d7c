"""A worker: looks for scopes with work that nobody has, takes them, and has them run.

What holds here:

- It takes a scope only where it has a credential and a way, and says once what it cannot take and why.
- Whoever has a scope runs it in a task of its own: one that fails takes no other with it.
- Told to end, it takes nothing more; each scope is handed on as soon as what is in flight there is answered. Told
  again, it leaves at once: what was in flight is in doubt, and whoever takes the scope next looks it up.
- The database may be away for as long as it likes: the worker waits, and says so once.
- Nothing depends on invitations. They only spare the time until the next look around.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Protocol

from msgspec import Struct

from batcher.clock import Clock
from batcher.errors import UserError
from batcher.journal.errors import JournalFailed
from batcher.journal.postgres.keeper import PostgresKeeper
from batcher.journal.postgres.leases import Leases
from batcher.logger import get_logger, in_scope, scope_name
from batcher.machines.held_scope import HeldScope
from batcher.machines.look import WorkerCard, invite, look_around
from batcher.machines.scope_run import ScopeEnd, ScopeEndKind
from batcher.machines.sweep import (
    EVERY_S,
    Named,
    OpenScope,
    ScopeFilter,
    Surroundings,
    busy_lanes,
    left_out,
    next_look_s,
    to_take,
)
from batcher.machines.ways import Way, Ways

log = get_logger("batcher.machines")

_AWAY_AFTER_S = 5.0  # from when on a database that does not answer is told of
_LAST_LOOK_S = 1.0  # for a look that is under way when the worker is to end
_TRIED_AGAIN_S = 60.0  # what halted a scope may have been mended by then
_WRITTEN_AGAIN_S = 10.0  # likewise the database, where it took the scope and then nothing of what is done there
_IDLE_PAUSES_S = (0.0, 10.0, 30.0, 60.0)  # before a scope is taken again in which nothing was left to do


class RunScope(Protocol):
    """Runs all that is to be done in a scope, by its lease, until nothing is left or it is to be handed on."""

    def __call__(self, held: HeldScope, way: Way, hand_on: asyncio.Event) -> Coroutine[Any, Any, ScopeEnd]:
        """Run the scope that is *held*, through *way*, and give it back; soon after *hand_on* is set, in any case.
        Cancelled, it leaves at once. Raises only defects."""
        ...


class WorkerEnding:
    """Whether a worker is to end: `tell` once, in order; again, at once.

    *was_cut_short*: told once, it left its scopes all the same, as the database was away.
    """

    def __init__(self) -> None:
        self.told = asyncio.Event()
        self.at_once = asyncio.Event()
        self.was_cut_short = False

    def tell(self) -> None:
        """Have the worker end in order; told again, at once."""
        (self.at_once if self.told.is_set() else self.told).set()


class Hearing(Protocol):
    """Whoever hears invitations."""

    def want(self, wanted: bool) -> None:
        """Whether to hear any."""
        ...

    async def listen(self) -> None:
        """Hear them until cancelled."""
        ...


class WorkerTerms(Struct, frozen=True, kw_only=True):
    """What a worker is for: so many *lanes* at once, of the scopes that are *wanted*, of one *wave* (None: of all).

    It looks around every *every_s* seconds. Told to end, it waits *grace_s* for a database that is away.
    """

    lanes: int
    wanted: ScopeFilter = ScopeFilter()
    wave: str | None = None
    every_s: float = EVERY_S
    grace_s: float = 30.0


class Worker:
    """The worker whose *card* says its name; see this module."""

    def __init__(
        self,
        *,
        keeper: PostgresKeeper,
        leases: Leases,
        card: WorkerCard,
        ways: Ways,
        run_scope: RunScope,
        terms: WorkerTerms,
        clock: Clock,
        rng: random.Random,
        hearing: Callable[[Callable[[int], None]], Hearing] | None = None,
    ) -> None:
        """*hearing* makes what hears invitations, and calls back with a scope's number; None: nothing does."""
        self._keeper = keeper
        self._leases = leases
        self._card = card
        self._ways = ways
        self._run_scope = run_scope
        self._terms = terms
        self._clock = clock
        self._rng = rng
        self._is_ending = False
        self._handing_on = asyncio.Event()
        self._look_now = asyncio.Event()
        self._lanes: dict[Named, asyncio.Task[None]] = {}
        self._numbers: dict[Named, int] = {}
        self._cannot: dict[Named, str] = {}
        self._left_out: dict[Named, str] = {}  # it never takes these, as it was told, and says so to those who ask
        # Monotonic: when a scope may be tried again that cannot be taken, or in which nothing was to be done.
        self._again_at: dict[Named, float] = {}
        self._idle: dict[Named, int] = {}  # how often in a row nothing was left to do there
        self._said: set[tuple[Named, str]] = set()
        self._away_since: float | None = None  # monotonic: since when the database does not answer
        self._hearing = hearing(self._heard) if hearing is not None else None

    @property
    def cannot(self) -> dict[Named, str]:
        """The scopes that it cannot take, each with why."""
        return dict(self._cannot)

    async def run(self, ending: WorkerEnding) -> None:
        """Work until *ending* is told. Raises only defects."""
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(self._look_on(group))
            hearing = group.create_task(self._hearing.listen()) if self._hearing is not None else None
            await ending.told.wait()
            self._is_ending = True
            self._look_now.set()
            await asyncio.wait({looking}, timeout=_LAST_LOOK_S)  # what is being taken is handed on as well
            for task in filter(None, (looking, hearing)):
                task.cancel()
            await self._end(ending)

    async def _end(self, ending: WorkerEnding) -> None:
        """Hand the scopes on, or leave them where it is to be at once."""
        lanes = list(self._lanes.values())
        if lanes or self._hearing is not None:  # a run of one wave that has none of its scopes hands nothing on
            log.info("worker.ending", scopes=len(lanes))
        handed_on = [self._numbers[named] for named in self._lanes]
        self._handing_on.set()
        at_once = asyncio.create_task(ending.at_once.wait())
        try:
            gone = asyncio.create_task(self._told_others(self._card.take_away))  # the others share without us now
            handed = asyncio.create_task(_all(lanes))
            await self._wait_for_lanes(at_once, handed, ending)
            if at_once.done():
                log.warning("worker.left", scopes=sum(not lane.done() for lane in lanes))
                for lane in lanes:
                    lane.cancel()
                self._keeper.link.hurry()
            invited = asyncio.create_task(self._told_others(lambda: invite(self._keeper.link, handed_on)))
            await asyncio.wait({gone, invited, handed}, timeout=_LAST_WORDS_S)
        finally:
            at_once.cancel()

    async def _wait_for_lanes(
        self, at_once: "asyncio.Task[bool]", handed: "asyncio.Task[None]", ending: WorkerEnding
    ) -> None:
        """Until all have ended, or are to be left at once. A database that is away is waited for no longer than so:
        then what is in flight is answered, and not recorded; whoever has the scope after its lease looks it up."""
        await asyncio.wait({at_once, handed}, return_when=asyncio.FIRST_COMPLETED, timeout=self._terms.grace_s)
        if at_once.done() or handed.done():
            return
        if self._keeper.link.is_away:
            ending.was_cut_short = True
            log.warning("worker.cut_short", scopes=len(self._lanes), waited_s=self._terms.grace_s)
        self._keeper.link.hurry()
        await asyncio.wait({at_once, handed}, return_when=asyncio.FIRST_COMPLETED)

    # --- looking around -----------------------------------------------------------------------------------

    def _heard(self, _: int) -> None:
        self._look_now.set()

    async def _look_on(self, group: asyncio.TaskGroup) -> None:
        while not self._is_ending:
            self._look_now.clear()
            seen = None
            try:
                seen = await self._told_if_away(self._look())
            except JournalFailed:
                pass  # it was told; the next look waits for it anew
            else:
                for work in self._chosen(seen):
                    if not self._is_ending:
                        await self._take(work, group)
                self._say_what_cannot_be_taken()
            if self._hearing is not None:
                busy = len(self._lanes) if seen is None else busy_lanes(seen, self._lanes)
                self._hearing.want(busy < self._terms.lanes)
            if not self._is_ending:
                await self._pause(next_look_s(self._rng, seen, name=self._card.name, every_s=self._terms.every_s))

    async def _pause(self, seconds: float) -> None:
        """Wait for so long, or until there is something to look for."""
        pause = asyncio.create_task(self._clock.sleep(seconds))
        heard = asyncio.create_task(self._look_now.wait())
        try:
            await asyncio.wait({pause, heard}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            pause.cancel()
            heard.cancel()

    async def _look(self) -> Surroundings:
        await self._asked(lambda: self._card.show(self._left_out | self._cannot))
        seen: Surroundings = await self._asked(lambda: look_around(self._keeper.link, self._terms.wave))
        return seen

    async def _told_if_away(self, looking: Coroutine[Any, Any, Surroundings]) -> Surroundings:
        """What *looking* sees; a database that does not answer is told of, once, and when it is back."""
        task = asyncio.create_task(looking)
        try:
            done, _ = await asyncio.wait({task}, timeout=_AWAY_AFTER_S)
            if not done:
                self._is_away(f"no answer for {_AWAY_AFTER_S:.0f} s")
            seen = await task
        except JournalFailed as error:
            self._is_away(error.reason)
            raise
        finally:
            task.cancel()
        if self._away_since is not None:
            log.info("database.back", away_s=round(self._clock.monotonic() - self._away_since, 1))
            self._away_since = None
        return seen

    def _is_away(self, reason: str) -> None:
        if self._away_since is None:
            self._away_since = self._clock.monotonic()
            log.warning("database.away", reason=reason)

    async def _asked(self, question: Callable[[], Any]) -> Any:
        """The answer to *question*, in the thread of the journals. Raises `JournalFailed`."""
        return await self._keeper.group().ask(question)

    async def _told_others(self, what: Callable[[], Any]) -> None:
        """Do *what* tells others of the end, who find it out without that as well."""
        with suppress(JournalFailed):
            await self._asked(what)

    # --- taking -------------------------------------------------------------------------------------------

    def _chosen(self, seen: Surroundings) -> list[OpenScope]:
        self._left_out = left_out(seen, self._terms.wanted)
        now = self._clock.monotonic()
        resting = {named: "" for named, at in self._again_at.items() if at > now}
        self._cannot = {named: why for named, why in self._cannot.items() if named in resting}
        there = {work.named for work in seen.work}
        for gone in self._idle.keys() - there:  # nothing was to be done there: what is there next is new
            del self._idle[gone]
            self._again_at.pop(gone, None)
        return to_take(
            seen,
            name=self._card.name,
            mine=self._lanes,
            lanes=self._terms.lanes,
            wanted=self._terms.wanted,
            cannot=resting,
            rng=self._rng,
            long_free_s=2 * self._terms.every_s,
        )

    async def _take(self, work: OpenScope, group: asyncio.TaskGroup) -> None:
        """Take a scope, if it can be taken, and begin to run it."""
        named = work.named
        try:
            way = await self._ways.to(named)
            held = await HeldScope.take(self._leases, *named, self._clock)
        except UserError as error:
            self._cannot_take(named, error.message)
            return
        except JournalFailed:
            return  # the next look tells of it
        if held is None:  # another was quicker: there may be others for us
            self._look_now.set()
            return
        self._numbers[named] = work.number
        self._lanes[named] = group.create_task(self._run(held, way))

    def _cannot_take(self, named: Named, why: str, again_in_s: float = _TRIED_AGAIN_S) -> None:
        self._cannot[named] = in_short(why, named)
        self._again_at[named] = self._clock.monotonic() + again_in_s

    def _say_what_cannot_be_taken(self) -> None:
        """Each scope once, those of one reason together."""
        new: dict[str, list[str]] = {}
        for named, why in self._cannot.items():
            if (named, why) not in self._said:
                self._said.add((named, why))
                new.setdefault(why, []).append(scope_name(*named))
        for why, scopes in new.items():
            log.warning("scope.not_taken", scopes=scopes, reason=why)

    async def _run(self, held: HeldScope, way: Way) -> None:
        named = held.endpoint, held.project_id
        in_scope(*named)
        log.info("scope.taken", epoch=held.epoch, profile=way.profile)
        try:
            end = await self._run_scope(held, way, self._handing_on)
        except Exception as error:  # a defect, in this scope: the lanes of others go on
            log.error("scope.failed", exc_info=error)
            end = ScopeEnd(kind=ScopeEndKind.HALTED, said=f"a defect in batcher: {type(error).__name__}: {error}")
        finally:
            del self._lanes[named]
            self._look_now.set()  # there is room
        self._ended(named, end)

    def _ended(self, named: Named, end: ScopeEnd) -> None:
        reason = end.said or end.kind.value
        if end.kind is ScopeEndKind.LOST:
            log.warning("scope.lost", reason=reason)
        else:
            log.info("scope.given_back", reason=reason)
        for what in end.unrecorded:
            log.error("answer.unrecorded", what=what)
        if end.kind is ScopeEndKind.HALTED:
            self._cannot_take(named, reason)
        elif end.kind is ScopeEndKind.FAILED:
            self._cannot_take(named, reason, _WRITTEN_AGAIN_S)
        elif end.kind is ScopeEndKind.DONE:
            times = self._idle.get(named, 0)
            self._idle[named] = min(times + 1, len(_IDLE_PAUSES_S) - 1)
            self._again_at[named] = self._clock.monotonic() + _IDLE_PAUSES_S[times]


def in_short(why: str, named: Named) -> str:
    """*why* the scope *named* cannot be taken, in a line, and alike where the reason is: without its name."""
    endpoint, project_id = named
    short = why.partition(" Looked for, in this order:")[0].partition("\n")[0]
    hint = "" if short == why else " (batcher auth shows where it is looked for)"
    return short.replace(f"project {project_id} at {endpoint}", "it").rstrip(":. ") + hint


_LAST_WORDS_S = 2.0  # for what is only told to others


async def _all(tasks: list[asyncio.Task[None]]) -> None:
    if tasks:
        await asyncio.wait(tasks)
