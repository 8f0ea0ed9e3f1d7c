"""What goes along with the part of a wave that lies in a scope which is held: its entries are held back where that was
asked for, and what was created there is followed to its verdicts, which go into the database.

Invariants:
- An entry is followed once by whoever has the scope, from where the database has no verdict on it.
- Nothing is followed before somebody wants to know; once somebody does, all that there is.
- How many comparisons are running is counted anew by each holder: what has no verdict yet, and what may exist.
- What was found and not written when the scope changes hands is found again by the next: nothing is lost, and only what
  was under way is read twice.
"""

import asyncio
import random
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from batcher.channel.passes import Pass
from batcher.channel.scope_reader import ScopeReader
from batcher.clock import Clock
from batcher.drs.outcome import ErrorKind, Trouble
from batcher.errors import UserError
from batcher.follow.followed_entry import FollowedEntry, followed
from batcher.follow.follower import Follower, FollowStatus, first_of
from batcher.follow.spill_file import SpillFile
from batcher.holding.admission import Admittance
from batcher.holding.entry_holding import EntryHolding, readiness_of, why_not_counted
from batcher.holding.readiness_admission import ReadinessAdmission
from batcher.journal.errors import JournalFailed
from batcher.journal.port import Record, SharedJournal
from batcher.life.entry import PlannedEntry, Scope
from batcher.life.result import Result
from batcher.life.state import history
from batcher.machines.held_scope import HeldScope
from batcher.machines.kept_verdicts import FollowedPart, KeptVerdicts, VerdictKeeper
from batcher.pace.polling import poll_policy_of
from batcher.settings import RunSettings

T = TypeVar("T")

_BATCH = 256  # results and entries read at a time


