"""One look-up for an entry in doubt: the job's comparisons are listed, and each half is judged by them.

In a database that machines share, what cannot be found may have been answered to whoever had the scope before: such an
answer is kept beside the record, and taken for what it is.

Where it takes the cloud's time to tell ours from an older one, and that is not known well enough, a comparison whose
creation we know is looked up as well: one more read, for the whole scope.
"""

import asyncio

from msgspec.structs import replace

from batcher.channel.cloud_clock import StampedComparison
from batcher.channel.creation import creations
from batcher.channel.passes import Pass
from batcher.channel.scope_reader import ScopeReader
from batcher.clock import Instant, same_start
from batcher.drs import guesses
from batcher.drs.outcome import Comparison, Trouble
from batcher.journal.port import Record
from batcher.life.events import Intended, LookedUp, Sight
from batcher.life.policy import Reconcile
from batcher.life.reconcile import Look, Others, judge
from batcher.pace.fair_semaphore import PartyClosed
from batcher.wave.agenda import HeldEntry
from batcher.wave.context import Context, log
from batcher.wave.entry_state_machine import EntryStateMachine

_TRIES = 2  # comparisons that are looked up for the cloud's time, for one look-up of a doubt


class LookUps:
    """Reconciles the doubtful entries of one scope with the cloud's own lists."""

    def __init__(self, through: Pass, context: Context, machine: EntryStateMachine, reader: ScopeReader) -> None:
        self._context = context
        self._pass = through
        self._machine = machine
        self._reader = reader
        self._cloud_clock = through.cloud_clock
        self._learning = asyncio.Lock()
        self._read_journal: set[str] = set()  # timebases whose comparisons were looked for there

    async def make(self, held: HeldEntry) -> None:
        """Look *held* up and lead it on; it stays in doubt where the scope may not ask."""
        async with self._pass.first_alone():
            if not await self._pass.ready():
                return
            timebase = self._context.clock.timebase
            try:
                listed = await self._reader.comparisons(held.entry.job_id)
            except PartyClosed:
                return
        if listed is None:
            return
        held.began(self._context.clock.monotonic())
        base = LookedUp(at=self._context.clock.now(), http_status=listed.http_status, request_id=listed.request_id)
        if isinstance(listed.comparisons, Trouble):
            await self._machine.next(held, replace(base, trouble=listed.comparisons))
            return
        look = self._look(held, listed.comparisons, listed.asked_at)
        held.saw(listed.comparisons, listed.asked_at, timebase)
        seen = await self._judged(held, look, base)
        for _ in range(_TRIES):
            if not any(each.sight is Sight.UNCLEAR for each in seen.halves.values()) or not await self._learn(held):
                break
            seen = await self._judged(held, look, base)
        is_found = all(each.sight is Sight.FOUND for each in seen.halves.values())
        if not is_found and (late := await self._machine.late_answer(held)) is not None:
            await self._machine.next(held, late, late=True)
            return
        self._warn(held, seen)
        await self._machine.next(held, seen)

    def _look(self, held: HeldEntry, comparisons: tuple[Comparison, ...], asked_at: float) -> Look:
        """The look at *comparisons*, which were asked for at *asked_at*, as far as no clock of the cloud's is needed
        for it. What landed since then may not be listed."""
        policy, first = self._context.policy, held.state.may_be_ours_since
        now = self._context.clock.monotonic()
        appeared = self._appeared(held, comparisons, now)
        after_intent = held.listed_at is not None and first is not None and self._is_after(held.listed_at, first)
        return Look(
            comparisons=comparisons,
            since=None,
            cloud_now=None,
            ancient=None if first is None else self._ancient(first),
            appeared=appeared if after_intent else frozenset(),
            others=Others(),
            landed=self._machine.since_intent(held) - (now - asked_at) >= policy.landing_s,
            slack_s=policy.slack_s,
            patient=policy.reconcile is Reconcile.SNAPSHOT,
        )

    async def _judged(self, held: HeldEntry, look: Look, base: LookedUp) -> LookedUp:
        first = held.state.may_be_ours_since
        since, now = None if first is None else self._machine.when(first), self._cloud_clock.now()
        look = replace(
            look,
            since=since,
            cloud_now=None if now is None else now.latest,
            others=await self._machine.others(held.entry),
        )
        halves, blocked = judge(held.entry, held.state, look)
        earliest = None if since is None else since.earliest
        return replace(base, halves=halves, blocked=blocked, listed=len(look.comparisons), since=earliest)

    def _is_after(self, moment: float, intent: Intended) -> bool:
        """Whether *moment*, of this process, came after *intent*."""
        here = same_start(intent.timebase, self._context.clock.timebase)
        return not here or (intent.monotonic is not None and moment > intent.monotonic)

    def _ancient(self, intent: Intended) -> float | None:
        """By neither our clock nor `Date`, which may both be wrong, something before that is younger than *intent*."""
        return None if intent.date_at is None else min(intent.at, intent.date_at) - guesses.ANCIENT_S

    # --- the cloud's time -------------------------------------------------------------------------------

    def _appeared(self, held: HeldEntry, comparisons: tuple[Comparison, ...], now: float) -> frozenset[str]:
        """What an earlier list of this process did not show was created in between, whoever made it."""
        if held.listed_at is None:
            return frozenset()
        new = [comparison for comparison in comparisons if comparison.compare_task_id not in held.listed]
        timebase = self._context.clock.timebase
        for comparison in new if held.listed_on == timebase else ():  # else the machine was suspended in between
            known = StampedComparison(
                task_id=comparison.compare_task_id,
                job_id=held.entry.job_id,
                timebase=timebase,
                after=held.listed_at,
                before=now,
            )
            self._cloud_clock.learn(known, comparison)
        return frozenset(comparison.compare_task_id for comparison in new)

    async def _learn(self, held: HeldEntry) -> bool:
        """Learn the cloud's time at the moment of *held*'s first intent, if there is something to learn it from.

        False where nothing was learnt.
        """
        intent = held.state.may_be_ours_since
        if intent is None or intent.monotonic is None:
            return False
        instant = Instant(intent.timebase, intent.monotonic)
        before = self._cloud_clock.at(instant)
        async with self._learning:
            if self._cloud_clock.at(instant) != before:
                return True  # another look-up has just learnt it
            known = self._cloud_clock.wanted(instant)
            if known is None and (instant.timebase not in self._read_journal or before is None):
                await self._recall(held, instant)
                known = self._cloud_clock.wanted(instant)
            return known is not None and await self._ask(known)

    async def _recall(self, held: HeldEntry, instant: Instant) -> None:
        """What an earlier run created can tell the time of its intents."""
        self._read_journal.add(instant.timebase)
        for other, events in await self._context.ask(Record.answered_around, held.entry):
            for creation in creations(other, events):
                known = creation.known
                if known is not None and known.timebase == instant.timebase:
                    self._cloud_clock.remember(known)

    async def _ask(self, known: StampedComparison) -> bool:
        """Look *known* up. False: that did not work out, now."""
        try:
            listed = await self._reader.comparisons(known.job_id)
        except PartyClosed:
            return False
        if listed is None or isinstance(listed.comparisons, Trouble):
            return False
        self._cloud_clock.forget(known)  # it may be gone, or not say when it was created
        return True

    def _warn(self, held: HeldEntry, seen: LookedUp) -> None:
        """Say so where what was in the way of a first request turns out to be its own."""
        ids = [
            each.ids[0]
            for half, each in seen.halves.items()
            if half in held.state.in_the_way and each.sight is Sight.FOUND
        ]
        if ids and held.state.attempts == 1:
            log.warning(
                "request.repeated",
                key=held.entry.key,
                job_id=held.entry.job_id,
                compare_task_id=ids[0],
            )