class PartFollower:
    """The `Admission` of the entries of *part*, and the follower of its comparisons, by *through*.

    `begin`, then have what sends run `beside` it. *on_trouble* is called where it cannot go on, so that nothing new is
    sent: `trouble` says why.
    """

    def __init__(
        self,
        keeper: VerdictKeeper,
        journal: SharedJournal,
        held: HeldScope,
        part: FollowedPart,
        through: Pass,
        settings: RunSettings,
        clock: Clock,
        rng: random.Random,
        on_trouble: Callable[[], None],
    ) -> None:
        self._keeper, self._journal, self._part, self._settings = keeper, journal, part, settings
        self._clock, self._rng = clock, rng
        self._on_trouble = on_trouble
        self._reader = ScopeReader(through, clock)
        self._holding = EntryHolding(settings)
        self._running = self._holding.running
        self._counts = settings.max_running is not None or bool(settings.max_running_per)
        self._ready: ReadinessAdmission | None = None
        if settings.wait_ready > 0:
            self._holding.ready = self._ready = readiness_of(self._reader, settings, clock, rng)
        self._seen = _FollowedIndexes()  # of the entries that are followed, or were
        self._verdicts = KeptVerdicts(keeper, held, part, clock, self._fail)
        self._spill: SpillFile | None = None
        self._follower: Follower | None = None
        self._wanted = asyncio.Event()
        self._all_sent = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._is_ended = False
        self.trouble: JournalFailed | UserError | None = None

    # --- before anything is sent --------------------------------------------------------------------------------

    async def begin(self, *, wanted: bool) -> None:
        """Follow from now on, if verdicts are *wanted*; and know what is running, where that is bounded.

        Raises `JournalFailed`, `UserError`.
        """
        if wanted or self._counts:
            self.want()
        if self._counts and self._follower is not None:
            await self._take_up(self._follower)
            await self._count_begun()

    def want(self) -> None:
        """Verdicts are wanted from now on. Raises `UserError`."""
        if self._follower is not None or self._is_ended:
            return
        self._spill = SpillFile(Path(tempfile.gettempdir()))
        self._follower = Follower(
            self._verdicts,
            self._spill,
            poll_policy_of(self._settings),
            self._clock,
            self._rng,
            at_once=self._settings.concurrency,
            on_verdict=lambda entry: self._running.running_still(entry.index, 0),
            on_comparison=lambda entry: self._running.running_still(entry.index, len(entry.open_comparisons)),
        )
        scope = self._part.scope
        self._follower.begin({(scope.endpoint, scope.project_id): self._reader})
        self._wanted.set()

    async def _take_up(self, follower: Follower) -> None:
        """Follow what the database has no verdict on. Raises `JournalFailed`, `UserError`."""
        after, part = -1, self._part
        while lines := await self._keeper.undecided(part.wave, part.place, after, _BATCH):
            for _, line in lines:
                result = Result.model_validate_json(line)
                if result.index not in self._seen:
                    entry = followed(result, await self._plan_of(result))
                    self._running.taken_up(result, len(entry.open_comparisons))
                    self._add(follower, entry)
            after = lines[-1][0]

    def _add(self, follower: Follower, entry: FollowedEntry) -> None:
        if entry.index not in self._seen:
            self._seen.add(entry.index)
            follower.add(entry)

    async def _plan_of(self, result: Result) -> PlannedEntry | None:
        with suppress(JournalFailed):  # it only tells beforehand what a look tells as well
            return self._holding.plan_of(result.index) or await self._journal.ask(Record.entry, result.index)
        return None

    async def _count_begun(self) -> None:
        """What an earlier holder sent, and has not come to its end, may be running. Raises `JournalFailed`."""
        after = -1
        while batch := await self._journal.ask(Record.open_entries, self._part.scope.number, after, _BATCH):
            for entry, events in batch:
                if history(entry.asked, events).exists:
                    self._running.begun(entry)
            after = batch[-1][0].index

    # --- while something is sent ----------------------------------------------------------------------------------

    def ask(self, entry: PlannedEntry, again: Callable[[], None]) -> Admittance:
        """Whether *entry* may be sent now: its job is ready, and few enough comparisons run.

        After `Waits`, *again* is called.
        """
        admittance = self._holding.ask(entry, again, is_followed=self._follower is not None)
        self._see_that_nobody_waits_for_ever()
        return admittance

    def halted(self, scope: Scope, trouble: Trouble) -> None:
        """Nothing is sent there any more: whoever waits for a place waits for whoever has the scope next."""

    async def settled(self, line: bytes) -> None:
        """An entry has its result *line*: what it created is followed from now on."""
        if self._follower is None or self._is_ended:
            return
        result = Result.model_validate_json(line)
        self._running.settled(result)
        try:
            self._add(self._follower, followed(result, await self._plan_of(result)))
        except UserError as error:
            self._fail(error)

    # --- its run --------------------------------------------------------------------------------------------------

    async def beside(self, work: Callable[[], Awaitable[T]]) -> T:
        """What *work* gives, which sends; when that has ended, the rest is followed to its verdicts.

        `end` hastens it. Raises what *work* raises, and defects.
        """
        try:
            async with asyncio.TaskGroup() as group:
                writing = group.create_task(self._verdicts.run(), name="verdicts")
                following = group.create_task(self._follow(), name="follow")
                asking = group.create_task(self._ask_for_readiness(), name="ready")
                self._tasks = [following, asking]
                if self._is_ended:
                    self.end()
                told = await work()
                asking.cancel()
                self._all_sent.set()
                if not self._wanted.is_set():
                    following.cancel()
                await asyncio.wait({following})
                self._verdicts.complete()
                await asyncio.wait({writing})
        finally:
            self.close()
        return told

    def close(self) -> None:
        """Let go of what is on disk: nothing is followed any more."""
        if self._spill is not None:
            self._spill.close()

    async def _ask_for_readiness(self) -> None:
        if self._ready is not None:
            await self._ready.run()

    async def _follow(self) -> None:
        """Follow all that there is, and what comes, to its verdicts."""
        await self._wanted.wait()
        follower = self._follower
        assert follower is not None  # noqa: S101 - it is there once they are wanted
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._look(follower))
                if not self._counts:  # else that was done before
                    await self._take_up(follower)
                await self._all_sent.wait()
                follower.complete()
        except* (JournalFailed, UserError) as errors:
            self._fail(first_of(errors, UserError) or first_of(errors, JournalFailed) or errors)

    async def _look(self, follower: Follower) -> None:
        await follower.run()
        self._see_that_nobody_waits_for_ever()

    def _see_that_nobody_waits_for_ever(self) -> None:
        """Nobody is let in any more where nobody can see what has ended."""
        if self._running.waits and (trouble := self.barred) is not None:
            self._fail(UserError(why_not_counted(trouble)))

    def _fail(self, error: BaseException) -> None:
        """Nothing can be followed any more here."""
        if self.trouble is None and isinstance(error, JournalFailed | UserError):
            self.trouble = error
        self.end()
        self._on_trouble()

    def end(self) -> None:
        """Follow no more, nor ask whether jobs are ready. What is known is written; the rest is for whoever has the
        scope next."""
        self._is_ended = True
        for task in self._tasks:
            task.cancel()

    def want_no_more(self) -> None:
        """Nobody wants to know any more: what is followed is followed no more."""
        if self._follower is not None and not self._is_ended:
            self.end()

    # --- what it says ---------------------------------------------------------------------------------------------

    @property
    def barred(self) -> Trouble | None:
        """Why the cloud lets nobody look from here; None: it does."""
        halted = () if self._follower is None else self._follower.halted.values()
        return next((trouble for trouble in halted if trouble.kind is not ErrorKind.STOPPED), None)

    def status(self) -> FollowStatus | None:
        """Where the following stands here; None: nothing is followed."""
        return None if self._follower is None else self._follower.status()


class _FollowedIndexes:
    """A set of indexes, at a bit each up to the greatest: a process may have many parts of a wave of a million."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def __contains__(self, index: int) -> bool:
        at, bit = divmod(index, 8)
        return at < len(self._bits) and bool(self._bits[at] >> bit & 1)

    def add(self, index: int) -> None:
        """Have *index* in it."""
        at, bit = divmod(index, 8)
        if at >= len(self._bits):
            self._bits.extend(bytes(max(at + 1 - len(self._bits), len(self._bits) // 4)))
        self._bits[at] |= 1 << bit
